"""Environments: what the file may say, which one is chosen, and where it is found."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.environment import SHIPPED, Context, Environment, Environments, choose, read_environments
from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import Settings
from tests.definitions import Definitions, environments

PRODUCTION = {"cluster": {"context": "prod", "kubeconfig": "prod.kubeconfig"}}


def problem(folder: Path, text: str) -> str:
    """The only problem of a file with this text, without the file's name."""
    file = folder / "environments.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_environments(file)
    assert caught.value.exit_code == 2
    (line,) = caught.value.evidence
    return line.removeprefix(f"{file}:")


WRONG = {
    "an unknown key": (
        "environments:\n  prod:\n    cluster: in-cluster\n    ovrelays: [a] # here\n",
        ["environments.prod.ovrelays", "did you mean 'overlays'", "confirm"],
    ),
    "an unknown key of the file": ("enviroments: {} # here\n", ["did you mean 'environments'", "definitions"]),
    "an unknown key of a cluster": (
        "environments:\n  prod:\n    cluster:\n      context: a\n      kubecofnig: b # here\n",
        ["cluster.kubecofnig", "did you mean 'kubeconfig'", "context"],
    ),
    "a cluster that is none": (
        "environments:\n  prod:\n    cluster: prod # here\n",
        ["'prod' is no cluster", "local, in-cluster or {context: NAME}"],
    ),
    "no cluster": ("environments:\n  prod: # here\n    overlays: [a]\n", ["'environments.prod.cluster' is missing"]),
    "another cluster for local": (
        "environments:\n  local:\n    cluster: {context: prod} # here\n",
        ["local is the local cluster's environment", "another name"],
    ),
    "the local cluster under its context's name": (
        "environments:\n  prod:\n    cluster: {context: carbon-local} # here\n",
        ["carbon-local is the cluster of local"],
    ),
    "a name that none can have": ("environments:\n  Prod_1: {cluster: local} # here\n", ["Prod_1", "pattern"]),
    "an overlay that none can be": (
        "environments:\n  prod:\n    cluster: local\n    overlays:\n      - a\n      - B_ # here\n",
        ["overlays.1", "pattern"],
    ),
    "state at a URL": (
        "environments:\n  prod:\n    cluster: local\n    state: postgresql://db/carbon # here\n",
        ["postgresql://… can't keep state yet", "folder"],
    ),
    "a question that is none": (
        "environments:\n  prod:\n    cluster: local\n    confirm: maybe # here\n",
        ["confirm", "boolean"],
    ),
    "no definitions at all": ("definitions: [] # here\n", ["definitions"]),
    "broken YAML": ("environments: {a # here\n", ["not valid YAML"]),
    "an empty file": ("# here\n", ["valid dictionary"]),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_problem_of_the_file_is_told_with_its_line_and_what_is_allowed(
    tmp_path: Path, text: str, told: list[str]
) -> None:
    found = problem(tmp_path, text)
    here = next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)
    assert found.startswith(f"{here}: ")
    for part in told:
        assert part in found


def test_a_file_that_was_named_and_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(environments=tmp_path / "none.yaml").environment  # noqa: B018 - it raises
    assert "none.yaml:1: can't be read" in caught.value.evidence[0]


ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


@given(ANY_TEXT, st.sampled_from(["", "environments:\n  a: ", "a: "]))
def test_no_text_ends_in_anything_but_environments_or_a_list_of_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str, before: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "environments.yaml"
    file.write_text(before + text, encoding="utf-8")
    told: tuple[str, ...] = ()
    try:
        read_environments(file)
    except ConfigurationError as error:
        told = error.evidence
    assert all(line.startswith(f"{file}:") for line in told)


def test_local_needs_no_file() -> None:
    assert Settings().environment == Environment("local", overlays=("local",))
    assert Settings().definitions == (SHIPPED,)


def test_an_environment_is_what_the_file_says_with_paths_that_count_from_it(tmp_path: Path) -> None:
    said: dict[str, Any] = {"overlays": ["base", "eu"], "domain": "example.com", "state": "state/prod", "confirm": True}
    file = environments(tmp_path, {"prod": PRODUCTION | said}, definitions=["shipped", "own", "./own/", "shipped"])
    chosen = Settings(environments=file, env="prod", home=tmp_path / "home")
    assert chosen.environment == Environment(
        "prod",
        Context(context="prod", kubeconfig=tmp_path / "prod.kubeconfig"),
        ("base", "eu"),
        "example.com",
        tmp_path / "state" / "prod",
        confirm=True,
    )
    assert chosen.state == tmp_path / "state" / "prod"
    assert chosen.dagster_home.is_relative_to(chosen.state)
    assert chosen.local_cluster == tmp_path / "home" / "cluster"
    assert chosen.definitions == (SHIPPED, tmp_path / "own")


def test_without_a_state_of_its_own_an_environment_keeps_it_at_home(tmp_path: Path) -> None:
    assert Settings(environments=environments(tmp_path, {"prod": PRODUCTION}), home=tmp_path).state == tmp_path


def test_what_the_file_says_of_local_holds_and_the_rest_is_built_in(tmp_path: Path) -> None:
    file = environments(tmp_path, {"local": {"domain": "here.test"}})
    chosen = Settings(environments=file).environment
    assert (chosen.cluster, chosen.overlays, chosen.domain) == ("local", ("local",), "here.test")


def known(**clusters: Any) -> Environments:
    clusters |= {"local": "local"}
    return Environments(None, {name: Environment(name, cluster) for name, cluster in clusters.items()})


def test_in_a_pod_it_is_the_only_environment_of_the_cluster_around_it() -> None:
    named = known(prod="in-cluster", other=Context(context="x"))
    assert choose(named, None, in_pod=True).name == "prod"
    assert choose(named, None, in_pod=False).name == "local"
    assert choose(named, "other", in_pod=True).name == "other"
    assert choose(named, "local", in_pod=True).name == "local"


@pytest.mark.parametrize(
    ("clusters", "told"), [({}, "no environment is"), ({"a": "in-cluster", "b": "in-cluster"}, "a and b are")]
)
def test_in_a_pod_without_exactly_one_such_the_variable_to_set_is_told(clusters: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match="runs in a pod") as caught:
        choose(known(**clusters), None, in_pod=True)
    assert told in caught.value.cause
    assert "CARBON_ENV" in caught.value.fix


def test_the_variable_names_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARBON_ENVIRONMENTS", str(environments(tmp_path, {"prod": PRODUCTION})))
    monkeypatch.setenv("CARBON_ENV", "prod")
    assert Settings().environment.name == "prod"
    monkeypatch.setenv("CARBON_ENV", "")
    assert Settings().environment.name == "local"


def _files(tmp_path: Path) -> dict[str, Path]:
    """A file in every place where one may be."""
    places = {"named": "elsewhere", "here": "here", "above": "project"}
    for folder in places.values():
        (tmp_path / folder / "deep" / "defs").mkdir(parents=True)
    return {name: environments(tmp_path / folder, {name: PRODUCTION}) for name, folder in places.items()}


@pytest.mark.parametrize(
    ("gone", "wanted"),
    [([], "named"), (["named"], "here"), (["named", "here"], "above")],
    ids=["named", "here", "above"],
)
def test_the_nearest_file_is_taken(
    gone: list[str], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _files(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("CARBON_DEFS", str(tmp_path / "project" / "deep" / "defs"))
    if "named" not in gone:
        monkeypatch.setenv("CARBON_ENVIRONMENTS", str(files["named"]))
    for name in gone:
        files[name].unlink()
    assert set(Settings().all_environments.by_name) == {"local", wanted}


def test_definitions_are_those_of_the_variable_else_of_the_file_else_the_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBON_ENVIRONMENTS", str(environments(tmp_path, {}, definitions=["own"])))
    assert Settings().definitions == (tmp_path / "own",)
    monkeypatch.setenv("CARBON_DEFS", os.pathsep.join([str(tmp_path / "a"), "", "shipped", str(tmp_path / "a")]))
    assert Settings().definitions == (tmp_path / "a", SHIPPED)
    monkeypatch.setenv("CARBON_DEFS", str(SHIPPED.parent / "spec" / ".." / "defs"))
    assert Settings().definitions == (SHIPPED,), "also by its path"


def test_an_overlay_that_no_component_has_is_told_where_it_is_named(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app", overlays={"production": {"values": {"a": 1}}, "eu": {}})
    file = environments(definitions.folder, {"prod": PRODUCTION | {"overlays": ["eu", "prodcution"]}})
    with pytest.raises(ConfigurationError) as caught:
        definitions.load("prod")
    line = next(n for n, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if "prodcution" in text)
    told = "no component has an overlay 'prodcution'; did you mean 'production'? There are: eu, production"
    assert caught.value.evidence == (f"{file}:{line}: {told}",)


def test_the_overlay_that_local_has_by_itself_need_not_be_there(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app")
    assert list(definitions.load().components) == ["app"]
