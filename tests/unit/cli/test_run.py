"""The Dagster run of `carbon up`."""

import os

import dagster as dg
import pytest

from carbon_platform.cli.run import _HALF_WAY, _Watched, chosen_job, materialize, person
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


def test_the_list_of_runs_shows_which_components_and_who_started_it(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cluster answers, so the run fails; what is told of it is the same."""
    definitions.chart()
    for key in ("db", "app", "other"):
        definitions.release(key)
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    platform.cache_clear()
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            done = materialize(definitions.load(), ["db", "app"], {}, instance)
            run = instance.get_run_by_id(done.run_id)
    finally:
        platform.cache_clear()
    assert run is not None
    assert run.asset_selection == {dg.AssetKey("db"), dg.AssetKey("app")}
    assert (run.tags["user"], run.tags["carbon/command"]) == (person(), "up")
    begun = {event.step_key for event in done.all_events if event.is_step_start}
    assert begun == {"db", "app"}, "no sweep follows"


def test_who_has_no_name_on_this_machine_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert person().split("@")[0] == str(os.getuid())
