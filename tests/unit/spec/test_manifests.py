"""Objects that a definition writes out come out as they were written; what is wrong with them has file and line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from carbon_platform.errors import ConfigurationError
from carbon_platform.release.manifest import load_objects
from carbon_platform.spec.platform import Component
from tests.definitions import MANIFESTS, Definitions

HEAD = f"""\
type: {MANIFESTS}
attributes:
  title: Objects
  group: data
  namespace: here
"""
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "yes"}}
NAMES = "metadata: {name: a}"


def texts(component: Component) -> list[str]:
    assert component.release is not None
    return list(component.release.values["documents"])


def objects(component: Component) -> list[Any]:
    return [obj for text in texts(component) for obj in load_objects(text)]


def problems(definitions: Definitions) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        definitions.load()
    return [line.removeprefix(f"{definitions.defs}/") for line in caught.value.evidence]


def written(definitions: Definitions, name: str, text: str) -> Path:
    file = definitions.file("probe").parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_objects_become_a_release_with_what_a_release_has(definitions: Definitions) -> None:
    definitions.manifests("my_objects", objects=[CONFIG], stateful=True, namespaces=["there"])
    component = definitions.load().components["my_objects"]
    assert objects(component) == [CONFIG]
    assert component.release is not None
    assert (component.release.name, component.release.namespaces) == ("my-objects", ("here", "there"))
    assert component.release.stateful
    assert component.release.chart.text is not None


_SCALARS = (
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none() | st.floats(allow_nan=False, width=32)
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(_VALUES)
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.usefixtures("definitions")
def test_what_is_written_is_what_helm_reads(definitions: Definitions, value: Any) -> None:
    body = json.dumps(CONFIG | {"spec": {"value": value}})
    if "{{" in body:
        return
    definitions.write("probe", HEAD + f"  objects:\n    - {json_for_yaml(body)}\n")
    (found,) = objects(definitions.load().components["probe"])
    assert found["spec"]["value"] == yaml.safe_load(json_for_yaml(body))["spec"]["value"]


def json_for_yaml(text: str) -> str:
    """YAML takes half of a surrogate pair for no character: such text is written as YAML would have it."""
    return yaml.safe_dump(json.loads(text), default_flow_style=True, width=10**9).strip()


def test_numbers_texts_and_times_stay_what_they_are(definitions: Definitions) -> None:
    spec = "{many: 9007199254740993, few: 1000000, part: 0.5, text: 'yes', digits: '0123', from: 2026-01-02T03:04:05Z}"
    definitions.write("probe", HEAD + f"  objects:\n    - {{apiVersion: a.b/v1, kind: Thing, {NAMES}, spec: {spec}}}\n")
    (found,) = objects(definitions.load().components["probe"])
    assert found["spec"] == {
        "many": 9007199254740993,
        "few": 1000000,
        "part": 0.5,
        "text": "yes",
        "digits": "0123",
        "from": "2026-01-02T03:04:05Z",
    }


def test_references_are_replaced_in_objects_and_files_are_left_as_they_are(definitions: Definitions) -> None:
    alert = "apiVersion: a.b/v1\nkind: Rule\nmetadata: {name: a}\nsummary: '{{ $labels.instance }} is down'\n"
    written(definitions, "rules/a.yaml", alert)
    definitions.write(
        "probe",
        HEAD
        + "  files: ['rules/*.yaml']\n  objects:\n"
        + f"    - {{apiVersion: v1, kind: ConfigMap, {NAMES}, data: {{host: 'a.{{{{ domain }}}}'}}}}\n",
    )
    config, rule = objects(definitions.load().components["probe"])
    assert config["data"] == {"host": "a.254carbon.com"}
    assert rule["summary"] == "{{ $labels.instance }} is down"


def test_a_file_may_hold_several_objects_and_says_nothing_of_where_it_came_from(definitions: Definitions) -> None:
    text = "---\n# Source: chart/crds/a.yaml\n# a comment\n" + yaml.safe_dump(CONFIG)
    text += "---\n# only a comment\n--- # another\n" + yaml.safe_dump(CONFIG | {"kind": "Secret"})
    written(definitions, "objects.yaml", text)
    definitions.manifests("probe", files=["objects.yaml"])
    component = definitions.load().components["probe"]
    assert [found["kind"] for found in objects(component)] == ["ConfigMap", "Secret"]
    assert not any("#" in one for one in texts(component))


def test_overlays_change_objects_by_kind_and_name_and_add_others(definitions: Definitions) -> None:
    same = CONFIG | {"data": {"more": "1"}}
    other = CONFIG | {"metadata": {"name": "b"}}
    third = CONFIG | {"metadata": {"name": "c"}}
    written(definitions, "c.yaml", yaml.safe_dump(third))
    definitions.manifests(
        "probe",
        objects=[CONFIG],
        overlays={"local": {"objects": [same, other], "files": ["c.yaml"]}, "production": {}},
    )
    merged = CONFIG | {"data": {"key": "yes", "more": "1"}}
    assert objects(definitions.load().components["probe"]) == [merged, other, third]
    assert objects(definitions.load("production").components["probe"]) == [CONFIG]


WRONG = {
    "no objects at all": ("", ["there is no object"], 2),
    "an object without a name": (f"  objects:\n    - {{apiVersion: v1, {NAMES}}}\n", ["apiVersion, kind and"], 7),
    "one that is there twice": (
        f"  objects:\n    - {{apiVersion: v1, kind: A, {NAMES}}}\n    - {{apiVersion: v1, kind: A, {NAMES}}}\n",
        ["A a is here already, as number 1"],
        8,
    ),
    "a reference that names nothing": (
        f"  objects:\n    - apiVersion: v1\n      kind: A\n      {NAMES}\n      data: {{a: '{{{{ domian }}}}'}}\n",
        ["{{ domian }}", "domain"],
        10,
    ),
    "files that are not there": ("  files:\n    - 'none/*.yaml'\n", ["no file is at 'none/*.yaml'"], 7),
    "a path from the root": ("  files:\n    - /etc/a.yaml\n", ["not relative"], 7),
    "a chart": ("  objects: []\n  chart: {path: a}\n", ["unknown key 'chart'", "objects"], 7),
}


@pytest.mark.parametrize(("text", "told", "line"), WRONG.values(), ids=WRONG.keys())
def test_a_problem_with_objects_is_told_with_its_line(
    definitions: Definitions, text: str, told: list[str], line: int
) -> None:
    definitions.write("probe", HEAD + text)
    (problem,) = problems(definitions)
    assert problem.startswith(f"probe/defs.yaml:{line}: ")
    assert all(part in problem for part in told)


WRONG_FILES = {
    "broken YAML": ("kind: A\n---\na: [\n", "not valid YAML", 4),
    "no object": ("apiVersion: v1\n---\n# nothing\n\nkind: A\n", "apiVersion, kind and metadata.name", 5),
    "twice": (yaml.safe_dump(CONFIG) + "---\n" + yaml.safe_dump(CONFIG), "ConfigMap a is already in", 8),
}


@pytest.mark.parametrize(("text", "told", "line"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_problem_in_a_file_of_objects_is_told_with_its_line(
    definitions: Definitions, text: str, told: str, line: int
) -> None:
    written(definitions, "objects.yaml", text)
    definitions.manifests("probe", files=["objects.yaml"])
    *_, problem = problems(definitions)
    assert problem.startswith(f"probe/objects.yaml:{line}: ")
    assert told in problem
