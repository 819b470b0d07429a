"""What Helm remembers of a release, read from its storage Secrets without starting Helm."""

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.helm import decode_release, encode_release, load_objects
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

    def content(self) -> dict[str, Any]:
        """The decoded release: chart, config, manifest, info."""
        return decode_release(self.secret)

    def objects(self) -> list[ObjectName]:
        """The objects of its manifest."""
        return [name for _, name in self.manifest()]

    def manifest(self) -> list[tuple[Object, ObjectName]]:
        """The objects it applied, with the names they have in the cluster."""
        return [(obj, ObjectName.of(obj)) for obj in load_objects(self.content()["manifest"])]

    def applied(self) -> list[Object]:
        """Everything that was applied for it: its manifest, and the CRDs that its chart keeps in crds/."""
        release = self.content()
        files = release["chart"].get("files") or ()
        crds = [file["data"] for file in files if file["name"].startswith("crds/")]
        texts = [base64.b64decode(data).decode() for data in crds]
        return [obj for text in (*texts, release["manifest"]) for obj in load_objects(text)]

    def versions(self) -> Versions:
        """What it was made of."""
        release = self.content()
        return versions(release["chart"]["metadata"], load_objects(release.get("manifest") or ""))


async def latest(api: Api, release: Release) -> Revision | None:
    """The newest revision, or None when the release is not installed."""
    labels = f"owner=helm,name={release.name},status!=superseded"
    return newest(await api.list("v1", "Secret", release.namespace, labels=labels))


def newest(secrets: Iterable[Object]) -> Revision | None:
    """The newest revision among Helm's storage Secrets of one release."""
    return max((_revision(secret) for secret in secrets), key=lambda r: r.number, default=None)


async def newest_of_each(api: Api, namespace: str) -> dict[str, Revision]:
    """The newest revision of every release in a namespace, by the release's name."""
    found: dict[str, Revision] = {}
    for secret in await api.list("v1", "Secret", namespace, labels="owner=helm,status!=superseded"):
        revision, name = _revision(secret), secret["metadata"]["labels"]["name"]
        if name not in found or found[name].number < revision.number:
            found[name] = revision
    return found


async def revisions(api: Api, release: Release) -> list[Revision]:
    """Every revision that Helm still has, the oldest first."""
    secrets = await api.list("v1", "Secret", release.namespace, labels=f"owner=helm,name={release.name}")
    return sorted((_revision(secret) for secret in secrets), key=lambda r: r.number)


def _revision(secret: Object) -> Revision:
    labels: Mapping[str, str] = secret["metadata"]["labels"]
    return Revision(int(labels["version"]), labels["status"], secret)


async def mark_failed(api: Api, revision: Revision, why: str) -> None:
    """Turn a revision whose writer died into a failed one, from which Helm goes on; nothing in the cluster changes.

    Raises Conflict when the revision changed meanwhile: then its writer lives.
    """
    content = revision.content()
    content["info"] = {**content["info"], "status": "failed", "description": why}
    secret = {**revision.secret, "data": {**revision.secret["data"], "release": encode_release(content)}}
    secret["metadata"] = {**secret["metadata"], "labels": {**secret["metadata"]["labels"], "status": "failed"}}
    await api.replace(secret)
