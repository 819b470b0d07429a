"""What is wrong in a defs.yaml is told with file, line and what is allowed; `# here` marks the line."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from tests.definitions import Definitions

HEAD = """\
type: carbon_platform.components.HelmRelease
attributes:
  title: Probe
  group: data
  namespace: here
"""
CHART = "  chart: {path: charts/probe}\n"


def problems(definitions: Definitions, environment: str = "local") -> list[str]:
    """Every problem, without the folder in front."""
    with pytest.raises(ConfigurationError) as caught:
        definitions.load(environment)
    assert caught.value.exit_code == 2
    assert "nothing was changed" in caught.value.fix
    return [line.removeprefix(f"{definitions.defs}/") for line in caught.value.evidence]


def here(text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)


ATTRIBUTES = {
    "an unknown key, with the nearest": (
        "  name_space: x # here\n",
        ["name_space", "did you mean 'namespace'", "heal"],
    ),
    "an unknown key inside one": (
        "  heal:\n    budget: 3\n    windw: 1h # here\n",
        ["heal.windw", "'window'", "budget"],
    ),
    "an unknown key in a list": (
        "  endpoints:\n    - {name: a, service: a, port: 1}\n"
        "    - name: b\n      service: b\n      port: 1\n      hots: x # here\n",
        ["endpoints.1.hots", "did you mean 'host'", "scheme"],
    ),
    "an unknown key below a key of one's own": (
        "  secrets:\n    - name: s\n      keys:\n        password:\n          genrate: 32 # here\n",
        ["secrets.0.keys.password.genrate", "did you mean 'generate'", "literal"],
    ),
    "the key that profiles had": ("  profiles: # here\n    local: {}\n", ["'profiles'; did you mean 'overlays'"]),
    "an overlay of a name that is none": (
        "  overlays:\n    Over_there: {} # here\n",
        ["Over_there", "pattern"],
    ),
    "an unknown key in an overlay": (
        "  overlays:\n    local:\n      valuse: {a: 1} # here\n",
        ["overlays.local.valuse", "did you mean 'values'", "chart"],
    ),
    "a schedule that is none": ("  verify: {cron: '61 * * * *'} # here\n", ["'61 * * * *'", "cron fields", "*/15"]),
    "a schedule of too few fields": ("  verify: {cron: hourly} # here\n", ["'hourly'", "five cron fields", "*/15"]),
    "a duration without a unit": ("  deadline: 30 # here\n", ["deadline", "such as 30s, 5m or 1h30m"]),
    "a duration that is none": ("  deadline: soon # here\n", ["'soon'", "such as 30s, 5m or 1h30m"]),
    "a duration of nothing": ("  heal:\n    window: 0s # here\n", ["'0s'", "positive"]),
    "text where a number belongs": ("  heal:\n    budget: three # here\n", ["heal.budget", "valid integer"]),
    "a drift policy that there is not": (
        "  drift: {policy: ignore} # here\n",
        ["drift.policy", "'report' or 'correct'"],
    ),
    "one thing where a list belongs": ("  needs: postgres # here\n", ["needs", "valid list"]),
    "an unknown need, with the nearest": (
        "  needs:\n    - othre # here\n",
        ["probe needs 'othre'", "did you mean 'other'", "other, probe"],
    ),
    "an unknown need of an overlay": (
        "  overlays:\n    local:\n      needs: [othre] # here\n",
        ["probe needs 'othre'", "did you mean 'other'", "other, probe"],
    ),
    "an unknown check, with the nearest": (
        "  checks:\n    - {type: service.alias, service: a, namespace: b, port: 1, target: c.d}\n"
        "    - type: redis.rountrip # here\n",
        ["unknown check 'redis.rountrip'", "did you mean 'redis.roundtrip'", "trino.query"],
    ),
    "a check without a type": ("  checks:\n    - {sql: select 1} # here\n", ["`type` is missing"]),
    "an unknown parameter of a check": (
        "  checks:\n    - type: trino.query\n      sql: select 1\n      qsl: select 1 # here\n",
        ["'qsl'", "did you mean 'sql'", "deadline"],
    ),
    "two checks of one name": (
        "  checks:\n    - {type: redis.roundtrip}\n    - {type: redis.roundtrip} # here\n",
        ["already called 'redis_roundtrip'", "`name`"],
    ),
    "a check with a name that Carbon needs": (
        "  checks:\n    - {type: redis.roundtrip, name: ready} # here\n",
        ["already called 'ready'"],
    ),
    "a reference in a value that names nothing": (
        "  values:\n    a: 1\n    host: 'x.{{ domian }}' # here\n",
        ["{{ domian }}", "domain, environment, namespace"],
    ),
    "a reference in a value of an overlay": (
        "  values: {a: 1}\n  overlays:\n    local:\n      values:\n        deep: [{host: '{{ domian }}'}] # here\n",
        ["{{ domian }}", "domain, environment, namespace"],
    ),
    "the reference that profiles had": (
        "  values: {size: '{{ profile }}'} # here\n",
        ["{{ profile }} names nothing; did you mean 'environment'?"],
    ),
    "a reference in a check that names nothing": (
        "  values: {workers: 2}\n  checks:\n    - {type: trino.query, sql: 'select {{ values.wrokers }}'} # here\n",
        ["{{ values.wrokers }}", "values"],
    ),
    "a reference in a host that names nothing": (
        "  endpoints:\n    - name: a\n      service: a\n      port: 1\n      host: 'a.{{ domian }}' # here\n",
        ["{{ domian }}", "domain, environment, namespace"],
    ),
    "a secret with two sources": (
        "  secrets:\n    - name: s\n      keys: {password: {generate: 32, literal: x}} # here\n",
        ["one of generate, literal, value_from"],
    ),
    "a secret that is too short": (
        "  secrets:\n    - name: s\n      keys: {password: {generate: 4}} # here\n",
        ["greater than or equal to 8"],
    ),
}


@pytest.mark.parametrize(("text", "told"), ATTRIBUTES.values(), ids=ATTRIBUTES.keys())
def test_a_problem_is_told_with_its_line_and_what_is_allowed(
    definitions: Definitions, text: str, told: list[str]
) -> None:
    definitions.chart()
    definitions.release("other")
    whole = HEAD + CHART + text
    definitions.write("probe", whole)
    (problem,) = problems(definitions)
    assert problem.startswith(f"probe/defs.yaml:{here(whole)}: ")
    for part in told:
        assert part in problem


CHARTS = {
    "no chart": (HEAD.replace("attributes:", "attributes: # here"), ["'chart' is missing"]),
    "a missing chart": (HEAD + "  chart: {path: charts/prob} # here\n", ["no chart at 'charts/prob'", "Chart.yaml"]),
    "a missing chart of the overlay": (
        HEAD + CHART + "  overlays:\n    local:\n      chart: {path: charts/prob} # here\n",
        ["no chart at 'charts/prob'"],
    ),
    "a chart in two places": (
        HEAD + "  chart: {path: charts/probe, oci: oci://a/b, version: '1'} # here\n",
        ["either {path}, or {repo, name, version}, or {oci, version}"],
    ),
    "a chart without a version": (
        HEAD + "  chart: {repo: https://charts.example, name: probe} # here\n",
        ["either {path}, or {repo, name, version}, or {oci, version}"],
    ),
    "an environment variable that is not set": (
        HEAD + CHART + '  values: {size: "{{ env.SIZE_OF_IT }}"} # here\n',
        ["environment variable SIZE_OF_IT is not set"],
    ),
    "a type that is no name": ("type: [a] # here\nattributes: {}\n", ["valid string"]),
    "an unknown type": (
        (HEAD + CHART).replace("HelmRelease", "HelmRelaese # here"),
        ["unknown type", "did you mean 'carbon_platform.components.HelmRelease'", "carbon_platform.components.Content"],
    ),
    "a group that none can be": (
        (HEAD + CHART).replace("group: data", "group: a-b # here"),
        ["group", "pattern"],
    ),
    "a namespace that none can be": (
        (HEAD + CHART).replace("namespace: here", "namespace: Over_there # here"),
        ["namespace", "pattern"],
    ),
    "a key beside the attributes": (
        HEAD + CHART + "values: {} # here\n",
        ["unknown key 'values'", "attributes, post_processing, requirements, template_vars_module, type"],
    ),
    "broken YAML": (HEAD + CHART + "  needs: [a # here\n", ["not valid YAML"]),
    "two documents": (HEAD + CHART + "--- # here\na: 1\n", ["not valid YAML"]),
    "an empty file": ("# here", ["valid dictionary"]),
    "a date that is none": (HEAD + CHART + "  values: {from: 2026-13-45} # here\n", ["not valid YAML"]),
    "characters that YAML has not": ("# here \x07\n" + HEAD + CHART, ["not valid YAML"]),
}


@pytest.mark.parametrize(("text", "told"), CHARTS.values(), ids=CHARTS.keys())
def test_what_a_component_is_made_of_is_told_when_it_is_wrong(
    definitions: Definitions, text: str, told: list[str]
) -> None:
    definitions.chart()
    definitions.write("probe", text)
    first, *_ = problems(definitions)
    assert first.startswith(f"probe/defs.yaml:{here(text)}: ")
    for part in told:
        assert part in first


def test_every_problem_of_every_file_is_told_at_once(definitions: Definitions) -> None:
    definitions.chart()
    definitions.write("a", HEAD + CHART + "  needs: [nobody]\n  deadline: 5\n")
    definitions.write("b", HEAD + "  chart: {path: charts/none}\n  checks: [{type: nothing.at_all}]\n")
    definitions.write("c", HEAD + CHART + "  needs: [nobody]\n")
    told = problems(definitions)
    assert [line.split(" ")[0] for line in told] == [
        "a/defs.yaml:8:",
        "b/defs.yaml:6:",
        "b/defs.yaml:7:",
        "c/defs.yaml:7:",
    ]


def test_components_that_need_each_other_are_told_as_a_circle(definitions: Definitions) -> None:
    definitions.chart()
    definitions.write("a", HEAD + CHART + "  needs: [b]\n")
    definitions.write("b", HEAD.replace("here", "there") + CHART + "  needs: [c]\n")
    definitions.write("c", HEAD.replace("here", "elsewhere") + CHART + "  needs: [a]\n")
    (problem,) = problems(definitions)
    assert problem == "a/defs.yaml:7: components need each other in a circle: a → b → c → a"


def test_a_circle_that_only_one_overlay_makes_is_one_only_there(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("a", needs=["b"])
    definitions.release("b", overlays={"production": {"needs": ["a"]}})
    assert definitions.load("local").order == ["b", "a"]
    (problem,) = problems(definitions, "production")
    assert "in a circle: a → b → a" in problem


def test_an_overlay_nobody_asked_for_may_not_hide_an_unknown_need(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("a", overlays={"production": {"needs": ["nobody"]}})
    (problem,) = problems(definitions, "local")
    assert "needs 'nobody'" in problem


def test_two_components_with_one_release_are_told_with_both_names(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("first", release="same")
    second = definitions.release("second", release="same")
    line = second.read_text(encoding="utf-8").splitlines().index("  release: same") + 1
    assert problems(definitions) == [
        f"second/defs.yaml:{line}: release 'same' in namespace 'here' is already that of first"
    ]


def test_the_same_release_name_in_another_namespace_is_another_release(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("first", release="same")
    definitions.release("second", release="same", namespace="there")
    assert definitions.load().order == ["first", "second"]


def test_no_components_at_all_is_told_with_the_variable_to_set(definitions: Definitions) -> None:
    with pytest.raises(ConfigurationError, match="no component is defined") as caught:
        definitions.load()
    assert "CARBON_DEFS" in caught.value.fix


def test_a_component_that_is_none_is_refused_with_the_nearest_that_is(definitions: Definitions) -> None:
    definitions.chart()
    for key in ("postgres", "object_store"):
        definitions.release(key)
    needs = definitions.load().needs
    assert graph.select(needs, ["object-store"]) == ["object_store"]
    with pytest.raises(ConfigurationError) as caught:
        graph.select(needs, ["postgers", "postgres"])
    assert "did you mean 'postgres'?" in caught.value.cause
    assert "object_store, postgres" in caught.value.fix


def test_a_wrong_variable_is_told_with_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARBON_API_PORT", "none")
    monkeypatch.setenv("CARBON_WAIT_SECONDS", "soon")
    with pytest.raises(ConfigurationError) as caught:
        settings()
    assert "CARBON_API_PORT='none': Input should be a valid integer" in caught.value.cause
    assert "CARBON_WAIT_SECONDS='soon'" in caught.value.cause


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60), st.sampled_from(["", "  values: ", "  - ", "type: "])
)
def test_no_text_at_all_ends_in_anything_but_a_list_of_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str, before: str
) -> None:
    definitions = Definitions(tmp_path_factory.mktemp("any"))
    definitions.chart()
    file = definitions.write("probe", HEAD + CHART + before + text)
    told: Sequence[str] = ()
    try:
        load_platform(definitions.settings())
    except ConfigurationError as error:
        told = error.evidence
    assert all(line.startswith(f"{file}:") for line in told)
