"""Looks without a run: each in a process of its own, one at a time, and told when there is something to tell."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from carbon_platform.components import periodic
from carbon_platform.components.periodic import alone, periodic_look, report, start
from carbon_platform.settings import settings

KEY = dg.AssetKey("app")
CHECK = dg.AssetCheckKey(KEY, "healthy")


def said(passed: bool = True, description: str = "all passed") -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(asset_key=KEY, check_name="healthy", passed=passed, description=description)


async def finds_it_well(instance: dg.DagsterInstance) -> None:
    """A look, as the sweeps are."""
    report([said()], instance)


async def hangs(instance: dg.DagsterInstance) -> None:
    """A look that reports, and does not end."""
    report([said()], instance)
    await asyncio.Event().wait()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """With storage that another process can write to."""
    monkeypatch.setenv("CARBON_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made
    settings.cache_clear()


def history(instance: dg.DagsterInstance) -> list[bool]:
    """Whether it passed, the newest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=20)
    assert all(record.run_id == "" for record in records)
    return [record.evaluation.passed for record in records if record.evaluation]


def test_a_look_is_done_in_another_process_and_leaves_no_run(instance: dg.DagsterInstance) -> None:
    process = start("well", finds_it_well, instance)
    process.join()
    assert process.exitcode == 0
    assert history(instance) == [True]
    assert instance.get_runs() == []


def test_while_one_is_at_it_none_begins_and_it_is_told(instance: dg.DagsterInstance) -> None:
    sensor = periodic_look("well", finds_it_well, 60, "")
    context = dg.build_sensor_context(instance=instance)
    first = start("well", hangs, instance)
    try:
        while not history(instance):
            assert first.is_alive()
            first.join(0.05)
        assert sensor.evaluate_tick(context).skip_message == "the one before is still at it"
        second = start("well", finds_it_well, instance)
        second.join()
        assert (second.exitcode, history(instance)) == (0, [True])
    finally:
        first.kill()
        first.join()
    assert sensor.evaluate_tick(context).skip_message != "the one before is still at it"


def test_one_that_hangs_is_ended_and_lets_the_next_begin(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the kernel for the signal that ends it, which is sent here before five minutes have passed."""
    asked: list[int] = []
    monkeypatch.setattr(periodic.signal, "alarm", asked.append)
    lock = settings().state / "well.lock"
    lock.parent.mkdir()
    periodic._look(lock, finds_it_well, instance.get_ref())
    assert asked == [300]
    hanging = start("well", hangs, instance)
    while not taken(lock):
        assert hanging.is_alive()
        hanging.join(0.05)
    assert hanging.pid is not None
    os.kill(hanging.pid, signal.SIGALRM)
    hanging.join()
    assert hanging.exitcode == -signal.SIGALRM
    assert not taken(lock)


def taken(lock: Path) -> bool:
    with alone(lock) as free:
        return not free


def test_what_is_told_again_is_what_changed(instance: dg.DagsterInstance) -> None:
    for one in (said(), said(), said(False, "no answer"), said(False, "no answer"), said(False, "no host"), said()):
        report([one], instance)
    assert history(instance) == [True, False, False, True]


def test_what_has_not_changed_is_told_every_ten_minutes(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    report([said()], instance)
    now = time.time()
    monkeypatch.setattr(periodic.time, "time", lambda: now + 590)
    report([said()], instance)
    assert history(instance) == [True]
    monkeypatch.setattr(periodic.time, "time", lambda: now + 601)
    report([said()], instance)
    assert history(instance) == [True, True]


def test_it_is_told_anew_after_a_materialization(instance: dg.DagsterInstance) -> None:
    report([said()], instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    report([said()], instance)
    assert history(instance) == [True, True]
