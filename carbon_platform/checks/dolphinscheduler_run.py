"""Running a workflow to its end through DolphinScheduler's API."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from carbon_platform.checks.dolphinscheduler_session import Scheduler
from carbon_platform.errors import CheckFailed

_POLL = 0.25
"""Seconds between two looks at an instance."""

_ENDED = frozenset({"SUCCESS", "FAILURE", "STOP", "PAUSE", "KILL"})

_LOG_LINES = 1000

_FIX = "see the task's log in the UI; where every shell task fails, see whether the workers may start one"


@dataclasses.dataclass(frozen=True)
class Run:
    """One run that reached SUCCESS."""

    id: int
    milliseconds: float
    """From the request to the end, as seen from here."""


async def run_to_success(session: Scheduler, project: int, code: int, seconds: float) -> Run:
    """Start a workflow and follow it to SUCCESS.

    Raises CheckFailed with the failed task and its last line when it ends otherwise, or does not end in `seconds`.
    """
    began = time.perf_counter()
    instance = await _start(session, project, code, began + seconds)
    while instance.get("state") not in _ENDED:
        if time.perf_counter() - began > seconds:
            raise CheckFailed(
                "a workflow does not end",
                f"instance {instance['id']} is {instance.get('state')} after {seconds:.0f} s",
                "see whether masters and workers are registered, and their logs",
            )
        await asyncio.sleep(_POLL)
        found = [one for one in await _newest(session, project, code) if one["id"] == instance["id"]]
        if not found:
            raise CheckFailed("a workflow's instance is gone", f"instance {instance['id']}", "somebody deleted it")
        instance = found[0]
    if instance["state"] != "SUCCESS":
        why = await _failed_task(session, project, int(instance["id"]))
        cause = f"instance {instance['id']} ended as {instance['state']}{why}"
        raise CheckFailed(f"a workflow does not succeed: {instance.get('name', code)}", cause, _FIX)
    return Run(int(instance["id"]), round((time.perf_counter() - began) * 1000, 1))


async def _start(session: Scheduler, project: int, code: int, deadline: float) -> Mapping[str, Any]:
    """Start an instance; its entry as soon as the server lists it. From 3.3 on the answer tells its id."""
    words = await session.words(project)
    before = max((int(one["id"]) for one in await _newest(session, project, code)), default=0)
    form = {
        words.code: code,
        "scheduleTime": "",
        "failureStrategy": "CONTINUE",
        "warningType": "NONE",
        "tenantCode": "default",
        "workerGroup": "default",
        words.priority: "MEDIUM",
    }
    answer = await session.call("POST", f"/projects/{project}/executors/{words.start}", form)
    wanted = int(answer[0]) if isinstance(answer, list) and answer else None
    while True:
        listed = await _newest(session, project, code)
        mine = [one for one in listed if one["id"] == wanted or (wanted is None and int(one["id"]) > before)]
        if mine:
            return min(mine, key=lambda one: int(one["id"]))
        if time.perf_counter() > deadline:
            raise CheckFailed(
                "a workflow does not start",
                "the start was accepted, but no master has taken it up",
                "see whether a master is registered, and its log",
            )
        await asyncio.sleep(_POLL)


async def _newest(session: Scheduler, project: int, code: int) -> list[dict[str, Any]]:
    """The latest instances of a workflow."""
    words = await session.words(project)
    query = {words.filter: code, "pageNo": 1, "pageSize": 10}
    data = await session.call("GET", f"/projects/{project}/{words.instances}", query=query)
    return [one for one in data["totalList"] if int(one[words.code]) == code]


async def _failed_task(session: Scheduler, project: int, instance: int) -> str:
    """Which task failed where, and the last line it logged; nothing if the server does not tell."""
    with contextlib.suppress(CheckFailed, KeyError, TypeError):
        words = await session.words(project)
        tasks = await session.entries(f"/projects/{project}/task-instances", {words.instance: instance})
        failed = next((one for one in tasks if one["state"] not in {"SUCCESS", "RUNNING_EXECUTION"}), None)
        if failed is not None:
            told = f": task {failed['name']} {failed['state']} on {failed.get('host')}"
            with contextlib.suppress(CheckFailed, KeyError, TypeError):
                query = {"taskInstanceId": failed["id"], "skipLineNum": 0, "limit": _LOG_LINES}
                log = (await session.call("GET", "/log/detail", query=query))["message"]
                told += f", {[line for line in log.splitlines() if line.strip()][-1].strip()[:200]!r}"
            return told
    return ""


async def forget_finished(session: Scheduler, project: int, code: int) -> int:
    """Delete the finished instances of a workflow; how many could not be deleted."""
    words = await session.words(project)
    left = 0
    for one in await _newest(session, project, code):
        if one.get("state") in _ENDED:
            try:
                await session.call("DELETE", f"/projects/{project}/{words.instances}/{one['id']}")
            except CheckFailed:
                left += 1  # another probe may have been faster
    return left
