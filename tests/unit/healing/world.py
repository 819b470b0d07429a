"""A platform that breaks and heals as a test says, on a clock of the test's own and without a cluster."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import Book, book_of
from carbon_platform.healing.loop import Healer, Request, Step
from carbon_platform.healing.result import Result
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.view import View, Write
from carbon_platform.records import CheckResult, Materialization, Record, Records
from carbon_platform.release.lease import this_process
from carbon_platform.session import platform_key
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Platform

CLIENTS = ["airflow", "catalog", "flow", "metadata", "tracking"]
"""They need the database; `portal` needs one of them, `cache` needs nothing."""
LIVING = str(this_process())
ELSEWHERE = str(dataclasses.replace(this_process(), host="elsewhere"))
DEAD = str(dataclasses.replace(this_process(), pid=4_000_000, started="1"))


class InMemoryWatcher:
    """Stands in for the Watcher: a test says what is seen."""

    def __init__(self) -> None:
        self.seen = View()
        self.waited: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Nothing is to be started."""

    def view(self) -> View:
        """What the test said last."""
        return self.seen

    def wait(self, seconds: float) -> bool:
        """What happens meanwhile, happens; no time passes."""
        self.waited.append(seconds)
        self.meanwhile()
        return True


class World:
    """A deployed and proven platform, what is seen of it, and a clock."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self.platform, self.settings = platform, settings
        self.now = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC).timestamp()
        self.watcher = InMemoryWatcher()
        self.healer = self.daemon()
        self.records = Records(settings.home / "records.db", platform_key("cluster", settings))
        self.book: Book = book_of(settings, "cluster")
        self.shown: dict[str, tuple[Symptom, ...]] = {}
        self.busy: dict[str, str] = {}
        self.writes: dict[str, tuple[Write, ...]] = {}
        self.revisions: dict[str, Deployed] | None = None
        self.unreachable = self.settled_at = ""
        for key, component in platform.components.items():
            record = Record(key, component.digest, component.checks_digest, 1, changed_at=self.iso())
            self.records.put(dataclasses.replace(record, verified_at=self.iso(), verified_revision=1))
        self.now += 600

    def daemon(self) -> Healer:
        """Another process that heals this platform."""
        return Healer(self.settings, self.watcher, lambda: self.now)  # type: ignore[arg-type]

    def iso(self) -> str:
        """The time as records have it."""
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC).isoformat(timespec="milliseconds")

    def step(self, seconds: float = 1, by: Healer | None = None) -> Step:
        """A look at everything, so many seconds later."""
        self.now += seconds
        self.watcher.seen = View(
            self.platform,
            "cluster",
            self.unreachable,
            dict(self.shown),
            dict(self.busy),
            self.settled_at,
            self.now,
            self.revisions,
            dict(self.writes),
        )
        return (by or self.healer).step(self.watcher.seen)

    def looked_at(self) -> None:
        """The cluster is looked at again, and is as it was."""
        self.watcher.seen = dataclasses.replace(self.watcher.seen, at=self.now)

    def loses(self, key: str) -> None:
        """One of its objects is deleted."""
        self.shown[key] = (Symptom(Sign.MISSING, f"Deployment here/{key}", "it was deleted"),)

    def fails(self, *keys: str) -> None:
        """A check of theirs says so."""
        check = CheckResult("query", False, "connection refused", self.iso())
        for key in keys:
            self.records.update(key, lambda record: dataclasses.replace(record, checks=(check,)))

    def verifies(self, *keys: str, changed: bool = False) -> None:
        """All their checks pass, and nothing shows; after a change that was applied, if so."""
        for key in keys:
            self.shown.pop(key, None)
            check = CheckResult("query", True, "fine", self.iso())
            told = {"checks": (check,), "verified_at": self.iso(), "quarantined": "", "failure": ""}
            told |= {"changed_at": self.iso()} if changed else {}
            self.records.update(key, lambda record, told=told: dataclasses.replace(record, **told))

    def begins(self, request: Request, writer: str = LIVING) -> None:
        """Dagster starts the run that was asked for."""
        self.book.started(request.incident, request.number, writer, "run", self.now)

    def ends(self, request: Request, *, helped: bool, result: str = "", **more: Any) -> None:
        """The run says how it ended."""
        self.book.ended(request.incident, request.number, Result(helped, result, **more), self.now)

    def written(self, key: str, by: str = "kubectl-edit", kind: str = "Deployment") -> str:
        """Somebody writes to an object of a component; how that is told."""
        write = Write(f"{kind} here/{key}", by, self.iso())
        self.writes[key] = (*self.writes.get(key, ()), write)
        return str(write)

    def materialized(self, key: str, by: str = "carbon up", *, changed: bool = True, lost: tuple[str, ...] = ()) -> str:
        """A person has it deployed, and it works then; how that is told."""
        made = Materialization(self.iso(), by, "run-9", changed, "", lost)
        self.verifies(key, changed=changed)
        self.records.update(key, lambda r: dataclasses.replace(r, materialized=(*r.materialized, made)))
        return f"{by} (run run-9) {'deployed it' if changed else 'proved it and changed nothing'} at {made.at}"

    def heals(self, request: Request) -> None:
        """A run from its beginning to a good end."""
        self.begins(request)
        self.now += 5
        for key in request.components:
            self.verifies(key, changed=True)
        self.ends(request, helped=True)

    def incident(self, component: str = "db") -> Incident:
        """The newest of a component."""
        return next(incident for incident in self.book.incidents() if incident.component == component)


def one(step: Step) -> Request:
    """The one run that a step asks for."""
    (request,) = step.requests
    return request
