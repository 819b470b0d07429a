"""Secrets whose values are copied from other Secrets: they follow their originals, and who reads them is restarted."""

import base64
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, pod_specs
from carbon_platform.errors import Blocked, Conflict, Unreachable
from carbon_platform.spec.component import SecretSource, SecretSpec
from carbon_platform.spec.platform import Component

_ATTEMPTS = 6
_UNREAD = "carbon/not-read-yet"
"""Annotation of a Secret that was copied again, until who reads it was restarted: so that a kill loses none of it."""
_RESTARTABLE = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"})


@dataclasses.dataclass(frozen=True)
class Copied:
    """A key of a Secret whose value is no longer that of the Secret it was copied from, or not read as such yet."""

    secret: ObjectName
    key: str
    origin: ObjectName
    unread: bool = False
    """The value is right again, but who reads it was not restarted since."""

    @property
    def why(self) -> str:
        """What is wrong with it, without its value."""
        if self.unread:
            return f"was copied from {self.origin} again, and who reads it not restarted since"
        return f"differs from its original {self.origin}"

    def __str__(self) -> str:
        return f"{self.secret} key {self.key} {self.why}"


async def outdated_copies(component: Component, api: Api) -> list[Copied]:
    """The copied keys that do not follow their original. Reads only; what is missing is not among them."""
    copying = [spec for spec in component.secrets if any(source.value_from for source in spec.keys.values())]
    live = {name: await api.get(name) for name in dict.fromkeys(secret_name(spec, component) for spec in copying)}
    return await outdated_of(component, live, api)


async def outdated_of(component: Component, live: Mapping[ObjectName, Object | None], api: Api) -> list[Copied]:
    """The same, of the component's Secrets as they are live."""
    found, originals = [], dict[ObjectName, Object | None]()
    for name, key, source in _copies(component):
        mine = live[name]
        if mine is None or key not in data_of(mine):
            continue
        origin = _origin(source, name)
        if origin not in originals:
            originals[origin] = await api.get(origin)
        wanted = data_of(originals[origin]).get(source.key)
        if wanted is not None and _bytes(wanted) != _bytes(data_of(mine)[key]):
            found.append(Copied(name, key, origin))
        elif key in _unread(mine):
            found.append(Copied(name, key, origin, unread=True))
    return found


async def copy_again(component: Component, outdated: Collection[Copied], api: Api) -> list[str]:
    """Copy these keys from their originals again; what was done. Who reads them is to be restarted afterwards.

    Until `copies_read` says that this was done, the keys count as outdated.
    """
    told = []
    wanted = {(copied.secret, copied.key) for copied in outdated}
    sources: dict[ObjectName, dict[str, SecretSource]] = {}
    for name, key, source in _copies(component):
        if (name, key) in wanted:
            sources.setdefault(name, {})[key] = source

    async def again(name: ObjectName, keys: Mapping[str, SecretSource]) -> None:
        live = await api.get(name)
        if live is None:
            return
        values = {key: await original(source, name, api) for key, source in keys.items()}
        unread = " ".join(sorted({*_unread(live), *keys}))
        metadata = live["metadata"] | {"annotations": (live["metadata"].get("annotations") or {}) | {_UNREAD: unread}}
        await api.replace({**live, "metadata": metadata, "data": {**data_of(live), **values}})

    for name, keys in sources.items():
        await retrying()(again, name, keys)
        told.append(f"copied {', '.join(sorted(keys))} of {name} again")
    return told


async def copies_read(outdated: Iterable[Copied], api: Api) -> None:
    """Note that who reads these Secrets was restarted since they were copied again."""
    for name in dict.fromkeys(copied.secret for copied in outdated):
        await api.patch(name, {"metadata": {"annotations": {_UNREAD: None}}})


def readers(objects: Iterable[Object], names: Collection[ObjectName]) -> list[Object]:
    """The workloads whose pods mount one of these Secrets, or have it in their environment. Pure.

    Of custom resources nobody here can tell how their pods are restarted: they are left out.
    """
    return [
        obj
        for obj in objects
        if group_kind(obj) in _RESTARTABLE
        and {(name.namespace, name.name) for name in names}
        & {(obj["metadata"].get("namespace", ""), secret) for pod in pod_specs(obj) for secret in _read_by(pod)}
    ]


def _read_by(pod: Mapping[str, Any]) -> Iterable[str]:
    """The names of the Secrets that a pod reads."""
    for volume in pod.get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for secret in (source.get("secret") or {} for source in sources):
            yield from (str(secret[key]) for key in ("secretName", "name") if key in secret)
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        references = [one.get("secretRef") for one in container.get("envFrom") or ()]
        references += [(one.get("valueFrom") or {}).get("secretKeyRef") for one in container.get("env") or ()]
        yield from (str(found["name"]) for found in references if found and "name" in found)


def retrying() -> tenacity.AsyncRetrying:
    """Another component's writer may be a moment faster, or the answer get lost: what is there is looked at anew."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((Conflict, Unreachable)),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )


async def original(source: SecretSource, target: ObjectName, api: Api) -> str:
    """The value to copy, as it is written. Raises Blocked when it is not there."""
    origin = _origin(source, target)
    found = data_of(await api.get(origin)).get(source.key)
    if found is None:
        raise Blocked(
            f"{target} can't be made",
            f"its value comes from key {source.key!r} of {origin}, which is not there",
            "deploy the component that makes it first",
        )
    return found


def _copies(component: Component) -> Iterable[tuple[ObjectName, str, SecretSource]]:
    for spec in component.secrets:
        for key, source in spec.keys.items():
            if source.value_from is not None:
                yield secret_name(spec, component), key, source.value_from


def _origin(source: SecretSource, target: ObjectName) -> ObjectName:
    return ObjectName("v1", "Secret", source.namespace or target.namespace, source.secret)


def data_of(secret: Object | None) -> dict[str, str]:
    """Its values as they are written, in Base64."""
    return (secret or {}).get("data") or {}


def _bytes(encoded: str) -> bytes:
    return base64.b64decode(encoded)


def _unread(secret: Object) -> list[str]:
    return str((secret["metadata"].get("annotations") or {}).get(_UNREAD) or "").split()


def secret_name(spec: SecretSpec, component: Component) -> ObjectName:
    """The Secret that a component declares."""
    return ObjectName("v1", "Secret", spec.namespace or component.namespace, spec.name)
