"""A real API server with simulated nodes, and for each test a small platform in a namespace of its own."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.components.definition import platform as loaded_platform
from carbon_platform.local import supervision
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.local.temporary import temporary
from carbon_platform.session import Session, open_session
from carbon_platform.settings import Settings, settings
from tests.cluster.platform import Platform
from tests.objects import written

__all__ = ["Platform"]

CONTEXT = "carbon-test"
"""Not the local cluster's: nothing is to be built or pulled for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A control plane with two simulated nodes; gone afterwards, with every process of it."""
    folder = tmp_path_factory.mktemp("cluster") / "c"
    with temporary(folder, CONTEXT, Settings().cache, print) as made:
        made.up(simulated_nodes=2)
        yield made
    assert supervision.ours(folder) == []
    assert not folder.exists()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the machine's programs, and with renders of its own."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "programs").symlink_to(Settings().cache / "programs")
    return folder


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A name for the test's namespace. It is not there yet: Carbon makes it."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))
    return f"{words[:40].strip('-')}-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]}"


@pytest.fixture
def platform(cluster: LocalCluster, cache: Path, tmp_path: Path, namespace: str) -> Iterator[Platform]:
    """Components of the test's own, and Carbon for them."""
    made = Platform(tmp_path, cache, cluster, namespace)
    yield made

    async def forget() -> None:
        async with made.api() as api:
            await api.delete(ObjectName("v1", "Namespace", "", namespace))

    asyncio.run(forget())


@pytest.fixture
def own_settings(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has the settings that the platform's own commands have, for what Dagster runs in it."""
    for name, value in platform.environment.items():
        if name.startswith("CARBON_"):
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    loaded_platform.cache_clear()
    yield
    settings.cache_clear()
    loaded_platform.cache_clear()


@pytest.fixture
async def api(platform: Platform) -> AsyncIterator[Api]:
    """A client with every right."""
    async with platform.api() as client:
        yield client


@pytest.fixture
async def session(platform: Platform) -> AsyncIterator[Session]:
    """What materializations of this test's platform are connected to."""
    async with open_session(platform.settings()) as opened:
        yield opened


@pytest.fixture
async def volumes(api: Api, namespace: str) -> AsyncIterator[str]:
    """A StorageClass of four volumes that are there already."""
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": namespace},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    spec = {
        "storageClassName": namespace,
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Mi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/nowhere"},
    }
    made = [storage]
    made += [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{i}"}, "spec": spec}
        for i in range(4)
    ]
    for obj in made:
        await api.create(obj)
    yield namespace
    for obj in made:
        await api.delete(ObjectName.of(obj))


_CONTROLLERS_OWN = frozenset({"endpoints", "endpointslices", "events"})
_IN_EACH_NAMESPACE = frozenset({"configmaps kube-root-ca.crt", "serviceaccounts default"})
"""What the cluster itself puts into a new namespace, some time after it was made."""

Everything = Callable[[], Awaitable[dict[str, str]]]


@pytest.fixture
def everything(api: Api, namespace: str) -> Everything:
    """Every object in the test's namespace, as it is written: the smallest write changes it.

    What the cluster's controllers write at their own pace, a status or an endpoint, is not looked at.
    """

    async def look() -> dict[str, str]:
        groups = (await api.request("GET", "/apis"))["groups"]
        roots = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
        lists = await asyncio.gather(*(api.request("GET", root) for root in roots))
        paths = [
            f"{root}/namespaces/{namespace}/{resource['name']}"
            for root, found in zip(roots, lists, strict=True)
            for resource in found["resources"]
            if resource["namespaced"] and "list" in resource["verbs"] and resource["name"] not in _CONTROLLERS_OWN
        ]
        pages = await asyncio.gather(*(api.request("GET", path) for path in paths))
        found = {
            f"{path} {item['metadata']['name']}": written(item)
            for path, page in zip(paths, pages, strict=True)
            for item in page["items"]
            if f"{path.rpartition('/')[2]} {item['metadata']['name']}" not in _IN_EACH_NAMESPACE
        }
        own = await api.get(ObjectName("v1", "Namespace", "", namespace))
        return found | ({"namespace": written(own)} if own else {})

    return look


@pytest.fixture(scope="session")
def api_server(cluster: LocalCluster) -> Path:
    """Kubeconfig of a real API server. No pod ever runs on it but simulated ones."""
    return cluster.layout.kubeconfig


@pytest.fixture(scope="session")
def simulated_nodes(cluster: LocalCluster) -> Callable[[int], list[str]]:
    """Give the API server so many simulated nodes, on which pods are ready at once; their names.

    Pods have to tolerate the taint `kwok.x-k8s.io/node`.
    """

    def have(number: int) -> list[str]:
        cluster.up(simulated_nodes=number)

        async def names() -> list[str]:
            async with cluster.api() as api:
                return [node["metadata"]["name"] for node in await api.list("v1", "Node")]

        return asyncio.run(names())

    return have
