"""A healing run and its attempt in the book of incidents: tied together by the run's tags."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from carbon_platform.errors import foreseen
from carbon_platform.healing.incidents import book_of
from carbon_platform.healing.loop import Request
from carbon_platform.healing.result import Result, of_error, of_outcome
from carbon_platform.materialization.author import Author, asked_by
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.lease import this_process
from carbon_platform.settings import settings

_INCIDENT, _NUMBER, _REMEDY, _CAUSE = "carbon/incident", "carbon/attempt", "carbon/remedy", "carbon/cause"
_COMMAND = "carbon/command"
_AUTOMATIONS = {"schedule": "dagster/schedule_name", "sensor": "dagster/sensor_name"}
_TAG_LENGTH = 200
_BEFORE_SCHEDULED = "10"
"""What is broken comes before what is only looked at."""


def tags(request: Request) -> dict[str, str]:
    """The tags of the run that a request asks for."""
    told = {_INCIDENT: request.incident, _NUMBER: str(request.number), _REMEDY: request.remedy.value}
    cause = request.cause.splitlines()[0][:_TAG_LENGTH] if request.cause else "-"
    return told | {_CAUSE: cause, "dagster/priority": _BEFORE_SCHEDULED}


def over_before_it_began(request: Request, instance: dg.DagsterInstance) -> bool:
    """True when the run of this request ended and nothing of it was ever done, be it cancelled or never launched.

    The attempt has ended with it: the same one will not be begun.
    """
    runs = instance.get_runs(dg.RunsFilter(tags={_INCIDENT: request.incident, _NUMBER: str(request.number)}), limit=1)
    if not runs or not runs[0].is_finished:
        return False
    told = f"its run {runs[0].run_id} ended before it began: {runs[0].status.value.lower()}"
    book_of(settings(), None).ended(request.incident, request.number, Result(False, told), time.time())
    return True


class RunningAttempt:
    """What a run reports of itself; nothing when it heals nothing."""

    def __init__(self, run_id: str, told: Mapping[str, str]) -> None:
        self._run_id, self._told = run_id, told
        self._incident, self._number = told.get(_INCIDENT, ""), int(told.get(_NUMBER, "0"))
        self._result = Result(False)

    @property
    def remedy(self) -> Remedy | None:
        """What the run forces; None when it heals nothing."""
        told = self._told.get(_REMEDY)
        return Remedy(told) if self._incident and told else None

    def came_to(self, outcome: Outcome) -> None:
        """How the materialization ended."""
        self._result = of_outcome(outcome)

    @contextlib.contextmanager
    def under_way(self, log: Callable[[str], object]) -> Iterator[None]:
        """Begun on entry; ended on exit, well or badly. A run that wakes several components ends with its process."""
        if not self._incident:
            with asked_by(Author(_asker(self._told), self._run_id)):
                yield
            return
        book = book_of(settings(), None)  # attempts are known by their incident alone
        log(f"heals incident {self._incident}, attempt {self._number}: {self.remedy} ({self._told.get(_CAUSE, '')})")
        book.started(self._incident, self._number, str(this_process()), self._run_id, time.time())
        try:
            yield
        except Exception as error:
            self._result = of_error(foreseen(error, "the attempt crashed"))
            raise
        finally:
            if self.remedy is not Remedy.WAKE:
                book.ended(self._incident, self._number, self._result, time.time())


def _asker(told: Mapping[str, str]) -> str:
    """By which way a run was asked for that heals nothing."""
    if _COMMAND in told:
        return f"carbon {told[_COMMAND]}"
    automation = ((what, told[tag]) for what, tag in _AUTOMATIONS.items() if tag in told)
    return next((f"{what} {name} in Dagster" for what, name in automation), "a run in Dagster")


def attempt_of(run: dg.DagsterRun) -> RunningAttempt:
    """The attempt that a run is. One that a person runs again has its tags, and is an ordinary materialization."""
    return RunningAttempt(run.run_id, {} if run.parent_run_id else run.tags)
