"""The simulated cluster that charts of others meet: room for them, and what of them is in it."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from benchmarks.corpus.charts import Chart
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError
from carbon_platform.local.cluster import LocalCluster

_PATIENCE = 30.0
_VOLUMES = 100
_CLASS = "simulated"
_GONE_SECONDS = 90.0
_LOOK_SECONDS = 1.0
_NOBODYS = frozenset({"Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision"})
"""Kinds in a namespace that controllers make and remove at their own pace, and Carbon's own claim on a release."""
_STAY = frozenset({"PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"})
_EVERY_NAMESPACES = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a materialization with nothing to do must leave as it is."""

    revisions: frozenset[str]
    pods: Mapping[str, int]
    """UID of each pod that is not a Job's, and how often its containers began again."""

    def changes(self, later: "Trace") -> list[str]:
        """What is otherwise later, in words; nothing when all is the same."""
        said = []
        if new := sorted(later.revisions - self.revisions):
            said.append(f"a new revision: {', '.join(name.rpartition('.')[2] for name in new)}")
        if gone := self.pods.keys() - later.pods.keys():
            said.append(f"pods replaced or removed: {len(gone)}")
        if restarted := [uid for uid, count in self.pods.items() if later.pods.get(uid, count) != count]:
            said.append(f"pods restarted: {len(restarted)}")
        return said


def trace(cluster: LocalCluster, chart: Chart) -> Trace:
    """Of one chart, now."""

    async def ask() -> Trace:
        async with cluster.api(_PATIENCE) as api:
            secrets = await api.list("v1", "Secret", chart.namespace, labels="owner=helm")
            pods = await api.list("v1", "Pod", chart.namespace)
        return Trace(
            frozenset(secret["metadata"]["name"] for secret in secrets),
            {pod["metadata"]["uid"]: _restarts(pod) for pod in pods if not _of_a_job(pod)},
        )

    return asyncio.run(ask())


def _restarts(pod: Object) -> int:
    return sum(status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses") or ())


def _owners(obj: Object) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}


def _of_a_job(pod: Object) -> bool:
    return any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or ())


def make_room(cluster: LocalCluster) -> None:
    """Let pods of any chart run on the nodes, and have volumes for their claims.

    Nobody makes volumes on simulated nodes, so there are some of the default StorageClass already.
    """
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": _CLASS, "annotations": marked},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    spec = {
        "storageClassName": _CLASS,
        "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
        "capacity": {"storage": "16Ti"},
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/nowhere"},
    }
    names = [f"{_CLASS}-{number}" for number in range(_VOLUMES)]
    volumes = [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec} for name in names
    ]

    async def make() -> None:
        async with cluster.api(_PATIENCE) as api:
            # There is no real node here that real pods would have to be kept on.
            for node in await api.list("v1", "Node"):
                await api.patch(ObjectName.of(node), {"spec": {"taints": None}})
            await asyncio.gather(*(api.create(obj) for obj in (storage, *volumes)))

    asyncio.run(make())


@dataclasses.dataclass(frozen=True)
class Left:
    """What is there of a release after it was uninstalled."""

    unexpected: tuple[ObjectName, ...]
    hooks: tuple[ObjectName, ...]
    """Made by hooks of the chart: no part of its release for Helm."""
    stays: tuple[ObjectName, ...]
    """Volume claims, CRDs, what the chart itself wants kept, and what Carbon knows of the data."""


def left(cluster: LocalCluster, charts: Sequence[Chart]) -> dict[str, Left]:
    """What is left of each chart, by name, once the cluster's own controllers have cleaned up."""

    async def ask() -> dict[str, Left]:
        ends = time.monotonic() + _GONE_SECONDS
        async with cluster.api(_PATIENCE) as api:
            while True:
                objects = await _everything(api)
                found = {chart.name: left_of(chart, objects) for chart in charts}
                if time.monotonic() > ends or not any(one.unexpected for one in found.values()):
                    return found
                await asyncio.sleep(_LOOK_SECONDS)

    return asyncio.run(ask())


def left_of(chart: Chart, objects: Sequence[Object]) -> Left:
    """What of these objects is of a chart: in its namespace, or marked by Helm as part of its release.

    What has an owner goes with it, and is not told beside it.
    """
    living = {obj["metadata"].get("uid") for obj in objects}
    mine = [obj for obj in objects if _belongs(obj, chart) and not _owners(obj) & living]
    hooks = [obj for obj in mine if "helm.sh/hook" in (obj["metadata"].get("annotations") or {})]
    stays = [obj for obj in mine if obj not in hooks and _stays(obj)]
    names = [
        tuple(sorted(ObjectName.of(obj) for obj in chosen))
        for chosen in ([obj for obj in mine if obj not in hooks and obj not in stays], hooks, stays)
    ]
    return Left(*names)


def _belongs(obj: Object, chart: Chart) -> bool:
    metadata = obj["metadata"]
    if metadata.get("namespace") == chart.namespace:
        own = obj["kind"] in _NOBODYS or (obj["kind"], metadata["name"]) in _EVERY_NAMESPACES
        return not own
    marks = metadata.get("annotations") or {}
    release = (marks.get("meta.helm.sh/release-namespace"), marks.get("meta.helm.sh/release-name"))
    return release == (chart.namespace, chart.release)


def _stays(obj: Object) -> bool:
    metadata = obj["metadata"]
    policy = (metadata.get("annotations") or {}).get("helm.sh/resource-policy", "")
    carbons = (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == "carbon"
    return obj["kind"] in _STAY or "keep" in policy or carbons


async def _everything(api: Api) -> list[Object]:
    """Every object of the cluster, without kinds that nobody answers for: those of an extension that is away."""
    groups = (await api.request("GET", "/apis"))["groups"]
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    found: list[Object] = []

    async def collect(version: str) -> None:
        with contextlib.suppress(CarbonError):
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            for resource in (await api.request("GET", root, patience=0.0))["resources"]:
                if "list" in resource["verbs"] and "/" not in resource["name"]:
                    found.extend(await api.list(version, resource["kind"]))

    await asyncio.gather(*map(collect, versions))
    return found
