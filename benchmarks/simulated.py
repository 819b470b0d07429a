"""What benchmarks share: a cluster whose nodes only pretend, and small releases to deploy on it."""

import asyncio
import contextlib
import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tenacity
import yaml

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.environment import FILE
from carbon_platform.errors import CarbonError
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.local.packages import Report
from carbon_platform.local.temporary import temporary
from carbon_platform.settings import settings

CHART = Path(__file__).parent / "charts" / "app"
CONTEXT = "carbon-simulated"
_PATIENCE = 30.0
_GONE_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class Release:
    """One small release, as either side is told of it."""

    name: str
    namespace: str
    needs: tuple["Release", ...]


def releases(count: int, namespace: str, *, wide: int = 5, namespaces: int = 5) -> list[Release]:
    """`count` releases in levels of `wide`; each needs two of the level above. They share `namespaces` namespaces."""
    made: list[Release] = []
    for number in range(count):
        above = made[(number // wide - 1) * wide :][:wide] if number >= wide else []
        column = number % wide
        needs = {above[column % len(above)], above[(column + 1) % len(above)]} if above else set()
        where = f"{namespace}-{(number + number // wide) % namespaces}"
        made.append(Release(f"app-{number:02d}", where, tuple(sorted(needs, key=lambda need: need.name))))
    return made


def write_chart(folder: Path) -> Path:
    """The chart of all releases, copied to where a definition finds it."""
    target = folder / "charts" / CHART.name
    if not target.exists():
        shutil.copytree(CHART, target)
    return target


def write_definitions(folder: Path, chosen: Iterable[Release]) -> Path:
    """The releases as Carbon's definitions; the folder to give as CARBON_DEFS."""
    chart = write_chart(folder)
    for release in chosen:
        attributes: dict[str, Any] = {
            "title": release.name,
            "group": "data",
            "namespace": release.namespace,
            "needs": [need.name.replace("-", "_") for need in release.needs],
            "chart": {"path": f"charts/{chart.name}"},
            "values": {"message": release.name},
        }
        file = folder / "defs" / release.name.replace("-", "_") / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        definition = {"type": "carbon_platform.components.HelmRelease", "attributes": attributes}
        file.write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
    return folder / "defs"


def environment(
    folder: Path, definitions: Path, cluster: LocalCluster, helm: Path, name: str = "simulated"
) -> dict[str, str]:
    """What `carbon` is told to work with these definitions on that cluster, with state and cache in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {"context": cluster.layout.context, "kubeconfig": str(cluster.layout.kubeconfig)}
    file = folder / FILE
    file.write_text(yaml.safe_dump({"environments": {name: {"cluster": named}}}), encoding="utf-8")
    return {
        "CARBON_ENVIRONMENTS": str(file),
        "CARBON_ENV": name,
        "CARBON_HOME": str(folder / "home"),
        "CARBON_CACHE": str(folder / "cache"),
        "CARBON_DEFS": str(definitions),
        "CARBON_HELM": str(helm),
        "HELM_CACHE_HOME": str(folder / "helm-cache"),
        "HELM_CONFIG_HOME": str(folder / "helm-config"),
        "HELM_DATA_HOME": str(folder / "helm-data"),
    }


def write_helmfile(folder: Path, chosen: Iterable[Release]) -> Path:
    """The same releases as a helmfile that waits for their pods."""
    chart = write_chart(folder)
    listed = [
        {
            "name": release.name,
            "namespace": release.namespace,
            "chart": str(chart),
            "needs": [f"{need.namespace}/{need.name}" for need in release.needs],
            "values": [{"message": release.name}],
        }
        for release in chosen
    ]
    file = folder / "helmfile.yaml"
    file.write_text(yaml.safe_dump({"helmDefaults": {"wait": True}, "releases": listed}, sort_keys=False), "utf-8")
    return file


@contextlib.contextmanager
def simulated_cluster(folder: Path, nodes: int, report: Report) -> Iterator[LocalCluster]:
    """A control plane of its own with so many simulated nodes; nothing of it is left afterwards."""
    with temporary(folder, CONTEXT, settings().cache, report) as cluster:
        cluster.up(simulated_nodes=nodes)
        yield cluster


def not_as_wanted(cluster: LocalCluster, chosen: Iterable[Release]) -> list[str]:
    """Releases whose Deployment does not have all its pods ready now."""

    async def ask() -> list[str]:
        async with cluster.api(_PATIENCE) as api:
            live = {_place(obj): obj for obj in await api.list("apps/v1", "Deployment")}
        return [f"{r.namespace}/{r.name}" for r in chosen if not _complete(live.get((r.namespace, r.name)))]

    return asyncio.run(ask())


def _place(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _complete(deployment: dict[str, Any] | None) -> bool:
    if deployment is None:
        return False
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(current and status.get("readyReplicas") == status.get("updatedReplicas") == wanted)


def revisions(cluster: LocalCluster, chosen: Iterable[Release]) -> int:
    """How many Helm revisions the releases have together."""

    async def ask() -> int:
        async with cluster.api(_PATIENCE) as api:
            found = [await api.list("v1", "Secret", ns, labels="owner=helm") for ns in {r.namespace for r in chosen}]
        return sum(map(len, found))

    return asyncio.run(ask())


class _StillThere(CarbonError):
    pass


def remove(cluster: LocalCluster, chosen: Iterable[Release]) -> None:
    """Delete the releases' namespaces and return when they are gone, pods and all."""
    names = [ObjectName("v1", "Namespace", "", namespace) for namespace in {r.namespace for r in chosen}]

    async def clean() -> None:
        async with cluster.api(_PATIENCE) as api:
            await asyncio.gather(*(api.delete(name) for name in names))
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(_StillThere),
                stop=tenacity.stop_after_delay(_GONE_SECONDS),
                wait=tenacity.wait_fixed(0.5),
                reraise=True,
            ):
                with attempt:
                    left = [name for name in names if await api.get(name) is not None]
                    if left:
                        raise _StillThere(
                            "namespaces are not gone", ", ".join(map(str, left)), "see the cluster's logs"
                        )

    asyncio.run(clean())
