"""A control plane alone, with simulated nodes: several at once, and quick."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Conflict
from carbon_platform.local import supervision
from carbon_platform.local.cluster import LocalCluster, existing
from carbon_platform.local.layout import Layout
from carbon_platform.local.temporary import end_abandoned, temporary
from carbon_platform.settings import Settings
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster


@pytest.fixture
def another() -> Iterator[LocalCluster]:
    """A second control plane, not up yet."""
    with (
        tempfile.TemporaryDirectory(prefix="carbon-") as folder,
        temporary(Path(folder) / "with space", "carbon-another", Settings().cache, print) as cluster,
    ):
        yield cluster


def _pids(cluster: LocalCluster) -> dict[str, int]:
    return {state["name"]: state["pid"] for state in supervision.states(cluster.layout)}


async def _version(cluster: LocalCluster) -> str:
    async with cluster.api() as api:
        return str((await api.request("GET", "/version"))["gitVersion"])


async def test_two_control_planes_run_side_by_side(cluster: LocalCluster, another: LocalCluster) -> None:
    await _in_thread(another.up)
    assert await _version(another) == await _version(cluster) == "v1.34.4"


async def test_up_again_leaves_every_program_alone(cluster: LocalCluster) -> None:
    before = _pids(cluster)
    await _in_thread(cluster.up)
    assert _pids(cluster) == before


async def test_what_it_stores_survives_being_killed_and_being_stopped(another: LocalCluster) -> None:
    await _in_thread(another.up)
    name = ObjectName("v1", "ConfigMap", "default", "kept")
    async with another.api() as api:
        await api.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": "default"}}
        )
    ours = supervision.ours(another.layout.folder)
    assert len(ours) == 5
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    await _in_thread(another.up)
    async with another.api() as api:
        assert await api.get(name) is not None
    await _in_thread(another.down)
    assert supervision.ours(another.layout.folder) == []
    found = existing(another.layout.folder, another.cache, print)
    assert (await _in_thread(found.status))["running"] is False
    await _in_thread(another.up)
    async with another.api() as api:
        assert await api.get(name) is not None


CREATOR = """
import sys, time
from pathlib import Path
from carbon_platform.local.temporary import temporary
from carbon_platform.settings import Settings
with temporary(Path(sys.argv[1]), "carbon-killed", Settings().cache, lambda told: None) as cluster:
    cluster.up()
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for those of sockets."""
    with tempfile.TemporaryDirectory(prefix="carbon-") as folder:
        yield Path(folder)


@pytest.fixture
def creator(short: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has brought up a control plane in `short / "c"`, and would go on."""
    command = [sys.executable, "-c", CREATOR, str(short / "c")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


async def test_when_its_creator_is_killed_a_temporary_control_plane_ends_with_its_data(
    creator: subprocess.Popen[str], short: Path
) -> None:
    folder = short / "c"
    assert supervision.ours(folder)
    creator.kill()

    async def left() -> tuple[list[int], bool]:
        return supervision.ours(folder), folder.exists()

    await until(left, ([], False))


async def test_when_who_waits_for_that_is_killed_too_the_next_one_that_is_made_ends_it(
    creator: subprocess.Popen[str], cluster: LocalCluster, short: Path
) -> None:
    folder, others = short / "c", _pids(cluster)
    for pid in [*_children(creator.pid), creator.pid]:
        os.kill(pid, signal.SIGKILL)
    creator.wait()
    assert supervision.ours(folder)
    await _in_thread(lambda: end_abandoned(print))
    assert (supervision.ours(folder), folder.exists()) == ([], False)
    assert _pids(cluster) == others, "one whose creator lives is left alone"


async def test_a_taken_port_is_refused_with_who_has_it(cluster: LocalCluster, another: LocalCluster) -> None:
    taken = cluster.layout.etcd_port
    layout = Layout(another.layout.folder, another.layout.api_port, taken, 0, real_node=False)
    with pytest.raises(Conflict, match=f"port {taken} is in use, and etcd needs it") as refused:
        await _in_thread(LocalCluster(layout, another.cache, print).up)
    assert f"etcd (process {_pids(cluster)['etcd']})" in refused.value.cause


async def test_nobody_is_anonymous_and_keys_are_for_their_owner(cluster: LocalCluster) -> None:
    import httpx2

    layout = cluster.layout
    async with httpx2.AsyncClient(verify=False) as stranger:
        answer = await stranger.get(f"{layout.server}/api/v1/namespaces")
    assert answer.status_code == 401
    secret = [layout.kubeconfig, *layout.pki.glob("*.key"), *layout.config.glob("*.kubeconfig")]
    assert len(secret) > 10
    assert {file.stat().st_mode & 0o077 for file in secret} == {0}


async def test_simulated_pods_get_ready_jobs_complete_and_deletion_works(
    cluster: LocalCluster, simulated_nodes: Callable[[int], list[str]]
) -> None:
    assert await _in_thread(lambda: simulated_nodes(2)) == ["simulated-0", "simulated-1"]
    async with cluster.api() as api:
        await api.create(_workload("apps/v1", "Deployment", "many", {"replicas": 20, "selector": _labels("many")}))
        await api.create(_workload("batch/v1", "Job", "once", {}, restart="Never"))
        many = ObjectName("apps/v1", "Deployment", "default", "many")
        once = ObjectName("batch/v1", "Job", "default", "once")
        await until(lambda: _status(api, many, "readyReplicas"), 20)
        await until(lambda: _status(api, once, "succeeded"), 1)
        await api.delete(many)
        await until(lambda: _pods(api), 0)


async def test_simulated_nodes_stay_ready_by_their_leases(
    cluster: LocalCluster, simulated_nodes: Callable[[int], list[str]]
) -> None:
    await _in_thread(lambda: simulated_nodes(2))
    async with cluster.api() as api:
        leases = await api.list("coordination.k8s.io/v1", "Lease", "kube-node-lease")
    assert {lease["metadata"]["name"]: lease["spec"]["leaseDurationSeconds"] for lease in leases}["simulated-0"] == 40


async def _status(api: Api, name: ObjectName, field: str) -> Any:
    live = await api.get(name)
    return (live or {}).get("status", {}).get(field)


async def _pods(api: Api) -> int:
    return len(await api.list("v1", "Pod", "default", labels="app=many"))


def _labels(name: str) -> dict[str, Any]:
    return {"matchLabels": {"app": name}}


def _workload(api_version: str, kind: str, name: str, spec: dict[str, Any], **pod: Any) -> dict[str, Any]:
    tolerated = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]
    pod = {"containers": [{"name": "main", "image": "none"}], "tolerations": tolerated, "restartPolicy": "Always"} | {
        {"restart": "restartPolicy"}[key]: value for key, value in pod.items()
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**spec, "template": template},
    }


async def _in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)
