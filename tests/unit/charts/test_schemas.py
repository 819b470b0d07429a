"""What holds for every chart of ours, by reading its files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

CHARTS = Path(__file__).parents[3] / "charts"
LIBRARY = CHARTS / "carbon-library"
APPLICATIONS = sorted(p.parent for p in CHARTS.glob("*/Chart.yaml") if p.parent != LIBRARY)

each_chart = pytest.mark.parametrize("chart", APPLICATIONS, ids=lambda chart: chart.name)


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def read_schema(chart: Path) -> Any:
    return json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))


@each_chart
def test_definitions_that_a_schema_shares_with_the_library_are_equal(chart: Path) -> None:
    shared = json.loads((LIBRARY / "values.defs.json").read_text(encoding="utf-8"))["$defs"]
    own = read_schema(chart).get("$defs", {})
    assert {name: own[name] for name in own if name in shared} == {name: shared[name] for name in own if name in shared}


@each_chart
def test_a_schema_knows_every_default_value_and_no_other_key(chart: Path) -> None:
    schema = read_schema(chart)
    assert schema["additionalProperties"] is False
    assert set(read_yaml(chart / "values.yaml")) <= set(schema["properties"])


@each_chart
def test_the_library_is_the_one_folder_beside_the_chart(chart: Path) -> None:
    link = chart / "charts" / "carbon-library"
    assert link.is_symlink()
    assert link.readlink() == Path("../../carbon-library")
    (dependency,) = read_yaml(chart / "Chart.yaml")["dependencies"]
    assert dependency["version"] == read_yaml(LIBRARY / "Chart.yaml")["version"]


@each_chart
def test_no_chart_has_helm_hooks(chart: Path) -> None:
    for template in (chart / "templates").rglob("*"):
        if template.is_file():
            assert "helm.sh/hook" not in template.read_text(encoding="utf-8")
