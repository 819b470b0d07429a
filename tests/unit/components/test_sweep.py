"""The health sweep as Dagster has it; what it finds is tested with the sweep itself."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from carbon_platform.components import sweep
from carbon_platform.healing.sweep import Swept
from carbon_platform.records import CheckResult
from tests.definitions import Definitions

AT = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the check on a cluster where every component is healthy; the components that it found so."""
    definitions = Definitions(tmp_path)
    definitions.chart()
    for key in ("one", "two"):
        definitions.release(key)
    swept = sweep.health_sweep(definitions.load())

    @contextlib.asynccontextmanager
    async def no_session(_settings: object) -> AsyncIterator[None]:
        yield

    async def healthy(_platform: object, keys: list[str], *_: object) -> list[Swept]:
        return [Swept(key) for key in keys]

    monkeypatch.setattr(sweep, "shared_session", no_session)
    monkeypatch.setattr(sweep, "sweep", healthy)

    def run() -> list[str]:
        (check,) = swept.asset_checks or ()
        job = dg.define_asset_job("health", selection=dg.AssetSelection.checks(check))
        made = dg.Definitions(asset_checks=[check], jobs=[job]).resolve_job_def("health")
        evaluations = made.execute_in_process().get_asset_check_evaluations()
        return sorted(e.asset_key.to_user_string() for e in evaluations if e.passed)

    return run


def test_the_check_can_be_run_by_a_person_for_every_component(found: Any) -> None:
    assert found() == ["one", "two"]


def told(swept: Swept, **known: str) -> dg.AssetCheckEvaluation:
    (one,) = sweep.evaluations([swept], known)
    return one


PASSES = CheckResult("ready", True, "2 objects ready", AT, 0.25)
FAILS = CheckResult("ping", False, "no answer", AT, 1.5, "see its log", {"latency_ms": 7.5, "role": "slave"})


def test_of_what_is_unknown_nothing_is_told() -> None:
    assert [*sweep.evaluations([Swept("app", unknown="it was never verified")], {})] == []


def test_how_long_the_checks_took_is_one_table_and_a_number_to_plot() -> None:
    metadata = told(Swept("app", (PASSES, FAILS))).metadata
    assert metadata["seconds"].value == 1.75
    table = metadata["timing"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data for record in table.records] == [
        {"name": "ready", "seconds": 0.25},
        {"name": "ping", "seconds": 1.5},
    ]
    assert not any(name.startswith("seconds_") for name in metadata)


def test_what_fails_says_why_and_what_helps_first() -> None:
    one = told(Swept("app", (PASSES, FAILS)))
    assert (one.passed, one.severity, one.description) == (False, dg.AssetCheckSeverity.ERROR, "ping: no answer")
    assert [*one.metadata][:2] == ["cause", "fix"]
    assert one.metadata["fix"].value == "see its log"
    table = one.metadata["evidence"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {record.data["name"]: record.data["value"] for record in table.records} == {
        "ping: latency_ms": 7.5,
        "ping: role": "slave",
    }


def test_what_is_scaled_to_nothing_on_purpose_is_off_and_no_error() -> None:
    one = told(Swept("app", (FAILS,)), app="off: scaled to nothing on purpose")
    assert one.severity is dg.AssetCheckSeverity.WARN
    assert one.description == "off: scaled to nothing on purpose"


def test_that_healing_has_given_up_stays_told_by_every_sweep_after_it() -> None:
    one = told(Swept("app", (FAILS,)), app="quarantined: 3 attempts did not help: Pod app: crashes")
    assert (one.passed, one.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert one.description == "quarantined: 3 attempts did not help: Pod app: crashes"
    assert one.metadata["cause"].value == "ping: no answer"
