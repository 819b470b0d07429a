"""The platform as Dagster loads it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import dagster_webserver
import pytest

from carbon_platform.components.asset import MaterializeConfig, check_names, component_asset
from carbon_platform.components.definition import Content, HelmRelease, platform
from carbon_platform.components.schedules import verification_schedules
from carbon_platform.definitions import defs
from carbon_platform.errors import ConfigurationError
from carbon_platform.spec.component import ContentAttributes, ReleaseAttributes
from tests.definitions import Definitions
from tests.unit.components.snapshot import FILE, snapshot


@pytest.fixture(autouse=True)
def _loaded_anew() -> Iterator[None]:
    platform.cache_clear()
    yield
    platform.cache_clear()


def test_the_shape_of_the_platform_is_the_reviewed_one() -> None:
    assert snapshot() == FILE.read_text(encoding="utf-8"), "write it: python -m tests.unit.components.snapshot"


def test_the_lineage_is_the_platforms_own_graph() -> None:
    graph = defs().get_repository_def().asset_graph
    for key, component in platform().components.items():
        node = graph.get(dg.AssetKey(key))
        assert {parent.to_user_string() for parent in node.parent_keys} == set(component.needs)
        assert {check.name for check in node.check_keys} == {*check_names(component), "healthy"} | (
            {"in_sync"} if component.release else set()
        )
        assert node.code_version == component.digest


def test_a_platform_of_ones_own_loads_from_its_folder(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("db", critical=True, owners=["team:a"], group="data")
    definitions.release("app", needs=["db"], kinds=["python"], verify={"cron": "*/15 * * * *"})
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    loaded = defs()
    graph = loaded.get_repository_def().asset_graph
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == {"db", "app"}
    (db,), (app,) = (loaded.resolve_assets_def(dg.AssetKey(key)).specs for key in ("db", "app"))
    assert db.tags["carbon/critical"] == "true"
    assert "carbon/critical" not in app.tags
    assert (db.kinds, app.kinds) == ({"kubernetes"}, {"python"})
    schedules = {schedule.name for schedule in loaded.get_repository_def().schedule_defs}
    assert schedules == {"verify_allby15_all_all_all_all_schedule"}
    assert {sensor.name for sensor in loaded.get_repository_def().sensor_defs} == {"drift", "heal", "health"}


def test_components_beside_the_shipped_ones_load_with_them(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("app", needs=["redis"], group="our_own")
    monkeypatch.setenv("CARBON_DEFS", f"shipped{os.pathsep}{definitions.defs}")
    graph = defs().get_repository_def().asset_graph
    assert graph.get(dg.AssetKey("app")).group_name == "our_own"
    assert graph.get(dg.AssetKey("app")).parent_keys == {dg.AssetKey("redis")}
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == set(platform().components)
    assert {"app", "trino", "datahub"} <= set(platform().components)


def icons() -> set[str]:
    """The kinds that Dagster's web UI has a picture for, as it is installed."""
    chunks = Path(dagster_webserver.__file__).parent / "webapp" / "build" / "_next" / "static" / "chunks"
    (text,) = (text for file in chunks.glob("*.js") if "rabbitmq:{icon:" in (text := file.read_text(encoding="utf-8")))
    return set(re.findall(r"[{,]\"?([a-z0-9]+)\"?:\{icon:", text))


def test_each_component_is_known_by_its_icon_in_the_lineage() -> None:
    known = icons()
    assert {"redis", "kubernetes"} <= known
    for key, component in platform().components.items():
        assert 1 <= len(component.kinds) <= 3, key
        assert known & set(component.kinds), key


def test_the_launchpad_offers_what_a_person_may_set_and_nothing_of_healing() -> None:
    assert set(MaterializeConfig.model_fields) == {"redeploy", "confirm"}


def test_wrong_definitions_fail_the_load_with_file_and_line(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("app", needs=["nobody"])
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    with pytest.raises(ConfigurationError) as caught:
        defs()
    assert str(definitions.file("app")) in str(caught.value)


def test_components_with_the_same_schedule_share_one_and_it_checks_only(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("a", verify={"cron": "0 * * * *"})
    definitions.release("b", verify={"cron": "0 * * * *"}, checks=[{"type": "redis.roundtrip"}])
    definitions.release("c", verify={"cron": "0 6 * * MON-FRI"})
    definitions.release("d")
    loaded = definitions.load()
    schedules = verification_schedules(loaded)
    assert {s.cron_schedule: s.description for s in schedules} == {
        "0 * * * *": "Verifies a, b.",
        "0 6 * * MON-FRI": "Verifies c.",
    }
    assert all(s.default_status is dg.DefaultScheduleStatus.RUNNING for s in schedules)
    assets = [component_asset(key, loaded) for key in loaded.components]
    hourly = dg.Definitions(assets=assets, schedules=schedules).resolve_job_def(schedules[0].job_name)
    assert hourly.asset_layer.selected_asset_keys == set()
    checks = hourly.asset_layer.asset_graph.asset_check_keys
    told = {(key.asset_key.to_user_string(), key.name) for key in checks}
    assert told == {("a", "ready"), ("b", "ready"), ("b", "redis_roundtrip")}


def test_two_schedules_that_read_alike_have_names_of_their_own(definitions: Definitions) -> None:
    definitions.chart()
    crons = ["*/5 * * * *", "* * * * 5", "5 * * * *", "0,5 * * * *", "0-5 * * * *", "0/5 * * * *"]
    for i, cron in enumerate(crons):
        definitions.release(f"c{i}", verify={"cron": cron})
    schedules = verification_schedules(definitions.load())
    assert len({s.name for s in schedules}) == len(crons)


def test_editors_know_what_a_component_may_say() -> None:
    assert HelmRelease.attributes_model is ReleaseAttributes
    assert Content.attributes_model is ContentAttributes
    schema = HelmRelease.get_model_cls().model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"chart", "needs", "values", "secrets", "checks"} <= set(schema["properties"])
