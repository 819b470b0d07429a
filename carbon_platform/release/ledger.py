"""What guards a component's data, written beside the data: whoever works on the cluster is bound by it alike.

One ConfigMap in the component's namespace. It is no part of the release, so it outlives it, as the volumes do.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Conflict
from carbon_platform.release.versions import Versions
from carbon_platform.spec.platform import Component

_MANAGER = "carbon-ledger"
_KEY = "ledger.json"
_LABEL = ("app.kubernetes.io/managed-by", "carbon")
_ATTEMPTS = 6


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What is known of a component's data. Never a value of a Secret."""

    volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The claims it had when it was last verified: namespace/name → UID."""
    generated: tuple[str, ...] = ()
    """Every key of a Secret that was ever generated for it: namespace/name/key."""
    content: tuple[str, ...] = ()
    """Every topic, table and the like that ever was there."""
    revision: int | None = None
    """The Helm revision that was last verified."""
    versions: Versions = dataclasses.field(default_factory=Versions)
    """What that was made of."""
    unknown: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What another version of Carbon has written; it is kept."""

    @property
    def guards(self) -> bool:
        """True when there is anything that could be lost."""
        return bool(self.volumes or self.generated or self.content)

    def after(self, seen: "Ledger") -> "Ledger":
        """What is known once this was seen as well.

        Of volumes, revision and versions the later look counts, where it could tell; what was generated once, and
        what content was there once, stays known.
        """
        return Ledger(
            seen.volumes or self.volumes,
            tuple(sorted({*self.generated, *seen.generated})),
            tuple(sorted({*self.content, *seen.content})),
            self.revision if seen.revision is None else seen.revision,
            self.versions if seen.versions == Versions() else seen.versions,
            {**self.unknown, **seen.unknown},
        )


def encode(ledger: Ledger) -> str:
    """As it is written: the same text for the same knowledge."""
    told = {
        "volumes": dict(ledger.volumes),
        "generated": sorted(ledger.generated),
        "content": sorted(ledger.content),
        "revision": ledger.revision,
        "versions": dataclasses.asdict(ledger.versions),
    }
    return json.dumps({**ledger.unknown, **told}, indent=1, sort_keys=True)


def decode(text: str) -> Ledger:
    """As `encode` wrote it, or another version of Carbon did. Raises ValueError for what is no ledger."""
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - as for any other text that is no ledger
    known = {field.name for field in dataclasses.fields(Ledger)} - {"unknown"}
    versions = body.get("versions") or {}
    names = {field.name for field in dataclasses.fields(Versions)}
    return Ledger(
        {str(place): str(uid) for place, uid in (body.get("volumes") or {}).items()},
        tuple(map(str, body.get("generated") or ())),
        tuple(map(str, body.get("content") or ())),
        body.get("revision"),
        Versions(**{name: value for name, value in versions.items() if name in names}),
        {name: value for name, value in body.items() if name not in known},
    )


def ledger_name(component: Component) -> ObjectName:
    """The ConfigMap of a component."""
    return ObjectName("v1", "ConfigMap", component.namespace, f"carbon-{component.release_name}")


async def read(component: Component, api: Api) -> Ledger:
    """What is written beside the data; empty when nothing is. Raises Conflict when it is not ours, or unreadable."""
    return (await _read(component, api))[0]


async def _read(component: Component, api: Api) -> tuple[Ledger, str]:
    """The ledger, and the version of the object that it is in; empty when there is none."""
    name = ledger_name(component)
    live = await api.get(name)
    if live is None:
        return Ledger(), ""
    if (live["metadata"].get("labels") or {}).get(_LABEL[0]) != _LABEL[1] or _KEY not in (live.get("data") or {}):
        raise Conflict(
            f"{name} is not the ledger of {component.key}",
            f"somebody else made an object of its name: it has no label {'='.join(_LABEL)}, or no {_KEY}",
            "rename that object",
        )
    try:
        return decode(live["data"][_KEY]), str(live["metadata"]["resourceVersion"])
    except (ValueError, TypeError, AttributeError) as error:
        raise Conflict(
            f"the ledger of {component.key} can't be read, so what guards its data is not known",
            f"{name}: {error}",
            f"correct its {_KEY}; if there is no data to lose, delete it",
        ) from error


async def write(component: Component, seen: Ledger, api: Api) -> Ledger:
    """Write down what was seen, beside what is known already; all that is known then.

    Writes nothing when all of it is written already. Raises Conflict when somebody else keeps writing.
    """
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Conflict),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )

    async def once() -> Ledger:
        before, version = await _read(component, api)
        known = before.after(seen)
        if not version or encode(known) != encode(before):
            await api.apply(_object(component, known, version), manager=_MANAGER)
        return known

    return await retrying(once)


def _object(component: Component, ledger: Ledger, version: str) -> Object:
    name = ledger_name(component)
    metadata = {"name": name.name, "namespace": name.namespace, "labels": dict([_LABEL])}
    if version:
        metadata["resourceVersion"] = version
    return {"apiVersion": "v1", "kind": name.kind, "metadata": metadata, "data": {_KEY: encode(ledger)}}


async def remove(component: Component, api: Api) -> None:
    """Forget it all: the data is gone, on a person's word."""
    await api.delete(ledger_name(component))
