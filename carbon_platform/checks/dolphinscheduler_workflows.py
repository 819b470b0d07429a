"""A declared workflow, a live one, and how they differ. Pure; the shapes are those of DolphinScheduler's API."""

import dataclasses
import graphlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from carbon_platform.checks.dolphinscheduler_session import Words

_FOREVER = ("2020-01-01 00:00:00", "2120-01-01 00:00:00")
"""A schedule has a first and a last day; one that is to go on gets these."""

_SHOWN = 60
"""Characters of a script shown in a difference."""


class Task(BaseModel):
    """A shell task as a person declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,60}$")
    description: str = ""
    script: str = Field(min_length=1, description="Run by bash on a worker; DolphinScheduler itself replaces ${…}.")
    after: list[str] = Field(default_factory=list, description="Tasks that must have succeeded before.")
    retries: int = Field(0, ge=0)
    retry_minutes: int = Field(1, ge=1, description="Between two tries.")
    timeout_minutes: int = Field(0, ge=0, description="After which it fails; 0 for no limit.")


class Schedule(BaseModel):
    """When a workflow starts by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str = Field(description="Quartz's notation, which begins with seconds, such as 0 15 6 * * ? *")
    timezone: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _seven_fields(cls, value: str) -> str:
        fields = value.split()
        if len(fields) not in {6, 7} or "?" not in (fields[3], fields[5]):
            raise ValueError(
                f"{value!r} is no schedule; write seconds, minutes, hours, day, month, weekday, with ? for one of the"
                " two days, such as 0 15 6 * * ?"
            )
        return " ".join(fields)


class Workflow(BaseModel):
    """A workflow as a person declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,60}$")
    description: str = ""
    prelude: str = Field("", description="Put before the script of every task: functions and variables they share.")
    tasks: list[Task] = Field(min_length=1)
    schedule: Schedule | None = Field(None, description="Unset: it only starts when somebody starts it.")

    @model_validator(mode="after")
    def _consistent(self) -> "Workflow":
        names = [task.name for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"tasks declared twice: {', '.join(twice)}")
        unknown = sorted({name for task in self.tasks for name in task.after} - set(names))
        if unknown:
            raise ValueError(f"`after` names tasks that are not declared: {', '.join(unknown)}")
        try:
            graphlib.TopologicalSorter({task.name: task.after for task in self.tasks}).prepare()
        except graphlib.CycleError as error:
            raise ValueError(f"tasks wait for each other: {' → '.join(error.args[1])}") from error
        return self

    def script(self, task: Task) -> str:
        """What a worker runs for a task."""
        return f"{self.prelude.rstrip()}\n{task.script}" if self.prelude else task.script


@dataclasses.dataclass(frozen=True)
class LiveSchedule:
    """A schedule as the server has it."""

    id: int
    cron: str
    timezone: str
    online: bool


@dataclasses.dataclass(frozen=True)
class LiveWorkflow:
    """A workflow as the server has it."""

    code: int
    description: str
    online: bool
    tasks: Mapping[str, Mapping[str, Any]]
    """By name, as the server gives them."""
    after: Mapping[str, frozenset[str]]
    """For each task, those right before it."""
    schedule: LiveSchedule | None


def live_workflow(dag: Mapping[str, Any], schedule: Mapping[str, Any] | None, words: Words) -> LiveWorkflow:
    """A workflow from the answer to its definition and, if it has one, the entry of its schedule."""
    definition = dag[words.definition]
    tasks = {str(task["name"]): task for task in dag["taskDefinitionList"]}
    names = {int(task["code"]): name for name, task in tasks.items()}
    after: dict[str, set[str]] = {name: set() for name in tasks}
    for relation in dag[words.relations]:
        before, task = names.get(int(relation["preTaskCode"])), names.get(int(relation["postTaskCode"]))
        if before and task:
            after[task].add(before)
    return LiveWorkflow(
        code=int(definition["code"]),
        description=definition.get("description") or "",
        online=definition.get("releaseState") == "ONLINE",
        tasks=tasks,
        after={name: frozenset(found) for name, found in after.items()},
        schedule=live_schedule(schedule) if schedule else None,
    )


def live_schedule(entry: Mapping[str, Any]) -> LiveSchedule:
    """A schedule from an entry of the server's list."""
    return LiveSchedule(
        int(entry["id"]),
        " ".join(str(entry["crontab"]).split()),
        str(entry.get("timezoneId") or ""),
        entry.get("releaseState") == "ONLINE",
    )


def parameters(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a live task, which some versions give as text."""
    given = task.get("taskParams") or {}
    found: Mapping[str, Any] = json.loads(given) if isinstance(given, str) else given
    return found


@dataclasses.dataclass(frozen=True)
class WorkflowDifference:
    """What is declared and not so."""

    definition: tuple[str, ...] = ()
    """Changes that make a new version of the definition."""
    release: tuple[str, ...] = ()
    """Changes of whether it can be started."""
    schedule: tuple[str, ...] = ()

    def steps(self) -> list[str]:
        """Every change, field by field."""
        return [*self.definition, *self.release, *self.schedule]


def difference(workflow: Workflow, live: LiveWorkflow | None) -> WorkflowDifference | None:
    """What `workflow` declares and `live` has not; None when nothing is to do.

    A task that is not declared goes: a definition is declared as a whole, and the server keeps its older versions.
    """
    if live is None:
        create = f"create with {len(workflow.tasks)} tasks"
        when = (f"schedule: create {shown(workflow.schedule)}",) if workflow.schedule else ()
        return WorkflowDifference((create,), ("release: → online",), when)
    definition = []
    if live.description != workflow.description:
        definition.append(_pair("description", live.description, workflow.description))
    for task in workflow.tasks:
        definition += _task_steps(workflow, task, live)
    definition += [f"task {name}: remove" for name in live.tasks.keys() - {task.name for task in workflow.tasks}]
    found = WorkflowDifference(
        tuple(definition), () if live.online else ("release: offline → online",), tuple(_schedule_steps(workflow, live))
    )
    return found if found.steps() else None


def _task_steps(workflow: Workflow, task: Task, live: LiveWorkflow) -> list[str]:
    there = live.tasks.get(task.name)
    if there is None:
        return [f"task {task.name}: create"]
    pairs: list[tuple[str, object, object]] = [
        ("type", there.get("taskType"), "SHELL"),
        ("description", there.get("description") or "", task.description),
        ("script", parameters(there).get("rawScript"), workflow.script(task)),
        ("after", sorted(live.after[task.name]), sorted(task.after)),
        ("retries", int(there.get("failRetryTimes") or 0), task.retries),
        ("timeout_minutes", int(there.get("timeout") or 0), task.timeout_minutes),
        ("enabled", there.get("flag"), "YES"),
    ]
    if task.retries:
        pairs.append(("retry_minutes", int(there.get("failRetryInterval") or 0), task.retry_minutes))
    return [f"task {task.name}: {_pair(what, before, after)}" for what, before, after in pairs if before != after]


def _pair(field: str, before: object, after: object) -> str:
    if not isinstance(before, str) or not isinstance(after, str):
        return f"{field}: {before} → {after}"
    # Of two long texts, the first line that differs tells more than the beginning that they share.
    lines = zip([*before.splitlines(), ""], [*after.splitlines(), ""], strict=False)
    first = next(((a, b) for a, b in lines if a != b), (before, after))
    return f"{field}: {_short(first[0])} → {_short(first[1])}"


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def shown(schedule: Schedule) -> str:
    """A schedule in one line."""
    return f"{schedule.cron} ({schedule.timezone})"


def _schedule_steps(workflow: Workflow, live: LiveWorkflow) -> list[str]:
    wanted, there = workflow.schedule, live.schedule
    if wanted is None:
        return ["schedule: online → offline"] if there and there.online else []
    if there is None:
        return [f"schedule: create {shown(wanted)}"]
    pairs = [("cron", there.cron, wanted.cron), ("timezone", there.timezone, wanted.timezone)]
    steps = [f"schedule: {what}: {before} → {after}" for what, before, after in pairs if before != after]
    return steps if there.online else [*steps, "schedule: offline → online"]


def definition_form(workflow: Workflow, codes: Mapping[str, int], versions: Mapping[str, int]) -> dict[str, Any]:
    """The form that makes or replaces a definition. `codes` by task; `versions` of those that are there already."""
    relations, tasks = [], []
    for task in workflow.tasks:
        befores: list[str | None] = [*task.after] or [None]
        for before in befores:
            relations.append(
                {
                    "name": "",
                    "preTaskCode": codes[before] if before else 0,
                    "preTaskVersion": versions.get(before, 1) if before else 0,
                    "postTaskCode": codes[task.name],
                    "postTaskVersion": versions.get(task.name, 1),
                    "conditionType": "NONE",
                    "conditionParams": {},
                }
            )
        tasks.append(_task_form(workflow, task, codes[task.name], versions.get(task.name, 1)))
    return {
        "name": workflow.name,
        "description": workflow.description,
        "globalParams": "[]",
        "locations": json.dumps(_locations(workflow.tasks, codes)),
        "timeout": 0,
        "taskRelationJson": json.dumps(relations),
        "taskDefinitionJson": json.dumps(tasks),
        "executionType": "PARALLEL",
    }


def _task_form(workflow: Workflow, task: Task, code: int, version: int) -> dict[str, Any]:
    return {
        "code": code,
        "name": task.name,
        "version": version,
        "description": task.description,
        "delayTime": 0,
        "taskType": "SHELL",
        "taskParams": {"localParams": [], "rawScript": workflow.script(task), "resourceList": []},
        "flag": "YES",
        "isCache": "NO",
        "taskPriority": "MEDIUM",
        "workerGroup": "default",
        "environmentCode": -1,
        "failRetryTimes": task.retries,
        "failRetryInterval": task.retry_minutes,
        "timeoutFlag": "OPEN" if task.timeout_minutes else "CLOSE",
        "timeoutNotifyStrategy": "FAILED" if task.timeout_minutes else "WARN",
        "timeout": task.timeout_minutes,
        "taskExecuteType": "BATCH",
        "cpuQuota": -1,
        "memoryMax": -1,
        "taskGroupId": 0,
        "taskGroupPriority": 0,
    }


def _locations(tasks: Sequence[Task], codes: Mapping[str, int]) -> list[dict[str, int]]:
    """Where the tasks are drawn: from left to right in the order in which they are declared."""
    return [{"taskCode": codes[task.name], "x": 100 + 250 * i, "y": 150} for i, task in enumerate(tasks)]


def schedule_form(schedule: Schedule, words: Words) -> dict[str, Any]:
    """The form that makes or replaces a schedule."""
    first, last = _FOREVER
    when = {"startTime": first, "endTime": last, "crontab": schedule.cron, "timezoneId": schedule.timezone}
    return {
        "schedule": json.dumps(when),
        "warningType": "NONE",
        "warningGroupId": 0,
        "failureStrategy": "CONTINUE",
        "workerGroup": "default",
        "tenantCode": "default",
        "environmentCode": -1,
        words.priority: "MEDIUM",
    }
