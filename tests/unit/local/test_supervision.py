import configparser
from pathlib import Path

import pytest

from carbon_platform.local import supervision
from carbon_platform.local.configuration import Program
from carbon_platform.local.layout import Layout
from carbon_platform.local.supervision import configuration, configured, failing, is_ours, last_lines, ours, states

LAYOUT = Layout(Path("/home/me/my clusters"))


def test_another_shell_means_the_same_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program("etcd", ("/bin/etcd",), 10)
    before = configuration(LAYOUT, [program])
    monkeypatch.setenv("PATH", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert configuration(LAYOUT, [program]) == before


def test_a_program_s_part_changes_with_the_files_that_it_reads_and_no_other_s(tmp_path: Path) -> None:
    file = tmp_path / "kubelet.yaml"
    programs = [Program("etcd", ("etcd",), 10), Program("kubelet", ("kubelet",), 40, (file,))]
    file.write_text("maxPods: 1", encoding="utf-8")
    before = _parsed(configuration(LAYOUT, programs))
    file.write_text("maxPods: 2", encoding="utf-8")
    after = _parsed(configuration(LAYOUT, programs))
    changed = [name for name in before.sections() if dict(before[name]) != dict(after[name])]
    assert changed == ["program:kubelet"]


def test_every_program_is_restarted_and_has_its_own_log_and_nobody_else_may_command() -> None:
    parsed = _parsed(configuration(LAYOUT, [Program("one", ("/bin/one", "--a=%b"), 10)]))
    assert parsed["unix_http_server"]["file"] == str(LAYOUT.supervisor_socket)
    assert parsed["unix_http_server"]["chmod"] == "0700"
    assert not parsed.has_section("inet_http_server")
    assert parsed["program:one"]["autorestart"] == "true"
    assert parsed["program:one"]["stdout_logfile"] == f"{LAYOUT.logs}/one.log"
    assert parsed["program:one"]["command"] == "/bin/one --a=%%b"


def test_a_supervisor_that_is_not_there_runs_nothing(folder: Path) -> None:
    assert states(Layout(folder)) == []
    assert ours(folder) == []


def test_a_program_that_gave_up_once_and_is_started_anew_is_not_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    # kube-controller-manager does so when its API server takes longer than ten seconds.
    told = [{"name": "kube-controller-manager", "statename": "EXITED"}, {"name": "etcd", "statename": "BACKOFF"}]
    monkeypatch.setattr(supervision, "states", lambda layout: told)
    assert failing(LAYOUT) == ["etcd"]


def test_spaces_in_paths_are_quoted() -> None:
    parsed = _parsed(configuration(LAYOUT, [Program("etcd", ("/a b/etcd", "--data-dir=/c d"), 10)]))
    assert parsed["program:etcd"]["command"] == "'/a b/etcd' '--data-dir=/c d'"


def _parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (["/cache/kubelet", "--config=/home/me/cluster/config/kubelet.yaml"], True),
        (["containerd", "--config", "/home/me/cluster/config/containerd.toml"], True),
        (["python", "-m", "supervisor.supervisord", "-c", "/home/me/cluster/config/supervisord.conf"], True),
        (["kubelet", "--config=/home/me/cluster2/config/kubelet.yaml"], False),
        (["kubelet", "--config=/etc/kubelet.yaml"], False),
        (["vi", "/home/me/cluster/config/kubelet.yaml"], False),
        (["containerd-shim-runc-v2", "-address", "/home/me/cluster/containerd.sock"], False),
        ([""], False),
    ],
)
def test_only_the_cluster_s_own_programs_are_ours(command: list[str], ours: bool) -> None:
    assert is_ours(command, Path("/home/me/cluster")) is ours


def test_what_was_configured_is_known_after_it_ended(folder: Path) -> None:
    layout = Layout(folder)
    assert not configured(layout, "kwok")
    layout.config.mkdir()
    text = configuration(layout, [Program("kwok", ("kwok",), 40)])
    (layout.config / "supervisord.conf").write_text(text, encoding="utf-8")
    assert configured(layout, "kwok")
    assert not configured(layout, "kubelet")


def test_the_end_of_a_log_is_told_and_a_missing_one_is_no_error(folder: Path) -> None:
    layout = Layout(folder)
    assert last_lines(layout, "etcd") == []
    layout.logs.mkdir()
    (layout.logs / "etcd.log").write_text("\n".join(map(str, range(50_000))), encoding="utf-8")
    assert last_lines(layout, "etcd", 2) == ["49998", "49999"]
