"""Which cluster is talked to: the one that was named, never another."""

from pathlib import Path

import pytest

from carbon_platform.cluster.target import LOCAL_CONTEXT, Target, target
from carbon_platform.errors import ConfigurationError, Unreachable
from carbon_platform.settings import Settings


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    found.write_text("current-context: somebody-elses", encoding="utf-8")
    return found


def test_nobody_named_a_cluster_so_it_is_the_local_one(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "cluster" / "kubeconfig"
    kubeconfig.parent.mkdir()
    kubeconfig.touch()
    found = target(Settings(home=tmp_path))
    assert found == Target(kubeconfig, LOCAL_CONTEXT)
    assert found.local


def test_the_current_context_of_a_kubeconfig_is_never_taken(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(Unreachable, match="no local cluster") as caught:
        target(Settings(home=tmp_path))
    assert "carbon cluster up" in caught.value.fix
    assert "--context" in caught.value.fix


def test_a_named_context_is_looked_for_where_kubectl_does(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(file))
    found = target(Settings(context="theirs"))
    assert found == Target(file, "theirs")
    assert not found.local


def test_a_kubeconfig_that_is_named_goes_before_kubectls(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "other"))
    assert target(Settings(context="theirs", kubeconfig=file)) == Target(file, "theirs")


def test_a_named_context_without_a_kubeconfig_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'theirs' can't be found") as caught:
        target(Settings(context="theirs"))
    assert str(tmp_path / "nobody" / ".kube" / "config") in caught.value.cause


def test_several_kubeconfigs_are_searched_for_the_context(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("contexts: [{name: theirs}]", encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{file}:{other}")
    assert target(Settings(context="theirs")) == Target(other, "theirs")
    assert target(Settings(context="nobodys")) == Target(file, "nobodys")


def test_the_local_context_by_name_is_the_local_cluster(file: Path, tmp_path: Path) -> None:
    assert target(Settings(home=tmp_path, context=LOCAL_CONTEXT, kubeconfig=file)) == Target(file, LOCAL_CONTEXT)


def test_inside_a_cluster_it_is_that_one_unless_another_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    assert target(Settings(home=tmp_path)) == Target(None, None)
    assert target(Settings(context="theirs", kubeconfig=file)) == Target(file, "theirs")
    assert str(target(Settings())) == "the cluster around this pod"
