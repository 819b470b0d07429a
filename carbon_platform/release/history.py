"""What Helm remembers of a release, read from its storage Secrets without starting Helm."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.helm import decode_release, encode_release
from carbon_platform.release.inputs import LABEL, Inputs, labelled
from carbon_platform.release.manifest import crds_of, load_objects
from carbon_platform.release.versions import Versions, versions
from carbon_platform.spec.platform import Release


@dataclasses.dataclass(frozen=True)
class Revision:
    """One revision of a release, as stored."""

    number: int
    status: str
    """deployed, failed, pending-install, pending-upgrade, pending-rollback, superseded or uninstalling."""
    secret: Object

    @property
    def pending(self) -> bool:
        """True while a writer is, or was when it died, at work."""
        return self.status.startswith("pending-") or self.status == "uninstalling"

    @property
    def uid(self) -> str:
        """Tells it from any other revision of any cluster."""
        return str(self.secret["metadata"]["uid"])

    @functools.cached_property
    def inputs(self) -> Inputs | None:
        """What Carbon rendered it from; None when somebody else made it."""
        return labelled(self.secret["metadata"].get("labels") or {}, self.number)

    def by_somebody_else(self, recorded: int | None) -> bool:
        """True when neither its label nor the records, which tell of revision `recorded`, say that it is Carbon's."""
        return self.inputs is None and self.number != recorded

    @property
    def made(self) -> str:
        """By which program, and when, for people: Helm does not note down who called it."""
        metadata = self.secret["metadata"]
        managers = [str(one.get("manager")) for one in metadata.get("managedFields") or () if one.get("manager")]
        return f"by {managers[0] if managers else 'Helm'} at {metadata.get('creationTimestamp', 'an unknown time')}"

    @functools.cached_property
    def content(self) -> Mapping[str, Any]:
        """The decoded release: chart, config, manifest, info."""
        return decode_release(self.secret)

    def objects(self) -> list[ObjectName]:
        """The objects of its manifest."""
        return [name for _, name in self.manifest()]

    def manifest(self) -> list[tuple[Object, ObjectName]]:
        """The objects it applied, with the names that its chart gives them."""
        return [(obj, ObjectName.of(obj)) for obj in self.applied]

    @functools.cached_property
    def applied(self) -> Sequence[Object]:
        """The objects of its manifest."""
        return tuple(load_objects(self.content.get("manifest") or ""))

    @functools.cached_property
    def hooks(self) -> Sequence[Object]:
        """What Helm ran, or was to run, beside it."""
        return tuple(obj for hook in self.content.get("hooks") or () for obj in load_objects(hook["manifest"]))

    def crds(self) -> list[Object]:
        """The CRDs that its chart keeps in crds/. Those of charts within are not stored with a revision."""
        return crds_of((self.content.get("chart") or {}).get("files") or ())

    def versions(self) -> Versions:
        """What it was made of."""
        return versions(self.content["chart"]["metadata"], self.applied)


def made_by_others(number: int, made: str) -> str:
    """What is told of a revision that Carbon did not make. `made`: by which program, and when."""
    return f"revision {number} was made {made}, and not by Carbon"


async def latest(api: Api, release: Release) -> Revision | None:
    """The newest revision, or None when the release is not installed."""
    labels = f"owner=helm,name={release.name},status!=superseded"
    return newest(await api.list("v1", "Secret", release.namespace, labels=labels))


async def next_number(api: Api, release: Release) -> int:
    """The number that Helm will give the next revision, also of what was uninstalled with its history kept."""
    return max((revision.number for revision in await revisions(api, release)), default=0) + 1


def newest(secrets: Iterable[Object]) -> Revision | None:
    """The newest revision among Helm's storage Secrets of one release; None when that was uninstalled."""
    found = max((_revision(secret) for secret in secrets), key=lambda r: r.number, default=None)
    return None if found is None or found.status == "uninstalled" else found


async def newest_of_each(api: Api, namespace: str) -> dict[str, Revision]:
    """The newest revision of every release in a namespace, by the release's name."""
    found: dict[str, Revision] = {}
    for secret in await api.list("v1", "Secret", namespace, labels="owner=helm,status!=superseded"):
        revision, name = _revision(secret), secret["metadata"]["labels"]["name"]
        if name not in found or found[name].number < revision.number:
            found[name] = revision
    return {name: revision for name, revision in found.items() if revision.status != "uninstalled"}


async def revisions(api: Api, release: Release) -> list[Revision]:
    """Every revision that Helm still has, the oldest first."""
    secrets = await api.list("v1", "Secret", release.namespace, labels=f"owner=helm,name={release.name}")
    return sorted((_revision(secret) for secret in secrets), key=lambda r: r.number)


def _revision(secret: Object) -> Revision:
    labels: Mapping[str, str] = secret["metadata"]["labels"]
    return Revision(int(labels["version"]), labels["status"], secret)


async def label(api: Api, release: Release, number: int, made_of: Inputs) -> None:
    """Say of a revision that Carbon made it, of these."""
    name = ObjectName("v1", "Secret", release.namespace, f"sh.helm.release.v1.{release.name}.v{number}")
    await api.patch(name, {"metadata": {"labels": {LABEL: made_of.label(number)}}})


async def mark_failed(api: Api, revision: Revision, why: str) -> None:
    """Turn a revision whose writer died into a failed one, from which Helm goes on; nothing in the cluster changes.

    Raises Conflict when the revision changed meanwhile: then its writer lives.
    """
    content = {**revision.content, "info": {**revision.content["info"], "status": "failed", "description": why}}
    secret = {**revision.secret, "data": {**revision.secret["data"], "release": encode_release(content)}}
    secret["metadata"] = {**secret["metadata"], "labels": {**secret["metadata"]["labels"], "status": "failed"}}
    await api.replace(secret)
