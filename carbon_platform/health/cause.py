"""A cause: why something does not work, told so that a person can act on it."""

import dataclasses
import enum
from collections.abc import Iterable

from carbon_platform.cluster.resources import ObjectName


class Kind(enum.StrEnum):
    """What sort of cause; decides which remedy fits."""

    IMAGE = "image can't be pulled"
    CRASH_LOOP = "crash loop"
    OUT_OF_MEMORY = "out of memory"
    UNSCHEDULABLE = "unschedulable"
    VOLUME = "volume pending"
    CONFIGURATION = "missing configuration"
    QUOTA = "quota"
    NO_ENDPOINTS = "no endpoints"
    JOB_FAILED = "job failed"
    ROLLOUT = "rollout stuck"
    DEADLINE = "deadline passed"
    NODE = "silent node"
    """The only one that passes without a change: when the node speaks again."""
    FINALIZER = "being deleted"


_CONSEQUENCES = (Kind.NODE, Kind.ROLLOUT, Kind.NO_ENDPOINTS)
"""Each may come of those before it, and of any other cause."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """Why an object can't become ready by itself."""

    kind: Kind
    object: ObjectName
    why: str
    """One sentence."""
    fix: str
    evidence: tuple[str, ...] = ()
    """An event's message, the last log lines."""

    def __str__(self) -> str:
        return f"{self.object}: {self.why}"


def rank(kind: Kind) -> int:
    """How far from a root: what ranks higher may be explained by what ranks lower."""
    return _CONSEQUENCES.index(kind) + 1 if kind in _CONSEQUENCES else 0


def root(causes: Iterable[Cause]) -> Cause | None:
    """The cause to tell, which no other explains; None of none."""
    return min(causes, key=lambda cause: rank(cause.kind), default=None)
