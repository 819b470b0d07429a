"""A folder of charts, tried: what rests, and what does not."""

import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks.corpus.carbon import Carbon
from benchmarks.corpus.charts import find
from benchmarks.corpus.result import COLUMNS
from benchmarks.corpus.trial import Trial
from benchmarks.simulated import environment
from carbon_platform.local import programs
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.settings import Settings
from tests.cluster.platform import CHARTS, ENVIRONMENT


def _chart(folder: Path, name: str, **values: object) -> None:
    shutil.copytree(CHARTS / "app", folder / name)
    (folder / f"{name}.values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture
def trial(cluster: LocalCluster, tmp_path: Path) -> Trial:
    """Of charts in `tmp_path / charts`, on the tests' cluster."""
    helm = programs.ensure(["helm"], Settings().cache, print)["helm"]
    work = tmp_path / "work"
    return Trial(cluster, Carbon(environment(work, work, cluster, helm, ENVIRONMENT), work / "logs"), work)


@pytest.mark.rare
def test_a_chart_that_rests_passes_every_step_and_one_that_is_refused_says_why(trial: Trial, tmp_path: Path) -> None:
    folder = tmp_path / "charts"
    _chart(folder, "calm")
    _chart(
        folder, "wrong", objects=[{"apiVersion": "nobody.example/v1", "kind": "Store", "metadata": {"name": "none"}}]
    )
    charts = {chart.name: chart for chart in find(folder)}
    calm, wrong = rows = [trial.deploy(chart) for chart in charts.values()]
    trial.rest(charts, rows, minutes=0.1)
    trial.down(charts, rows)
    assert {step: getattr(calm, step) for step in COLUMNS} == dict.fromkeys(COLUMNS, True), calm.notes
    assert calm.notes == []
    assert (wrong.deployed, wrong.refused, wrong.down_clean, wrong.nothing_healed) == (False, True, True, None)
    assert wrong.notes[-1].startswith("refused: ")
    assert "Store" in wrong.notes[-1]
