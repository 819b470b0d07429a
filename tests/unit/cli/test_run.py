"""The Dagster run of `carbon up`."""

import pytest

from carbon_platform.cli.run import _HALF_WAY, _Watched, chosen_job
from carbon_platform.components.definition import platform
from carbon_platform.materialization.progress import Event, Step
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


NEWS = {
    "db": (Step.DONE, "3/3 checks passed"),
    "cache": (Step.DONE, "2/3 checks passed"),
    "topics": (Step.FAILED, "no broker"),
    "api": (Step.APPLY, "upgrades"),
    "web": (Step.WAIT, "1/2 pods"),
    "docs": (Step.VERIFY, ""),
    "plan": (Step.PREFLIGHT, ""),
    "other": None,
}


def test_a_run_that_is_interrupted_tells_what_is_done_half_way_and_not_begun() -> None:
    watched = _Watched(list(NEWS))
    with watched.shown(quiet=True):
        for key, news in NEWS.items():
            if news:
                watched.hear(Event(key, *news))
    assert watched.ends() == [
        "done: db",
        "half-way: api, applied in part: the next run applies the rest",
        "half-way: web, applied, and not ready yet: the next run waits for it and verifies it",
        "half-way: docs, applied and ready, and not verified: the next run verifies it",
        "half-way: plan, nothing of it was applied yet",
        "failed: cache, topics",
        "not begun: other",
    ]
    assert watched.left() == [key for key in NEWS if key != "db"]


def test_before_anything_was_begun_all_is_told_as_that() -> None:
    assert _Watched(["db", "api"]).ends() == ["not begun: db, api"]


def test_every_step_that_can_be_interrupted_says_what_that_means() -> None:
    assert set(_HALF_WAY) == set(Step) - {Step.DONE, Step.FAILED}
