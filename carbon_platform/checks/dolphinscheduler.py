"""Functional checks of DolphinScheduler: its parts are UP, one can log in, its servers are there, workflows run."""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.dolphinscheduler_definitions import ensure, ensure_project, load
from carbon_platform.checks.dolphinscheduler_run import forget_finished, run_to_success
from carbon_platform.checks.dolphinscheduler_session import (
    DolphinSchedulerCheck,
    Refused,
    Scheduler,
    milliseconds,
    scheduler,
)
from carbon_platform.checks.dolphinscheduler_workflows import Task, Workflow
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

_LATE = 0.75
"""Share of a check's deadline after which it gives up by itself, so that the failure carries the reason."""

_UNTIMED = 60.0
"""Seconds of a deadline that is not declared; the setting's default."""


class Health(DolphinSchedulerCheck):
    """Every part that the API server tells of is UP, its database among them.

    It asks servers that are not ready as well: theirs is the answer that says why.
    """

    summary: ClassVar[str] = "The API server and all it depends on are UP, the database among them."

    service: str = Field("dolphinscheduler-api-health", description="Service that leads to servers not ready, too.")

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with scheduler(reach, self.service, self.port, self.service_namespace) as api:
            status, body = await api.health()
        took = milliseconds(began)
        parts: Mapping[str, Mapping[str, Any]] = body.get("components") or {}
        down = {name: part for name, part in parts.items() if part.get("status") != "UP"}
        if status != 200 or body["status"] != "UP" or down:
            told = "; ".join(f"{name} is {part.get('status')}{_reason(part)}" for name, part in down.items())
            raise CheckFailed(
                f"DolphinScheduler is {body['status']}",
                told or f"HTTP {status}, status {body['status']}",
                "see the checks of what is down" if down else "see the log of the API server",
            )
        if "db" not in parts:
            told = f"its parts are {', '.join(sorted(parts)) or 'not told'}"
            raise CheckFailed("DolphinScheduler does not tell of its database", told, "show details of its health")
        database = str((parts["db"].get("details") or {}).get("database", "unknown"))
        return Passed(f"{len(parts)} parts UP", {"parts": len(parts), "database": database, "latency_ms": took})


def _reason(part: Mapping[str, Any]) -> str:
    error = (part.get("details") or {}).get("error")
    return f" ({' '.join(str(error).split())[:200]})" if error else ""


class Login(DolphinSchedulerCheck):
    """The declared user can log in, and only who did so is answered."""

    summary: ClassVar[str] = "The declared user can log in and use the API; nobody else can."

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with scheduler(reach, self.service, self.port, self.service_namespace) as stranger:
            await self._refuses(stranger)
        async with self.scheduler(reach) as api:
            projects = await api.call("GET", "/projects/list")
        return Passed(
            f"{self.user} is logged in",
            {"projects": len(projects), "latency_ms": milliseconds(began)},
        )

    @staticmethod
    async def _refuses(stranger: Scheduler) -> None:
        try:
            await stranger.call("GET", "/projects/list")
        except Refused as refused:
            if refused.status == 401:
                return
            raise
        raise CheckFailed(
            "DolphinScheduler answers anybody",
            "its projects were listed without a login",
            "see its authentication settings, and what stands in front of it",
        )


class Workers(DolphinSchedulerCheck):
    """As many servers as declared are registered, and have told lately that they live."""

    summary: ClassVar[str] = "All declared masters, workers and alert servers are registered and alive."

    masters: int = Field(1, ge=0)
    workers: int = Field(ge=0)
    alert_servers: int | None = Field(None, ge=0, description="Not looked at if unsaid, nor before 3.3.")
    silent: float = Field(90, gt=0, description="Seconds without a report after which a server does not count.")

    async def run(self, reach: Reach) -> Passed:
        wanted = {"MASTER": self.masters, "WORKER": self.workers, "ALERT_SERVER": self.alert_servers}
        found: dict[str, list[Mapping[str, Any]]] = {}
        async with self.scheduler(reach) as api:
            for kind, count in wanted.items():
                listed = await _servers(api, kind) if count is not None else None
                if listed is not None:
                    found[kind] = listed
        problems = []
        alive = {kind: living(servers, time.time(), self.silent) for kind, servers in found.items()}
        for kind, servers in alive.items():
            if len(servers) != wanted[kind]:
                silent = sorted({_address(one) for one in found[kind]} - {_address(one) for one in servers})
                told = f"; silent: {', '.join(silent)}" if silent else ""
                problems.append(f"{len(servers)} {_called(kind)} alive, declared are {wanted[kind]}{told}")
        if problems:
            raise CheckFailed(
                "not all servers of DolphinScheduler are there",
                "; ".join(problems),
                "see their pods, and whether they reach the registry and the database",
            )
        busy = sum(_report(one).get("serverStatus") == "BUSY" for servers in alive.values() for one in servers)
        counts = {_called(kind).replace(" ", "_"): len(servers) for kind, servers in alive.items()}
        told = ", ".join(f"{len(servers)} {_called(kind)}" for kind, servers in alive.items())
        return Passed(f"{told} registered", {**counts, "busy": busy})


async def _servers(api: Scheduler, kind: str) -> list[Mapping[str, Any]] | None:
    """The registered servers of a kind; None for alert servers where the API does not tell of them."""
    try:
        return list(await api.call("GET", f"/monitor/{kind}") or [])
    except Refused as refused:
        if not refused.unknown_endpoint:
            raise
    if kind == "ALERT_SERVER":
        return None
    return list(await api.call("GET", f"/monitor/{kind.lower()}s") or [])


def living(servers: Iterable[Mapping[str, Any]], now: float, silent: float) -> list[Mapping[str, Any]]:
    """Those that reported in the last `silent` seconds. One whose report bears no time counts. `now` in seconds."""
    reports = ((one, _report(one).get("reportTime")) for one in servers)
    return [one for one, at in reports if not isinstance(at, int) or now - at / 1000 <= silent]


def _report(server: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(server.get("resInfo") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _address(server: Mapping[str, Any]) -> str:
    return f"{server.get('host')}:{server.get('port')}"


def _called(kind: str) -> str:
    return f"{kind.lower().replace('_', ' ')}s"


class ProbeWorkflow(DolphinSchedulerCheck):
    """A small workflow of the check's own is run to SUCCESS: masters, workers, shell and database all take part.

    The project and the definition stay for the next time; what the runs leave behind is deleted.
    """

    summary: ClassVar[str] = "A workflow with a shell task runs to SUCCESS."

    project: str = "carbon-probe"

    async def run(self, reach: Reach) -> Passed:
        seconds = (self.deadline or _UNTIMED) * _LATE
        async with self.scheduler(reach) as api:
            project = await ensure_project(api, self.project, "Runs of Carbon's checks; of no use to anybody else.")
            live = await ensure(api, project, PROBE)
            try:
                run = await run_to_success(api, project, live.code, seconds)
            except CheckFailed:
                with contextlib.suppress(CheckFailed):  # what failed first is what is told
                    await forget_finished(api, project, live.code)
                raise
            left = await forget_finished(api, project, live.code)
        return Passed(
            f"a workflow ran to SUCCESS in {run.milliseconds / 1000:.1f} s",
            {"run_ms": run.milliseconds, "instance": run.id, "instances_left": left},
        )


PROBE = Workflow(
    name="carbon-probe",
    description="Started by Carbon to see that workflows run.",
    tasks=[Task(name="first", script="echo carbon"), Task(name="second", script="echo probe", after=["first"])],
)


class RunWorkflow(DolphinSchedulerCheck):
    """A workflow that is there is run to SUCCESS. The run stays in its history, as any other."""

    summary: ClassVar[str] = "The workflow is there and runs to SUCCESS."

    project: str = Field(min_length=1)
    workflow: str = Field(min_length=1)

    async def run(self, reach: Reach) -> Passed:
        seconds = (self.deadline or _UNTIMED) * _LATE
        async with self.scheduler(reach) as api:
            project = await api.project(self.project)
            live = await load(api, project, self.workflow) if project is not None else None
            if project is None or live is None:
                raise CheckFailed(
                    f"workflow {self.workflow} is not there",
                    f"project {self.project} has none of this name" if project else f"there is no {self.project}",
                    "materialize it",
                )
            run = await run_to_success(api, project, live.code, seconds)
        return Passed(
            f"{self.workflow} ran to SUCCESS in {run.milliseconds / 1000:.1f} s",
            {"run_ms": run.milliseconds, "instance": run.id, "tasks": len(live.tasks)},
        )


CHECKS = {"health": Health, "login": Login, "workers": Workers, "workflow": ProbeWorkflow, "run": RunWorkflow}
