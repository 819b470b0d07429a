"""The Dagster run of `carbon up`."""

import pytest

from carbon_platform.cli.run import chosen_job
from carbon_platform.components.definition import platform
from tests.definitions import Definitions


def test_a_run_is_of_the_chosen_components_and_of_no_sweep(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("db")
    definitions.release("app", needs=["db"], checks=[{"type": "redis.roundtrip"}])
    definitions.release("other")
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    platform.cache_clear()
    try:
        job = chosen_job(definitions.load(), ["db", "app"]).get_definition()
    finally:
        platform.cache_clear()
    assert {node.name for node in job.nodes} == {"db", "app"}
    checks = job.asset_layer.asset_graph.asset_check_keys
    told = {(key.asset_key.to_user_string(), key.name) for key in checks}
    assert told == {("db", "ready"), ("app", "ready"), ("app", "redis_roundtrip")}
