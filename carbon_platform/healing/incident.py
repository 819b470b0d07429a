"""One incident: what broke, what was tried, what others did, and how it ended, as the book tells it."""

import dataclasses
import enum

from carbon_platform.healing.decide import Attempt
from carbon_platform.healing.symptoms import CauseKey
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.edited import EditedField


class Came(enum.StrEnum):
    """What an attempt came to."""

    RUNS = "runs"
    HELPED = "helped"
    FOUND_WELL = "found it well"
    """It was proven to work, and nothing had been changed: the attempt did not mend it."""
    DID_NOT_HELP = "did not help"
    CUT_SHORT = "cut short"


@dataclasses.dataclass(frozen=True)
class Tried:
    """One attempt, as the book tells it. Times are seconds since the epoch."""

    incident: str
    number: int
    component: str
    remedy: Remedy
    of: tuple[str, ...]
    """The components that its run materializes."""
    at: float
    writer: str = ""
    """The process that runs it."""
    run_id: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    helped: bool = False
    result: str = ""
    cut_short: bool = False
    """It says nothing about its remedy: the API server was away."""
    cause: CauseKey | None = None
    """What its incident is about."""
    changed: bool | None = None
    """It wrote something; None where that is not known."""
    lost: tuple[str, ...] = ()
    """Data and work that are gone, as it saw."""
    fix: str = ""
    """What a person can do about what it failed for."""

    @property
    def came(self) -> Came:
        """What it came to."""
        if self.ended_at is None:
            return Came.RUNS
        if self.cut_short:
            return Came.CUT_SHORT
        if not self.helped:
            return Came.DID_NOT_HELP
        changed = self.remedy is not Remedy.VERIFY if self.changed is None else self.changed
        return Came.HELPED if changed or self.remedy is Remedy.WAKE else Came.FOUND_WELL

    @property
    def may_have_changed(self) -> bool:
        """It wrote something, or may have before its process ended."""
        return self.started_at is not None and self.remedy is not Remedy.VERIFY and self.changed is not False

    def for_decision(self) -> Attempt:
        """What the decision needs of it."""
        return Attempt(
            self.component,
            self.incident,
            self.remedy,
            self.at,
            self.ended_at,
            self.helped,
            self.cause,
            self.result,
        )


@dataclasses.dataclass(frozen=True)
class Edit:
    """What somebody changed of an object, as drift tells it."""

    object: str
    field: EditedField

    @property
    def told(self) -> dict[str, str]:
        """Both, as they are written down and told to scripts."""
        names = ("path", "live", "desired", "by", "at")
        return {"object": self.object} | {name: getattr(self.field, name) for name in names}


@dataclasses.dataclass(frozen=True)
class Ended:
    """The end of an incident."""

    outcome: str
    """In a word or two."""
    told: str = ""
    """By whom, and how that is known; in a clause."""
    lost: tuple[str, ...] = ()
    """Data and work that are gone with what others did, besides what attempts say."""


@dataclasses.dataclass(frozen=True)
class Incident:
    """What broke, once, and everything that was done about it."""

    id: str
    component: str
    sign: str
    object: str
    cause: str
    fix: str
    opened_at: float
    closed_at: float | None = None
    outcome: str = ""
    waiting: tuple[str, ...] = ()
    """Components that were broken as well, and waited for this one."""
    kind: str = ""
    """Of the cause; empty when it was never told."""
    before: tuple[str, ...] | None = None
    """What was known when it was opened to have been done by others; None in a book of an earlier Carbon."""
    edits: tuple[Edit, ...] = ()
    """What somebody changed, while it was open or before, in the order in which it was seen."""
    ending: str = ""
    """By whom it was ended, and how that is known."""
    lost: tuple[str, ...] = ()
    """Data and work that are gone with it."""
    attempts: tuple[Tried, ...] = ()

    @property
    def mend(self) -> str:
        """What a person can do: what the last attempt that failed says, or else what its cause says."""
        said = (one.fix for one in reversed(self.attempts) if one.came is Came.DID_NOT_HELP and one.fix)
        return next(said, self.fix)

    @property
    def key(self) -> CauseKey:
        """What makes it the same as another of its component."""
        return CauseKey(self.sign, self.object, self.kind)
