"""The platform as an environment resolves it: what a component is, and when its digests change."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import Settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import definition_files, load_platform
from carbon_platform.spec.platform import Platform
from tests.definitions import Definitions, environments

SECRETS = [{"name": "s", "keys": {"password": {"generate": 32}}}]


def shipped(folder: Path, overlay: str) -> Platform:
    """The real platform, in an environment with this overlay."""
    file = environments(folder, {"its": {"cluster": {"context": "its"}, "overlays": [overlay]}})
    return load_platform(Settings(environments=file, env="its"))


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_the_real_platform_is_right_under_both_overlays(overlay: str, tmp_path: Path) -> None:
    platform = shipped(tmp_path, overlay)
    assert {"postgres", "redis", "object_store", "kafka", "trino"} <= set(platform.components)
    for key, component in platform.components.items():
        assert component.key == key
        assert component.title
        assert component.owners
        assert (component.release is None) != (component.content is None)
        assert component.checks, f"{key} is never proven to work"
    assert set(platform.order) == set(platform.components)


def test_both_overlays_have_the_same_components_and_checks(tmp_path: Path) -> None:
    local, production = (shipped(tmp_path, overlay) for overlay in ("local", "production"))
    assert local.needs.keys() == production.needs.keys()
    for key, component in local.components.items():
        assert component.checks.keys() == production.components[key].checks.keys()


def test_nothing_but_what_says_so_is_pulled_from_a_registry_locally() -> None:
    for component in load_platform(Settings()).components.values():
        if component.release and not component.release.needs_registry:
            assert component.release.values["image"]["repository"].startswith("localhost/carbon/")


def test_a_component_is_what_its_file_says(definitions: Definitions) -> None:
    chart = definitions.chart()
    definitions.release("base_one")
    definitions.release(
        "app",
        title="An app",
        needs=["base_one"],
        namespace="apps",
        namespaces=["more", "apps"],
        secrets=[{"name": "s", "namespace": "third", "keys": {"k": {"literal": "v"}}}],
        deadline="1m30s",
        verify={"cron": "*/5 * * * *"},
        values={"host": "app.{{ domain }}", "n": 3, "keep": 1},
        overlays={"local": {"values": {"n": 1, "keep": None}}, "production": {}},
        endpoints=[{"name": "web", "service": "app", "port": 80, "host": "app.{{ domain }}"}],
        checks=[{"type": "trino.query", "sql": "select {{ values.n }}", "deadline": 5}],
    )
    app = definitions.load().components["app"]
    release = app.release
    assert release is not None
    assert (release.name, release.namespace) == ("app", "apps")
    assert release.namespaces == ("apps", "more", "third")
    assert release.chart.folder == chart
    assert release.values == {"host": "app.254carbon.com", "n": 1, "keep": None}
    assert (app.needs, app.deadline, app.cron) == (("base_one",), 90.0, "*/5 * * * *")
    assert app.endpoints[0].host == "app.254carbon.com"
    assert list(app.checks) == ["trino_query"]
    assert "select 1" in repr(app.checks["trino_query"])
    assert definitions.load().components["base_one"].release_name == "base-one"
    assert definitions.load("production").components["app"].release.values["n"] == 3  # type: ignore[union-attr]


def test_needs_and_chart_of_an_overlay_replace_the_others(definitions: Definitions) -> None:
    definitions.chart()
    for key in ("a", "b"):
        definitions.release(key)
    upstream = {"oci": "oci://charts.example/c", "version": "1.2.3"}
    definitions.release("c", needs=["a"], overlays={"production": {"needs": ["b"], "chart": upstream}})
    local, production = definitions.load().components["c"], definitions.load("production").components["c"]
    assert (local.needs, production.needs) == (("a",), ("b",))
    assert production.release is not None
    assert production.release.chart.folder is None
    assert production.release.chart.ref.version == "1.2.3"


def of_two(definitions: Definitions, first: dict[str, Any], second: dict[str, Any]) -> Platform:
    """A component with two overlays that its environment names one after the other."""
    definitions.chart()
    definitions.chart("other")
    definitions.release("a")
    definitions.release("b")
    definitions.release("app", values={"kept": {"n": 1}}, overlays={"first": first, "second": second})
    cluster = {"context": "its"}
    environments(definitions.folder, {"its": {"cluster": cluster, "overlays": ["first", "second"]}})
    return definitions.load("its")


def test_of_several_overlays_a_later_one_wins_as_with_value_files(definitions: Definitions) -> None:
    first = {"values": {"kept": {"n": 2, "m": 1}, "list": [1]}, "needs": ["a"], "chart": {"path": "charts/other"}}
    second = {"values": {"kept": {"n": 3}, "list": [2]}, "needs_registry": True}
    app = of_two(definitions, first, second).components["app"]
    assert app.release is not None
    assert app.release.values == {"kept": {"n": 3, "m": 1}, "list": [2]}
    assert (app.needs, app.release.needs_registry) == (("a",), True)
    assert app.release.chart.folder is not None
    assert app.release.chart.folder.name == "other"


def test_overlays_that_say_the_same_twice_do_not_contradict(definitions: Definitions) -> None:
    same = {"needs": ["a"], "chart": {"path": "charts/other"}, "needs_registry": True}
    assert of_two(definitions, same, dict(same)).components["app"].needs == ("a",)


CONTRADICTIONS: dict[str, tuple[Any, Any]] = {
    "chart": ({"path": "charts/probe"}, {"path": "charts/other"}),
    "needs": (["a"], ["b"]),
    "needs_registry": (True, False),
}


@pytest.mark.parametrize("key", CONTRADICTIONS)
def test_overlays_that_replace_the_same_differently_are_an_error_that_names_both(
    key: str, definitions: Definitions
) -> None:
    first, second = ({key: value} for value in CONTRADICTIONS[key])
    with pytest.raises(ConfigurationError) as caught:
        of_two(definitions, first, second)
    (told,) = caught.value.evidence
    lines = definitions.file("app").read_text(encoding="utf-8").splitlines()
    where = max(number for number, line in enumerate(lines, 1) if line.strip().startswith(f"{key}:"))
    assert told.startswith(f"{definitions.file('app')}:{where}: overlays 'first' and 'second' of environment 'its'")
    assert f"another `{key}`" in told


def test_overlays_that_contradict_each_other_do_no_harm_apart(definitions: Definitions) -> None:
    with pytest.raises(ConfigurationError):
        of_two(definitions, {"needs": ["a"]}, {"needs": ["b"]})
    environments(definitions.folder, {"its": {"cluster": "local", "overlays": ["second"]}})
    assert definitions.load("its").components["app"].needs == ("b",)


def test_a_definition_may_say_the_environment_and_its_domain(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app", values={"of": "{{ environment }}.{{ domain }}"})
    environments(definitions.folder, {"eu": {"cluster": "local", "domain": "example.com"}})
    release = definitions.load("eu").components["app"].release
    assert release is not None
    assert release.values == {"of": "eu.example.com"}


def test_the_platform_may_be_in_several_folders(definitions: Definitions, tmp_path: Path) -> None:
    definitions.chart()
    definitions.release("zoo")
    more = Definitions(tmp_path_of(tmp_path, "more"))
    more.chart()
    more.release("app", needs=["zoo"])
    both = Settings(defs=(str(definitions.defs), str(more.defs)))
    assert list(load_platform(both).components) == ["app", "zoo"]
    assert load_platform(both).order == ["zoo", "app"]
    assert definition_files(both) == [definitions.file("zoo"), more.file("app")]


def tmp_path_of(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def test_one_may_be_beside_the_shipped_ones(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app", needs=["postgres"], group="our_own")
    found = load_platform(Settings(defs=("shipped", str(definitions.defs)))).components
    assert {"postgres", "trino", "app"} <= set(found)
    assert found["app"].group == "our_own"


def test_a_component_that_is_defined_twice_is_told_with_both_files(definitions: Definitions, tmp_path: Path) -> None:
    definitions.chart()
    definitions.release("app")
    more = Definitions(tmp_path_of(tmp_path, "more"))
    more.release("app", title="another")
    with pytest.raises(ConfigurationError) as caught:
        load_platform(Settings(defs=(str(definitions.defs), str(more.defs))))
    told = f"{more.file('app')}:1: component 'app' is defined by {definitions.file('app')} already"
    assert caught.value.evidence == (told,)


def test_a_folder_without_a_definition_is_told_where_it_was_named(definitions: Definitions, tmp_path: Path) -> None:
    definitions.chart()
    definitions.release("app")
    with pytest.raises(ConfigurationError, match=f"no component is defined in {tmp_path / 'none'}") as caught:
        load_platform(Settings(defs=(str(definitions.defs), str(tmp_path / "none"))))
    assert "CARBON_DEFS" in caught.value.fix
    file = environments(tmp_path, {}, definitions=["shipped", "none"])
    with pytest.raises(ConfigurationError, match=f"no component is defined in {tmp_path / 'none'}") as caught:
        load_platform(Settings(environments=file))
    assert "`definitions`" in caught.value.fix


@pytest.fixture
def linked(definitions: Definitions) -> Definitions:
    """One component whose chart has a linked library, as our own charts have."""
    library = definitions.folder / "library"
    library.mkdir()
    (library / "_pod.tpl").write_text("one", encoding="utf-8")
    chart = definitions.chart(deployment="kind: Deployment")
    (chart / "charts").mkdir()
    (chart / "charts" / "library").symlink_to(library)
    definitions.release("probe", values={"a": 1, "b": {"c": 2}}, secrets=SECRETS)
    definitions.release("other")
    return definitions


def digests(definitions: Definitions) -> tuple[str, str]:
    """Of what would be applied, and of what would be verified."""
    probe = definitions.load().components["probe"]
    return probe.digest, probe.checks_digest


def edited(path: str) -> Callable[[Definitions], object]:
    def edit(definitions: Definitions) -> None:
        file = definitions.folder / path
        file.write_text(file.read_text(encoding="utf-8") + "\n# more", encoding="utf-8")

    return edit


def renamed(definitions: Definitions) -> Path:
    template = definitions.folder / "charts/probe/templates/deployment.yaml"
    return template.rename(template.with_name("renamed.yaml"))


def written(**attributes: object) -> Callable[[Definitions], Path]:
    same = {"values": {"a": 1, "b": {"c": 2}}, "secrets": SECRETS}
    return lambda definitions: definitions.release("probe", **(same | attributes))


CHANGES: dict[str, Callable[[Definitions], object]] = {
    "a template": edited("charts/probe/templates/deployment.yaml"),
    "the chart's own description": edited("charts/probe/Chart.yaml"),
    "a file of the linked library": edited("library/_pod.tpl"),
    "the name of a template": renamed,
    "a new template": lambda d: d.chart(service="kind: Service"),
    "a value": written(values={"a": 2, "b": {"c": 2}}),
    "a deep value": written(values={"a": 1, "b": {"c": 3}}),
    "a value of the overlay": written(overlays={"local": {"values": {"a": 2}}}),
    "a new key of a secret": written(
        secrets=[{"name": "s", "keys": {"password": {"generate": 32}, "user": {"literal": "x"}}}]
    ),
    "the release's name": written(release="another"),
    "the namespace": written(namespace="there"),
    "a further namespace": written(namespaces=["there"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_digest_changes_with_what_would_be_applied(
    linked: Definitions, change: Callable[[Definitions], object]
) -> None:
    before, checks_before = digests(linked)
    change(linked)
    after, checks_after = digests(linked)
    assert after != before
    assert checks_after == checks_before


STAYS: dict[str, Callable[[Definitions], object]] = {
    "nothing": lambda d: None,
    "the order of values": written(values={"b": {"c": 2}, "a": 1}),
    "words for people": written(title="Another", description="More", owners=["team:a"], kinds=["x"], group="edge"),
    "needs": written(needs=["other"]),
    "endpoints": written(endpoints=[{"name": "a", "service": "a", "port": 1}]),
    "deadline and schedule": written(deadline="5m", verify={"cron": "* * * * *"}, heal={"budget": 0}),
    "what is done about drift": written(drift={"policy": "report", "managers": ["backup-tool"]}),
    "values of another overlay": written(overlays={"production": {"values": {"a": 9}}}),
    "another component": lambda d: d.release("other", values={"a": 1}),
    "a comment in defs.yaml": edited("defs/probe/defs.yaml"),
}


@pytest.mark.parametrize("change", STAYS.values(), ids=STAYS.keys())
def test_the_digest_stays_when_nothing_else_would_be_applied(
    linked: Definitions, change: Callable[[Definitions], object]
) -> None:
    before = digests(linked)
    change(linked)
    assert digests(linked) == before


def test_the_digest_does_not_depend_on_where_the_folder_is(linked: Definitions, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    moved = Definitions(tmp_path / "moved")
    chart = moved.chart(deployment="kind: Deployment")
    (chart / "charts" / "library").mkdir(parents=True)
    (chart / "charts" / "library" / "_pod.tpl").write_text("one", encoding="utf-8")
    written()(moved)
    assert digests(moved) == digests(linked)


def test_a_new_check_changes_only_what_is_verified(linked: Definitions) -> None:
    before, checks_before = digests(linked)
    written(checks=[{"type": "redis.roundtrip"}])(linked)
    after, checks_after = digests(linked)
    assert after == before
    assert checks_after != checks_before


def test_the_reference_of_a_remote_chart_is_its_digest(definitions: Definitions) -> None:
    found = set()
    for version in ("1.0.0", "1.0.1", "1.0.0"):
        definitions.release("probe", chart={"repo": "https://charts.example", "name": "x", "version": version})
        found.add(digests(definitions))
    assert len(found) == 2


def test_needs_of_the_platform_are_a_graph_in_order(linked: Definitions) -> None:
    written(needs=["other"])(linked)
    platform = linked.load()
    assert platform.order == ["other", "probe"]
    assert graph.dependents(platform.needs, ["other"]) == {"other", "probe"}


@pytest.mark.parametrize(
    "kind", [".loader.Sales", "dagster.PythonScriptComponent", "nobody_has_this.Sales", "tests.Sales"]
)
def test_a_component_of_something_else_is_left_to_dagster(definitions: Definitions, kind: str) -> None:
    definitions.chart()
    definitions.release("app")
    definitions.write("sales", f"type: {kind}\nattributes: {{anything: 1}}\n")
    assert set(definitions.load().components) == {"app"}


def test_the_folder_of_a_dg_project_may_hold_data_assets_alone(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    mart = Path(__file__).parents[2] / "projects" / "mart" / "mart" / "defs"
    definitions.chart()
    definitions.release("app")
    beside = Settings(defs=f"{definitions.defs}{os.pathsep}{mart}")
    assert set(load_platform(beside).components) == {"app"}
    assert beside.project is not None
    assert (beside.project.name, beside.project.module) == ("mart", "mart.definitions")
    with pytest.raises(ConfigurationError, match="no component is defined in"):
        load_platform(Settings(defs=str(mart)))
