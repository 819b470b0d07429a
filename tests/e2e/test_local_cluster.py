"""The local cluster on this machine: up again, two at once, killed at once, down without a trace."""

import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.local import cgroups, network, processes, supervision, teardown
from carbon_platform.local.layout import BRIDGE, SERVICE_CIDR, Layout
from carbon_platform.settings import Settings
from tests.e2e.conftest import Carbon

pytestmark = pytest.mark.real

LAYOUT = Layout(Settings().local_cluster)


def pids(carbon: Carbon) -> dict[str, int]:
    return {c["name"]: c["pid"] for c in carbon.json("cluster", "status")["components"]}


def test_up_again_restarts_nothing(carbon: Carbon, cluster: Path) -> None:
    before = pids(carbon)
    carbon("cluster", "up")
    assert pids(carbon) == before


def test_two_at_once_both_end_well(carbon: Carbon, cluster: Path) -> None:
    before = pids(carbon)
    both = [carbon.start("cluster", "up") for _ in range(2)]
    assert [one.wait(300) for one in both] == [0, 0]
    for one in both:
        one.communicate()
    assert pids(carbon) == before


def test_a_pod_resolves_names_and_reaches_services(
    cluster: Path, kubectl: Callable[..., str], platform: dict[str, Any]
) -> None:
    command = "exec 3<>/dev/tcp/redis.data-platform.svc.cluster.local/6379 && echo reached"
    told = kubectl("-n", "data-platform", "exec", "zookeeper-0", "--", "bash", "-c", command)
    assert "reached" in told


def test_metrics_answer_for_the_node_and_its_pods(cluster: Path, kubectl: Callable[..., str]) -> None:
    nodes = json.loads(kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))
    assert nodes["items"]


def test_the_platform_and_the_cluster_fit_into_seven_gibibytes(
    platform: dict[str, Any], carbon: Carbon, cluster: Path
) -> None:
    """Resident memory: each pod's working set as the node measures it, and the cluster's own processes."""
    own = carbon.json("cluster", "status")["components"]
    cluster_bytes = sum(c["memory"] for c in own)
    pods = sum(processes.resident_bytes(pid) for pid in cgroups.processes(LAYOUT.cgroup))
    total = (cluster_bytes + pods) / 2**30
    print(f"resident: cluster {cluster_bytes / 2**30:.2f} GiB, pods {pods / 2**30:.2f} GiB")
    assert total <= 7


def shims() -> list[int]:
    return processes.with_command(lambda command: teardown.is_shim(command, LAYOUT))


def test_a_service_address_that_leads_nowhere_refuses_and_never_leads_out_of_the_machine(
    platform: dict[str, Any], kubectl: Callable[..., str]
) -> None:
    nowhere = str(ipaddress.ip_network(SERVICE_CIDR)[-2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((nowhere, 80), timeout=10)
    asked = ("redis-cli", "-h", nowhere, "-p", "80", "ping")
    told = kubectl("-n", "data-platform", "exec", "redis-0", "--", "sh", "-c", f"{' '.join(asked)} 2>&1", code=None)
    assert "refused" in told


def test_after_everything_was_killed_at_once_it_recovers_with_its_data(
    platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    key = "carbon-e2e-survivor"
    redis = 'REDISCLI_AUTH="$(cat /etc/redis-auth/password)" redis-cli'
    shell = ("-n", "data-platform", "exec", "redis-0", "--", "sh", "-c")
    kubectl(*shell, f"{redis} set {key} alive && {redis} save")
    for pid in [*supervision.ours(LAYOUT.folder), *cgroups.processes(LAYOUT.cgroup), *shims()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert carbon("cluster", "status", code=None).returncode == 1
    carbon("cluster", "up")
    carbon("up", "redis", "postgres")
    assert kubectl(*shell, f"{redis} getdel {key}").strip() == "alive"


def traces() -> dict[str, list[str]]:
    """What a cluster leaves on a machine, if anything."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    return {
        "processes": [str(p) for p in [*supervision.ours(LAYOUT.folder), *cgroups.processes(LAYOUT.cgroup)]],
        "shims": [str(p) for p in shims()],
        "mounts": [m for m in mounts if f"{LAYOUT.folder}/" in m],
        "rules": network.removal(rules).splitlines(),
        "links": [link for link in links if BRIDGE in link],
        "namespaces": [s for s in spaces if s.startswith("cni-")],
        "cgroups": [str(c) for c in cgroups.ROOT.glob(f"*/{LAYOUT.cgroup}")],
    }


@pytest.fixture
def back_up(carbon: Carbon) -> Iterator[None]:
    """Cluster and platform as they were, whatever went wrong: other tests go on with them."""
    yield
    carbon("cluster", "up")
    carbon("up", code=None)


@pytest.mark.usefixtures("back_up")
def test_down_leaves_no_trace_and_up_goes_on_with_the_same_volumes(
    platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    claims = kubectl("get", "pvc", "-A", "-o", "jsonpath={.items[*].spec.volumeName}")
    carbon("cluster", "down")
    assert not {what: found for what, found in traces().items() if found}
    with socket.create_server(("0.0.0.0", LAYOUT.api_port)):
        told = carbon("cluster", "up", code=1).stderr
        assert str(LAYOUT.api_port) in told
        assert f"process {os.getpid()}" in told
    carbon("cluster", "up")
    assert kubectl("get", "pvc", "-A", "-o", "jsonpath={.items[*].spec.volumeName}") == claims
    # All of it, also what was killed before: whatever that had cost it would show now.
    carbon("up")
    # A container that the shutdown ended counts as one that ends, until it has run for longer than it did then.
    deadline = time.monotonic() + 300
    while broken := carbon.broken():
        assert time.monotonic() < deadline, broken
