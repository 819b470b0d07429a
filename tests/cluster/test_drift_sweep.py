"""The drift sweep as Dagster runs it."""

import asyncio

import dagster as dg
import pytest

from carbon_platform.components.drift import look
from carbon_platform.definitions import defs
from tests.cluster.edits import edit
from tests.cluster.platform import Platform
from tests.cluster.sweeps import history, swept

pytestmark = pytest.mark.usefixtures("own_settings")


def label(platform: Platform, name: str) -> None:
    async def patch() -> None:
        async with platform.api() as api:
            await edit(api, platform.name("ConfigMap", name), lambda o: o["metadata"]["labels"].update(team="a"))

    asyncio.run(patch())


def test_what_drifted_fails_with_its_policys_severity_and_says_what_and_who(platform: Platform) -> None:
    platform.define("fine")
    platform.define("corrected")
    platform.define("reported", drift={"policy": "report"})
    platform.define("later")
    for key in ("fine", "corrected", "reported"):
        platform.deploy(key)
    for key in ("corrected", "reported"):
        label(platform, key)
    with dg.DagsterInstance.ephemeral() as instance:
        found = swept("in_sync", instance)
    assert {key: (one.passed, one.severity.value) for key, one in found.items()} == {
        "fine": (True, "ERROR"),
        "corrected": (False, "ERROR"),
        "reported": (False, "WARN"),
    }
    assert not any(one.blocking for one in found.values())
    metadata = found["corrected"].metadata
    assert metadata["differences"].value == 1
    table = metadata["drift"]
    assert isinstance(table, dg.TableMetadataValue)
    (row,) = table.records
    told = {name: row.data[name] for name in ("was", "field", "live", "desired", "by")}
    assert told == {
        "was": "added to",
        "field": "metadata.labels.team",
        "live": "a",
        "desired": "(absent)",
        "by": "kubectl-edit",
    }
    assert found["fine"].metadata["differences"].value == 0


def test_without_an_api_server_nothing_is_recorded_and_nothing_fails(platform: Platform) -> None:
    platform.define()
    platform.deploy()
    with dg.DagsterInstance.ephemeral() as instance, platform.server_away():
        assert swept("in_sync", instance) == {}


def test_one_component_can_be_compared_alone(platform: Platform) -> None:
    platform.define("one")
    platform.define("two")
    for key in ("one", "two"):
        platform.deploy(key)
    key = dg.AssetCheckKey(dg.AssetKey("one"), "in_sync")
    job = defs().resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={key})
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance)
    assert [one.asset_key.to_user_string() for one in done.get_asset_check_evaluations()] == ["one"]


def test_what_was_edited_is_told_with_who_and_when_before_it_is_put_back(platform: Platform) -> None:
    """As the healing sensor has it done, in a process beside the healing."""
    for key in ("edited", "other"):
        platform.define(key)
        platform.deploy(key)
        label(platform, key)
    with dg.DagsterInstance.ephemeral() as instance:
        asyncio.run(look(instance, keys={"edited"}))
        assert history("other", "in_sync", instance) == []
        (told,) = history("edited", "in_sync", instance)
    table = told.metadata["drift"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["by"] == "kubectl-edit"
    assert table.records[0].data["at"]
