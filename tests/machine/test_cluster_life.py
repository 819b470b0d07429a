"""The local cluster as a user has it: brought up, brought up again, broken in every way, taken down."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.local import cgroups
from carbon_platform.local.layout import Layout
from tests.machine.sandbox import Sandbox, carbon, until

pytestmark = [pytest.mark.real, pytest.mark.rare]

PODS = Path(__file__).parent / "manifests" / "pods.yaml"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A machine with a cluster that is up, and pods on it: a web server with a volume, and a client."""
    sandbox = Sandbox(tmp_path_factory.mktemp("m"))
    try:
        sandbox.run("iptables", "--new-chain", "SOMEBODY")
        sandbox.run("iptables", "--append", "OUTPUT", "--jump", "SOMEBODY", "-m", "comment", "--comment", "not ours")
        sandbox.run("iptables", "--policy", "FORWARD", "DROP")
        sandbox.carbon_cluster("up")
        sandbox.kubectl("apply", "--filename", str(PODS))
        sandbox.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/client", "--timeout=180s")
        sandbox.kubectl("exec", "web", "--", "sh", "-c", "echo kept > /data/index.html")
        yield sandbox
        sandbox.carbon_cluster("down", "--delete-data", "--yes")
    finally:
        sandbox.close()


@pytest.fixture
def up(machine: Sandbox) -> Sandbox:
    """The machine, its cluster up again whatever the test before did."""
    machine.carbon_cluster("up")
    return machine


def _pids(sandbox: Sandbox) -> dict[str, int]:
    told = sandbox.carbon_cluster("status", "--json").json
    return {component["name"]: component["pid"] for component in told["components"]}


def _pod(sandbox: Sandbox, name: str) -> Any:
    return json.loads(sandbox.kubectl("get", "pod", name, "--output=json"))


def _serves(sandbox: Sandbox) -> bool:
    """The client finds the server by its Service's name, and gets what is on its volume."""
    asked = sandbox.kubectl("exec", "client", "--", "busybox", "wget", "-q", "-O", "-", "http://web", code=None)
    return asked == "kept\n"


def test_pods_resolve_names_reach_services_and_the_api(up: Sandbox) -> None:
    until(lambda: _serves(up))
    # Without TLS it answers that TLS is wanted: that is answer enough.
    ask = "busybox wget -O - http://kubernetes.default.svc.cluster.local:443 2>&1"
    assert "400 Bad Request" in up.kubectl("exec", "client", "--", "sh", "-c", ask, code=None)


def test_status_names_every_part_and_its_exit_code_tells_whether_it_is_up(up: Sandbox) -> None:
    told = up.carbon_cluster("status", "--json").json
    assert told["running"] is True
    assert told["context"] == "carbon-local"
    assert told["version"] == "v1.34.4"
    assert told["nodes"] == [{"name": "carbon-local", "ready": True, "simulated": False}]
    assert all(part["state"] == "running" and part["memory"] > 0 for part in told["components"])
    assert {"Deployment kube-system/coredns"} <= {addon["name"] for addon in told["addons"]}


def test_metrics_answer(up: Sandbox) -> None:
    until(lambda: "carbon-local" in up.kubectl("top", "node", code=None))


def test_bringing_it_up_again_changes_nothing_whatever_the_shell(up: Sandbox) -> None:
    before, pod = _pids(up), _pod(up, "web")
    up.carbon_cluster("up", PATH="/elsewhere:/usr/sbin:/usr/bin:/sbin:/bin")
    assert _pids(up) == before
    assert _pod(up, "web")["status"]["containerStatuses"] == pod["status"]["containerStatuses"]


def test_two_that_bring_it_up_at_once_make_one_cluster(up: Sandbox) -> None:
    up.carbon_cluster("down")
    both = [up.start(*carbon("up")) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("supervisor.supervisord" in command for command in up.processes().values()) == 1


def test_a_program_that_dies_is_started_again(up: Sandbox) -> None:
    before = _pids(up)
    up.run("kill", "-9", str(before["kube-scheduler"]), str(before["etcd"]))
    until(lambda: {"kube-scheduler", "etcd"} <= {n for n, pid in _pids(up).items() if pid and pid != before.get(n)})
    up.carbon_cluster("up")
    assert _pids(up)["kubelet"] == before["kubelet"]


def test_another_port_restarts_what_uses_it_and_no_pod(up: Sandbox) -> None:
    before, pod = _pids(up), _pod(up, "web")
    up.carbon_cluster("up", CARBON_API_PORT="7443")
    after = _pids(up)
    assert after["kube-apiserver"] != before["kube-apiserver"]
    assert after["etcd"] == before["etcd"]
    assert after["containerd"] == before["containerd"]
    assert ":7443" in (up.home / "cluster" / "kubeconfig").read_text(encoding="utf-8")
    assert _pod(up, "web")["status"]["containerStatuses"] == pod["status"]["containerStatuses"]
    until(lambda: _serves(up))


def test_after_everything_was_killed_it_recovers_with_pods_volumes_and_services(up: Sandbox) -> None:
    up.run("kill", "-9", *map(str, up.processes()), code=None)  # one may have ended by itself meanwhile
    until(lambda: not up.processes())
    leftovers = up.traces()
    assert leftovers["mounts"]
    assert leftovers["chains"]
    up.carbon_cluster("up")
    until(lambda: _serves(up))
    assert up.carbon_cluster("status", "--json").json["running"] is True


def test_when_its_supervisor_alone_was_killed_it_recovers(up: Sandbox) -> None:
    supervisors = [pid for pid, command in up.processes().items() if "supervisor.supervisord" in command]
    up.run("kill", "-9", *map(str, supervisors))
    up.carbon_cluster("up")
    until(lambda: _serves(up))


def test_down_leaves_nothing_but_data_and_up_goes_on_with_it(up: Sandbox) -> None:
    claims = up.kubectl("get", "persistentvolumes", "--output=name")
    up.carbon_cluster("down")
    traces = up.traces()
    assert traces["processes"] == []
    assert traces["mounts"] == []
    assert traces["interfaces"] == ["lo"]
    assert [rule for rule in traces["rules"] if "SOMEBODY" not in rule] == []
    assert traces["chains"] == []
    assert traces["namespaces"] == ""
    assert traces["files"] == []
    assert "SOMEBODY" in up.run("iptables-save").stdout, "the rule of another is gone"
    layout = Layout(up.home / "cluster")
    assert list(cgroups.ROOT.glob(f"**/{layout.cgroup}")) == []
    assert up.carbon_cluster("status", code=1).code == 1
    up.carbon_cluster("up")
    assert up.kubectl("get", "persistentvolumes", "--output=name") == claims
    until(lambda: _serves(up))


def test_down_twice_and_of_nothing_is_no_error(up: Sandbox) -> None:
    up.carbon_cluster("down", CARBON_HOME=str(up.folder / "nothing"))
    assert up.carbon_cluster("status", "--json").json["running"] is True
    up.carbon_cluster("down")
    up.carbon_cluster("down")


def test_a_taken_port_is_named_with_its_process_and_nothing_is_started(up: Sandbox) -> None:
    up.carbon_cluster("down")
    serve = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 2379)); print('on', flush=True); time.sleep(600)"
    )
    other = up.start("python3", "-c", serve)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "on\n"
        told = up.carbon_cluster("up", code=1).errors
        assert "port 2379 is in use, and etcd needs it" in told
        assert "python3 (process " in told
        assert not any("supervisord" in command for command in up.processes().values())
    finally:
        up.run("kill", *(str(pid) for pid, command in up.processes().items() if "create_server" in command))
        other.communicate(timeout=30)


def test_a_second_cluster_is_refused_and_the_first_lives_on(up: Sandbox) -> None:
    until(lambda: _serves(up))
    before = _pids(up)
    told = up.carbon_cluster("up", code=1, CARBON_HOME=str(up.folder / "second")).errors
    assert "another local cluster runs on this machine" in told
    assert _pids(up) == before
    assert _serves(up)


def test_a_disk_of_a_person_s_for_the_volumes_stays_mounted_and_they_on_it(up: Sandbox) -> None:
    volumes, disk = up.home / "cluster" / "volumes", up.folder / "disk"
    up.carbon_cluster("down")
    up.run("cp", "--archive", volumes, disk)
    up.run("mount", "--bind", disk, volumes)
    try:
        up.carbon_cluster("up")
        until(lambda: _serves(up))
        up.kubectl("exec", "web", "--", "sh", "-c", "echo written > /data/more")
        up.carbon_cluster("down")
        (mount,) = up.traces()["mounts"]
        assert f" {volumes} " in mount
        assert [file.read_text(encoding="utf-8") for file in disk.rglob("more")] == ["written\n"]
    finally:
        up.carbon_cluster("down")
        up.run("umount", volumes)


def test_deleting_its_data_never_goes_through_a_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    sandbox = Sandbox(tmp_path_factory.mktemp("d"))
    try:
        precious = sandbox.folder / "precious"
        precious.mkdir()
        (precious / "file").touch()
        inside = sandbox.home / "cluster" / "volumes" / "mounted"
        inside.mkdir(parents=True)
        sandbox.run("mount", "--bind", precious, inside)
        sandbox.carbon_cluster("down", "--delete-data", "--yes")
        assert (precious / "file").exists()
        assert not (sandbox.home / "cluster").exists()
    finally:
        sandbox.close()


def test_simulated_nodes_stay_beside_the_real_one_until_told_otherwise(up: Sandbox) -> None:
    up.carbon_cluster("up", "--simulated-nodes", "2")
    up.carbon_cluster("up")
    nodes = up.carbon_cluster("status", "--json").json["nodes"]
    assert [n["name"] for n in nodes if n["simulated"] and n["ready"]] == ["simulated-0", "simulated-1"]
    up.carbon_cluster("up", "--simulated-nodes", "0")
    told = up.carbon_cluster("status", "--json").json
    assert [n["name"] for n in told["nodes"]] == ["carbon-local"]
    assert "kwok" not in {part["name"] for part in told["components"]}
