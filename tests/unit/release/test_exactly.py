"""Helm is handed the planned text by a plugin of Carbon's, beside those that a person has."""

import os
import stat
from pathlib import Path

import pytest

from carbon_platform.release.exactly import exactly

MANIFEST = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HELM_PLUGINS", "HELM_DATA_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_the_text_is_in_a_file_of_its_owner_while_helm_runs_and_gone_afterwards(tmp_path: Path) -> None:
    with exactly(MANIFEST, tmp_path) as arguments:
        assert arguments[:3] == ["--post-renderer", "carbon-planned", "--post-renderer-args"]
        file = Path(arguments[3])
        assert file.read_text(encoding="utf-8") == MANIFEST
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()


def test_the_file_is_gone_when_helm_fails(tmp_path: Path) -> None:
    def failing() -> None:
        with exactly(MANIFEST, tmp_path):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert [path.name for path in (tmp_path / "helm-plugins").iterdir()] == ["carbon-planned"]


def test_the_plugin_is_put_right_where_somebody_changed_it(tmp_path: Path) -> None:
    plugin = tmp_path / "helm-plugins" / "carbon-planned" / "plugin.yaml"
    with exactly(MANIFEST, tmp_path):
        written = plugin.read_text(encoding="utf-8")
    assert "type: postrenderer/v1" in written
    plugin.write_text("name: other\n", encoding="utf-8")
    with exactly(MANIFEST, tmp_path):
        assert plugin.read_text(encoding="utf-8") == written
    assert [file.name for file in plugin.parent.iterdir()] == ["plugin.yaml"]


def test_helm_finds_its_plugins_beside_those_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(tmp_path / "helm-plugins")
    for told in ("/theirs", f"/theirs{os.pathsep}/more"):
        monkeypatch.setenv("HELM_PLUGINS", told)
        for _ in range(2):
            with exactly(MANIFEST, tmp_path):
                assert os.environ["HELM_PLUGINS"] == f"{own}{os.pathsep}{told}"


def test_where_nothing_is_said_helm_still_looks_where_it_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exactly(MANIFEST, tmp_path):
        assert os.environ["HELM_PLUGINS"].split(os.pathsep)[1:] == [str(tmp_path / "data" / "helm" / "plugins")]
    monkeypatch.setenv("HELM_PLUGINS", "")
    monkeypatch.setenv("HELM_DATA_HOME", "/data")
    with exactly(MANIFEST, tmp_path):
        assert os.environ["HELM_PLUGINS"].split(os.pathsep)[1:] == ["/data/plugins"]


def test_nobody_is_asked_for_nothing(tmp_path: Path) -> None:
    with exactly("\n", tmp_path) as arguments:
        assert arguments == []
    assert list(tmp_path.iterdir()) == []
