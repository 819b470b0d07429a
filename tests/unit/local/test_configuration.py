"""What the local cluster's programs are told, and what supervises them."""

import configparser
from pathlib import Path

import pytest
import yaml

from carbon_platform.cluster.target import LOCAL_CONTEXT
from carbon_platform.local import configuration, supervision
from carbon_platform.local.catalogue import CONTROL_PLANE, NODE, SOURCES, TOOLS
from carbon_platform.local.configuration import Program
from carbon_platform.local.layout import Layout, machine_address

PROGRAMS = {name: Path(f"/programs/{name}") for name in (*CONTROL_PLANE, *NODE, "kwok")}
ADDRESS = "192.0.2.7"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "cluster", ADDRESS, 16443, 12379, 12380, real_node=False, context="test")


def flags(program: Program) -> dict[str, str]:
    return dict(part.removeprefix("--").split("=", 1) for part in program.command[1:] if "=" in part)


def written(layout: Layout, simulated_nodes: int = 0) -> dict[str, dict[str, str]]:
    return {program.name: flags(program) for program in configuration.write(layout, PROGRAMS, simulated_nodes)}


def test_a_control_plane_alone_is_four_programs_and_simulated_nodes_one_more(layout: Layout) -> None:
    assert set(written(layout)) == set(CONTROL_PLANE)
    assert set(written(layout, 3)) == {*CONTROL_PLANE, "kwok"}


def test_nothing_listens_where_it_need_not(layout: Layout) -> None:
    told = written(layout, 1)
    assert told["etcd"]["listen-client-urls"] == "https://127.0.0.1:12379"
    assert told["etcd"]["listen-peer-urls"] == "http://127.0.0.1:12380"
    assert told["etcd"]["client-cert-auth"] == "true"
    assert (told["kube-apiserver"]["bind-address"], told["kube-apiserver"]["secure-port"]) == (ADDRESS, "16443")
    assert told["kube-controller-manager"]["secure-port"] == told["kube-scheduler"]["secure-port"] == "0"
    assert told["kwok"]["server-address"] == ""


def test_nobody_gets_in_without_a_certificate_and_a_permission(layout: Layout) -> None:
    api = written(layout)["kube-apiserver"]
    assert (api["anonymous-auth"], api["authorization-mode"]) == ("false", "Node,RBAC")
    assert "insecure-port" not in api


def test_keys_and_configuration_can_be_read_by_their_owner_only(layout: Layout) -> None:
    written(layout)
    secret = [layout.kubeconfig, *layout.pki.glob("*.key"), *layout.config.glob("*.kubeconfig")]
    assert len(secret) > 8
    assert [file for file in secret if file.stat().st_mode & 0o077] == []


def test_the_kubeconfig_has_the_clusters_own_context_and_address(layout: Layout) -> None:
    written(layout)
    told = yaml.safe_load(layout.kubeconfig.read_text(encoding="utf-8"))
    assert told["current-context"] == "test"
    assert told["clusters"][0]["cluster"]["server"] == f"https://{ADDRESS}:16443"


def test_writing_again_changes_no_file(layout: Layout) -> None:
    def files() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in layout.folder.rglob("*") if file.is_file()}

    written(layout, 1)
    before = files()
    written(layout, 1)
    assert files() == before


def test_another_address_gets_certificates_of_its_own_under_the_same_authority(layout: Layout, tmp_path: Path) -> None:
    written(layout)
    authority, server = ((layout.pki / name).read_bytes() for name in ("ca.crt", "apiserver.crt"))
    written(Layout(tmp_path / "cluster", "192.0.2.8", 16443, 12379, 12380, real_node=False, context="test"))
    assert (layout.pki / "ca.crt").read_bytes() == authority
    assert (layout.pki / "apiserver.crt").read_bytes() != server


def test_a_real_node_has_its_own_containerd_kubelet_and_proxy(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "cluster", ADDRESS)
    told = written(layout)
    assert set(told) == {*CONTROL_PLANE, "containerd", "kubelet", "kube-proxy"}
    kubelet = yaml.safe_load((layout.config / "kubelet.yaml").read_text(encoding="utf-8"))
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{layout.containerd_socket}"
    resolv = (layout.config / "resolv.conf").read_text(encoding="utf-8")
    assert "127.0.0.1" not in resolv


def test_ports_of_a_control_plane_alone_are_its_own(layout: Layout, tmp_path: Path) -> None:
    assert set(layout.ports) == {16443, 12379, 12380}
    whole = Layout(tmp_path)
    assert {6443, 2379, 2380, 10250} <= set(whole.ports)
    assert whole.context == LOCAL_CONTEXT


def test_the_machines_address_is_not_loopback_where_it_has_another() -> None:
    assert machine_address().count(".") == 3


def test_every_program_is_supervised_with_its_own_log(layout: Layout) -> None:
    programs = [Program("one", ("/bin/one", "--a=%b"), 10), Program("two", ("/bin/two",), 20)]
    parsed = configparser.RawConfigParser()
    parsed.read_string(supervision.configuration(layout, programs))
    assert parsed["supervisord"]["pidfile"].startswith(str(layout.folder))
    assert parsed["unix_http_server"]["file"] == str(layout.supervisor_socket)
    assert parsed["unix_http_server"]["chmod"] == "0700"
    assert not parsed.has_section("inet_http_server")
    for program in programs:
        section = parsed[f"program:{program.name}"]
        assert section["autorestart"] == "true"
        assert section["stdout_logfile"] == f"{layout.logs}/{program.name}.log"
    assert parsed["program:one"]["command"] == "/bin/one --a=%%b"


def test_a_supervisor_that_is_not_there_runs_nothing(layout: Layout) -> None:
    assert supervision.states(layout) == []
    assert not supervision.running(layout, "anything")
    assert supervision.ours(layout.folder) == []


def test_every_program_that_is_needed_is_in_the_catalogue() -> None:
    assert {*CONTROL_PLANE, *NODE, *TOOLS, "kwok"} <= set(SOURCES)
    for source in SOURCES.values():
        assert bool(source.download) == bool(source.checksum)
