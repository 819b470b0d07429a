"""Looks at the whole platform, again and again: each in a process of its own, and without a run of Dagster's.

A run would fill the list of runs, and show its checks as not passed for as long as it takes.
"""

import asyncio
import contextlib
import fcntl
import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from carbon_platform.settings import settings

LONGEST_SECONDS = 300
"""A look that is not over by then hangs: it is ended, and another may begin."""
_REPEATED_SECONDS = 600
"""What has not changed is told again after so long, so that people see that it is looked at."""
_DAEMON_SECONDS = 5
"""Dagster looks this often whether a sensor is due."""

Look = Callable[[dg.DagsterInstance], Coroutine[Any, Any, None]]
"""Looks once and reports what it found. A function of a module: it is called in another process."""


def periodic_look(name: str, look: Look, seconds: int, description: str) -> dg.SensorDefinition:
    """A sensor that has `look` done every so many seconds, unless the one before is still at it."""

    @dg.sensor(
        name=name,
        minimum_interval_seconds=seconds - _DAEMON_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
    def begin(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        with alone(_lock(name)) as free:
            if not free:
                return dg.SkipReason("the one before is still at it")
        start(name, look, context.instance)
        return dg.SkipReason("a process looks at every component, and reports to their checks")

    return begin


def start(name: str, look: Look, instance: dg.DagsterInstance) -> multiprocessing.process.BaseProcess:
    """Have `look` done in a process of its own, which ends with this one, and after `LONGEST_SECONDS`.

    A check that hangs, or a client that crashes, is no business of the process that heals.
    """
    # Where the code server has its runs forked, this is a fork of the same process; threads are in neither.
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_look, args=(_lock(name), look, instance.get_ref()), name=name, daemon=True)
    process.start()
    return process


def _look(lock: Path, look: Look, ref: Any) -> None:
    """`ref`: by which another process opens the same Dagster instance."""
    signal.alarm(LONGEST_SECONDS)
    with alone(lock) as free:
        if free:
            with dg.DagsterInstance.from_ref(ref) as instance:
                asyncio.run(look(instance))


def _lock(name: str) -> Path:
    folder = settings().state
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{name}.lock"


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """True while nobody else has this lock. It goes with the process, whatever ends that."""
    with lock.open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def as_result(told: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    """The same for a check that is run by a person."""
    return dg.AssetCheckResult(
        passed=told.passed,
        asset_key=told.asset_key,
        check_name=told.check_name,
        severity=told.severity,
        description=told.description,
        metadata=told.metadata,
    )


def report(found: Iterable[dg.AssetCheckEvaluation], instance: dg.DagsterInstance) -> None:
    """Tell Dagster what differs from what the check said last, and what was not said for ten minutes.

    Nothing would be seen of more, and each evaluation is kept for ever.
    """
    for one in found:
        if _is_news(one, instance):
            instance.report_runless_asset_event(one)


def _is_news(found: dg.AssetCheckEvaluation, instance: dg.DagsterInstance) -> bool:
    record = instance.get_latest_asset_check_evaluation_record(found.asset_check_key)
    said = record.evaluation if record else None
    if record is None or record.event is None or not isinstance(said, dg.AssetCheckEvaluation):
        return True
    if (said.passed, said.severity, said.description) != (found.passed, found.severity, found.description):
        return True
    # Dagster shows what a check said before the last materialization as not evaluated, and counts in whole seconds.
    at, made = math.floor(record.event.timestamp), instance.get_latest_materialization_event(found.asset_key)
    return time.time() - at >= _REPEATED_SECONDS or (made is not None and made.timestamp >= at)
