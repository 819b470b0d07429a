"""Reading and writing the definition of a workflow, with its schedule, through DolphinScheduler's API."""

from typing import Any

from carbon_platform.checks.dolphinscheduler_session import Refused, Scheduler
from carbon_platform.checks.dolphinscheduler_workflows import (
    LiveWorkflow,
    Workflow,
    WorkflowDifference,
    definition_form,
    difference,
    live_schedule,
    live_workflow,
    schedule_form,
)

_ALREADY_EXISTS = frozenset({10019, 10168})
"""Codes of a project and of a definition whose name is taken."""


async def load(session: Scheduler, project: int, name: str) -> LiveWorkflow | None:
    """A workflow as it is, or None."""
    words = await session.words(project)
    place = f"/projects/{project}"
    listed = await session.entries(f"{place}/{words.definitions}", {"searchVal": name})
    row = next((one for one in listed if one["name"] == name), None)
    if row is None:
        return None
    dag = await session.call("GET", f"{place}/{words.definitions}/{row['code']}")
    schedule = await _schedule(session, project, int(row["code"]))
    return live_workflow(dag, schedule, words)


async def _schedule(session: Scheduler, project: int, code: int) -> dict[str, Any] | None:
    words = await session.words(project)
    found = await session.entries(f"/projects/{project}/schedules", {words.code: code})
    return next((one for one in found if int(one[words.code]) == code), None)


async def ensure_project(session: Scheduler, name: str, description: str) -> int:
    """Code of the project, made if there is none."""
    code = await session.project(name)
    if code is not None:
        return code
    try:
        made = await session.call("POST", "/projects", {"projectName": name, "description": description})
    except Refused as refused:
        # Another writer was a moment faster.
        code = await session.project(name) if refused.code in _ALREADY_EXISTS else None
        if code is None:
            raise
        return code
    return int(made["code"])


async def ensure(session: Scheduler, project: int, workflow: Workflow) -> LiveWorkflow:
    """The workflow as declared: made, changed in place, or left alone. Its finished and running instances stay."""
    live = await load(session, project, workflow.name)
    found = difference(workflow, live)
    if found is None and live is not None:
        return live
    if live is None:
        await _create(session, project, workflow)
    elif found and found.definition:
        await _replace(session, project, workflow, live)
    live = await load(session, project, workflow.name)
    assert live is not None, "it was made or changed a moment ago"
    found = difference(workflow, live) or WorkflowDifference()
    if found.release:
        await _release(session, project, workflow, live.code, "ONLINE")
    if found.schedule:
        await _set_schedule(session, project, workflow, live)
    loaded = await load(session, project, workflow.name)
    assert loaded is not None, "it was there a moment ago"
    return loaded


async def _create(session: Scheduler, project: int, workflow: Workflow) -> None:
    words = await session.words(project)
    names = [task.name for task in workflow.tasks]
    codes = dict(zip(names, await _new_codes(session, project, len(names)), strict=True))
    await session.call("POST", f"/projects/{project}/{words.definitions}", definition_form(workflow, codes, {}))


async def _new_codes(session: Scheduler, project: int, count: int) -> list[int]:
    path = f"/projects/{project}/task-definition/gen-task-codes"
    return [int(code) for code in await session.call("GET", path, query={"genNum": count})]


async def _replace(session: Scheduler, project: int, workflow: Workflow, live: LiveWorkflow) -> None:
    """Write a new version of the definition. Tasks keep their codes, so that their history goes on."""
    words = await session.words(project)
    codes = {name: int(task["code"]) for name, task in live.tasks.items()}
    versions = {name: int(task["version"]) for name, task in live.tasks.items()}
    new = [task.name for task in workflow.tasks if task.name not in codes]
    if new:
        codes |= dict(zip(new, await _new_codes(session, project, len(new)), strict=True))
    if live.online:
        # What is online can't be edited. Its schedule goes offline with it.
        await _release(session, project, workflow, live.code, "OFFLINE")
    form = definition_form(workflow, codes, versions)
    await session.call("PUT", f"/projects/{project}/{words.definitions}/{live.code}", form)


async def _release(session: Scheduler, project: int, workflow: Workflow, code: int, state: str) -> None:
    words = await session.words(project)
    path = f"/projects/{project}/{words.definitions}/{code}/release"
    await session.call("POST", path, {"name": workflow.name, "releaseState": state})


async def _set_schedule(session: Scheduler, project: int, workflow: Workflow, live: LiveWorkflow) -> None:
    words, place = await session.words(project), f"/projects/{project}/schedules"
    there, wanted = live.schedule, workflow.schedule
    if there and there.online:
        await session.call("POST", f"{place}/{there.id}/offline")
    if wanted is None:
        return
    form = schedule_form(wanted, words)
    if there is None:
        await session.call("POST", place, {words.code: live.code, **form})
        entry = await _schedule(session, project, live.code)
        assert entry is not None, "it was made a moment ago"
        there = live_schedule(entry)
    elif (there.cron, there.timezone) != (wanted.cron, wanted.timezone):
        await session.call("PUT", f"{place}/{there.id}", form)
    await session.call("POST", f"{place}/{there.id}/online")
