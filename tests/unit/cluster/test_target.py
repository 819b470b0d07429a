"""Which cluster is talked to: that of the chosen environment, never another."""

from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.target import Target, target
from carbon_platform.environment import LOCAL_CONTEXT
from carbon_platform.errors import ConfigurationError, Unreachable
from carbon_platform.settings import Settings
from tests.definitions import environments


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    found.write_text("current-context: somebody-elses", encoding="utf-8")
    return found


def of(folder: Path, cluster: Any, name: str = "its") -> Target:
    """The target of an environment with this cluster."""
    return target(Settings(home=folder, environments=environments(folder, {name: {"cluster": cluster}}), env=name))


def test_nobody_named_an_environment_so_it_is_the_local_cluster(tmp_path: Path) -> None:
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
    assert "--env" in caught.value.fix


def test_a_context_is_looked_for_where_kubectl_does(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(file))
    found = of(tmp_path, {"context": "theirs"})
    assert found == Target(file, "theirs")
    assert not found.local


def test_a_kubeconfig_that_is_named_goes_before_kubectls_and_counts_from_the_file_that_names_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "other"))
    assert of(tmp_path, {"context": "theirs", "kubeconfig": str(file)}) == Target(file, "theirs")
    assert of(tmp_path, {"context": "theirs", "kubeconfig": "config"}) == Target(file, "theirs")


def test_a_context_without_a_kubeconfig_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'theirs' can't be found") as caught:
        of(tmp_path, {"context": "theirs"})
    assert str(tmp_path / "nobody" / ".kube" / "config") in caught.value.cause


def test_several_kubeconfigs_are_searched_for_the_context(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("contexts: [{name: theirs}]", encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{file}:{other}")
    assert of(tmp_path, {"context": "theirs"}) == Target(other, "theirs")
    assert of(tmp_path, {"context": "nobodys"}) == Target(file, "nobodys")


def test_the_local_cluster_of_another_home_is_local_as_well(file: Path, tmp_path: Path) -> None:
    found = of(tmp_path, {"context": LOCAL_CONTEXT, "kubeconfig": str(file)}, "local")
    assert found == Target(file, LOCAL_CONTEXT)


def test_the_cluster_around_a_pod_is_that_of_the_environment_that_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    assert of(tmp_path, "in-cluster") == Target(None, None)
    assert str(of(tmp_path, "in-cluster")) == "the cluster around this pod"
    assert of(tmp_path, {"context": "theirs", "kubeconfig": str(file)}) == Target(file, "theirs")
