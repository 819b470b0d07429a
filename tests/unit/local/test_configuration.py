"""What the local cluster's programs are told."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from carbon_platform.local import configuration
from carbon_platform.local.catalogue import SOURCES
from carbon_platform.local.configuration import Program
from carbon_platform.local.layout import Layout
from carbon_platform.local.node import name_servers, node

PROGRAMS = {name: Path("/cache") / name for name in SOURCES}


@pytest.fixture
def layout() -> Iterator[Layout]:
    # Not pytest's own temporary folder: its path may be too long for sockets.
    with tempfile.TemporaryDirectory(prefix="carbon-") as folder:
        made = Layout(Path(folder), 16443, 12379, 12380, context="test")
        configuration.write(made)
        yield made


def _programs(layout: Layout) -> list[Program]:
    return [
        *configuration.control_plane(layout, PROGRAMS),
        *node(layout, PROGRAMS, bridged_traffic_seen=True),
        configuration.simulator(layout, PROGRAMS),
    ]


def _flags(layout: Layout, name: str) -> dict[str, str]:
    (program,) = [program for program in _programs(layout) if program.name == name]
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in program.command[1:] if flag.startswith("--"))


def _file(layout: Layout, name: str) -> dict[str, object]:
    _programs(layout)
    read: dict[str, object] = yaml.safe_load((layout.config / name).read_text(encoding="utf-8"))
    return read


def test_every_file_that_a_program_is_said_to_read_is_there(layout: Layout) -> None:
    for program in _programs(layout):
        assert all(file.is_file() for file in program.files), program.name


def test_every_file_that_a_command_line_names_is_there(layout: Layout) -> None:
    for program in _programs(layout):
        for name, value in _flags(layout, program.name).items():
            if value.startswith(str(layout.folder)) and not name.endswith("-dir"):
                assert Path(value).is_file(), f"{program.name} --{name}"


def test_every_client_has_a_certificate_of_its_own(layout: Layout) -> None:
    used = Counter[str]()
    for file in [layout.kubeconfig, *layout.config.glob("*.kubeconfig")]:
        (user,) = yaml.safe_load(file.read_text(encoding="utf-8"))["users"]
        used[user["user"]["client-certificate"]] += 1
    assert len(used) == 6
    assert set(used.values()) == {1}


def test_keys_and_configuration_can_be_read_by_their_owner_only(layout: Layout) -> None:
    secret = [layout.kubeconfig, *layout.pki.glob("*.key"), *layout.config.glob("*.kubeconfig")]
    assert len(secret) > 8
    assert [file for file in secret if file.stat().st_mode & 0o077] == []


def test_the_kubeconfig_has_the_cluster_s_own_context_and_address(layout: Layout) -> None:
    told = yaml.safe_load(layout.kubeconfig.read_text(encoding="utf-8"))
    assert told["current-context"] == "test"
    assert told["clusters"][0]["cluster"]["server"] == "https://10.244.0.1:16443"


def test_nobody_is_anonymous_and_rights_come_from_rbac(layout: Layout) -> None:
    api = _flags(layout, "kube-apiserver")
    assert (api["anonymous-auth"], api["authorization-mode"]) == ("false", "Node,RBAC")
    kubelet = _file(layout, "kubelet.yaml")
    assert kubelet["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
    }
    assert kubelet["authorization"] == {"mode": "Webhook"}


def test_nothing_listens_where_it_need_not(layout: Layout) -> None:
    etcd = _flags(layout, "etcd")
    assert etcd["listen-client-urls"] == "https://127.0.0.1:12379"
    assert etcd["listen-peer-urls"] == "http://127.0.0.1:12380"
    assert etcd["client-cert-auth"] == "true"
    api = _flags(layout, "kube-apiserver")
    assert (api["bind-address"], api["secure-port"]) == ("10.244.0.1", "16443")
    for quiet in ("kube-controller-manager", "kube-scheduler"):
        assert _flags(layout, quiet)["secure-port"] == "0"
    assert _flags(layout, "kwok")["server-address"] == ""
    assert _file(layout, "kubelet.yaml")["healthzPort"] == 0
    assert _file(layout, "kube-proxy.yaml")["metricsBindAddress"] == ""


def test_a_control_plane_alone_is_at_loopback_and_names_no_endpoint_for_pods() -> None:
    with tempfile.TemporaryDirectory(prefix="carbon-") as folder:
        alone = Layout(Path(folder), real_node=False)
        configuration.write(alone)
        assert "--bind-address=127.0.0.1" in configuration.control_plane(alone, PROGRAMS)[1].command
        assert "--endpoint-reconciler-type=none" in configuration.control_plane(alone, PROGRAMS)[1].command


def test_the_kubelet_keeps_to_the_cgroup_and_containerd_of_its_cluster(layout: Layout) -> None:
    kubelet = _file(layout, "kubelet.yaml")
    assert kubelet["cgroupRoot"] == f"/{layout.cgroup}"
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{layout.containerd_socket}"


def test_what_was_written_is_written_once(layout: Layout) -> None:
    _programs(layout)
    before = {file: file.stat().st_mtime_ns for file in layout.folder.rglob("*") if file.is_file()}
    configuration.write(layout)
    _programs(layout)
    assert {file: file.stat().st_mtime_ns for file in layout.folder.rglob("*") if file.is_file()} == before


def test_only_containerd_goes_through_the_machine_s_proxy(layout: Layout) -> None:
    proxied = {program.name for program in _programs(layout) if "HTTPS_PROXY" not in program.environment}
    assert proxied == {"containerd"}


@pytest.mark.parametrize("seen", [True, False])
def test_where_bridged_traffic_is_not_filtered_every_answer_comes_back_through_the_node(
    layout: Layout, seen: bool
) -> None:
    node(layout, PROGRAMS, bridged_traffic_seen=seen)
    told = yaml.safe_load((layout.config / "kube-proxy.yaml").read_text(encoding="utf-8"))
    assert told["iptables"]["masqueradeAll"] is not seen


def test_pods_get_the_machine_s_name_servers_but_none_on_loopback() -> None:
    text = "# resolved\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch lan\nnameserver ::1\nnameserver\n"
    assert name_servers(text) == "nameserver 10.0.0.2\noptions ndots:1\n"
    assert name_servers("") == "options ndots:1\n"
