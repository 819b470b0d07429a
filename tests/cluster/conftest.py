"""A real API server with simulated nodes, a small platform of each test's own, and ways to look at and disturb them."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.target import Target
from carbon_platform.local import supervision
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.local.layout import Layout
from carbon_platform.materialization.session import Session, open_session
from carbon_platform.settings import Settings
from tests.cluster.platform import SmallPlatform

CONTEXT = "carbon-test"
"""Not the local cluster's: nothing is to be built or pulled for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("0.0.0.0", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A control plane with two simulated nodes; gone afterwards, with every process of it."""
    folder = tmp_path_factory.mktemp("cluster") / "c"
    api, etcd, peer = _free_ports(3)
    layout = Layout(folder, api_port=api, etcd_port=etcd, etcd_peer_port=peer, real_node=False, context=CONTEXT)
    made = LocalCluster(layout, Settings().cache, report=print)
    try:
        made.up(simulated_nodes=2)
        yield made
    finally:
        made.down(delete_data=True)
    assert supervision.ours(folder) == []
    assert not folder.exists()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the machine's programs and renders of its own."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "programs").symlink_to(Settings().cache / "programs")
    return folder


@pytest.fixture
def namespace(cluster: LocalCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own. It is not there yet: Carbon makes it."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")[:50].strip("-")
    yield name

    async def forget() -> None:
        async with Api(Target(cluster.layout.kubeconfig, CONTEXT), 30) as api:
            await api.delete(ObjectName("v1", "Namespace", "", name))

    asyncio.run(forget())


@pytest.fixture
def platform(cluster: LocalCluster, cache: Path, tmp_path: Path, namespace: str) -> SmallPlatform:
    """Components of the test's own, and Carbon for them."""
    return SmallPlatform(tmp_path, cache, cluster.layout.kubeconfig, CONTEXT, namespace)


@pytest.fixture
async def api(cluster: LocalCluster) -> AsyncIterator[Api]:
    """A client with every right."""
    async with Api(Target(cluster.layout.kubeconfig, CONTEXT), 30) as client:
        yield client


@pytest.fixture
async def session(platform: SmallPlatform) -> AsyncIterator[Session]:
    """What materializations of this test's platform are connected to."""
    async with open_session(platform.settings()) as opened:
        yield opened


Everything = Callable[[], Awaitable[dict[str, str]]]


@pytest.fixture
def everything(api: Api, namespace: str) -> Everything:
    """Every object in the test's namespace, with its resource version: it changes with the smallest write."""

    async def look() -> dict[str, str]:
        core = await api.request("GET", "/api/v1")
        groups = (await api.request("GET", "/apis"))["groups"]
        named = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups]
        lists = [("/api/v1", core), *zip(named, await asyncio.gather(*(api.request("GET", p) for p in named)), strict=True)]
        paths = [
            f"{root}/namespaces/{namespace}/{resource['name']}"
            for root, found in lists
            for resource in found["resources"]
            if resource["namespaced"] and "list" in resource["verbs"]
        ]
        pages = await asyncio.gather(*(api.request("GET", path) for path in paths))
        found = {
            f"{path} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for path, page in zip(paths, pages, strict=True)
            for item in page["items"]
        }
        own = await api.get(ObjectName("v1", "Namespace", "", namespace))
        return found | ({"namespace": own["metadata"]["resourceVersion"]} if own else {})

    return look
