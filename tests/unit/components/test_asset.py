"""How a materialization that could not be done shows in Dagster. The cluster is a stand-in: what it says is given."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import dagster as dg
import pytest

from carbon_platform.components import asset
from carbon_platform.components.asset import component_asset
from carbon_platform.errors import Blocked, CarbonError, NotReady
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.records import CheckResult, Record
from carbon_platform.spec.platform import Component, Platform
from tests.definitions import Definitions

BLOCKED = Blocked("datahub can't be deployed", "image x can't be pulled: no such host", "give it a registry")
PASSES = CheckResult("ready", True, "2 objects ready", "")


class StandInRecords:
    """Of everything it is known that it is blocked."""

    def get(self, key: str) -> Record:
        return Record(key, blocked=True)


class StandInSession:
    """With a cluster that nobody asks."""

    records = StandInRecords()


@pytest.fixture
def platform(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Two that come from a public registry alone, one above the other, and one that does not."""
    definitions.chart()
    definitions.release("datahub", overlays={"local": {"needs_registry": True}})
    definitions.release("reports", needs=["datahub"])
    definitions.release("db")

    @contextlib.asynccontextmanager
    async def session(_settings: object) -> AsyncIterator[StandInSession]:
        yield StandInSession()

    monkeypatch.setattr(asset, "shared_session", session)
    return definitions.load()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> dict[str, CarbonError]:
    """How materializations end, by component; what is not in it ends well."""
    errors: dict[str, CarbonError] = {}

    async def materialize(component: Component, *_: object) -> Outcome:
        if component.key in errors:
            raise errors[component.key]
        return Outcome(component.key, 1, "", True, (), (PASSES,), {}, {}, {})

    monkeypatch.setattr(asset, "materialize_release", materialize)
    return errors


def run(platform: Platform, keys: Sequence[str]) -> tuple[dg.ExecuteInProcessResult, set[str]]:
    """The run of these, and what it materialized."""
    assets = [component_asset(key, platform) for key in platform.components]
    job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(key) for key in keys], raise_on_error=False
        )
    made = {
        one.materialization.asset_key.to_user_string() for one in map(_data, done.get_asset_materialization_events())
    }
    return done, made


def _data(event: dg.DagsterEvent) -> Any:
    return event.event_specific_data


def test_what_is_blocked_for_want_of_a_registry_warns_and_what_needs_it_is_not_begun(
    platform: Platform, ends: dict[str, CarbonError]
) -> None:
    ends["datahub"] = BLOCKED
    done, made = run(platform, ["datahub", "reports", "db"])
    assert (done.success, made) == (True, {"db"})
    found = {one.asset_key.to_user_string(): one for one in done.get_asset_check_evaluations()}
    assert set(found) == {"datahub", "db"}
    assert (found["datahub"].passed, found["datahub"].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found["datahub"].description == "blocked: datahub can't be deployed: image x can't be pulled: no such host"
    assert found["datahub"].metadata["fix"].value == "give it a registry"


def test_who_asks_for_it_alone_is_told_that_it_failed(platform: Platform, ends: dict[str, CarbonError]) -> None:
    ends["datahub"] = BLOCKED
    done, made = run(platform, ["datahub"])
    assert (done.success, made) == (False, set())


@pytest.mark.parametrize(("key", "error"), [("db", BLOCKED), ("datahub", NotReady("it crashes"))])
def test_nothing_else_is_excused(
    platform: Platform, ends: dict[str, CarbonError], key: str, error: CarbonError
) -> None:
    ends[key] = error
    done, made = run(platform, ["datahub", "reports", "db"])
    assert not done.success
    assert key not in made


@pytest.mark.parametrize(("key", "severity"), [("datahub", "WARN"), ("reports", "WARN"), ("db", "ERROR")])
def test_checks_of_what_is_blocked_for_want_of_a_registry_warn(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, key: str, severity: str
) -> None:
    async def verify(*_: object) -> list[CheckResult]:
        return [CheckResult("ready", False, "it is not installed", "")]

    monkeypatch.setattr(asset, "verify", verify)
    job = dg.define_asset_job("checks", selection=dg.AssetSelection.checks_for_assets(key))
    assets = [component_asset(one, platform) for one in platform.components]
    done = dg.Definitions(assets=assets, jobs=[job]).resolve_job_def("checks").execute_in_process(raise_on_error=False)
    (told,) = done.get_asset_check_evaluations()
    assert (told.passed, told.severity.value) == (False, severity)
    assert told.description == ("blocked: " if severity == "WARN" else "") + "it is not installed"
