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


CONSEQUENCES = frozenset({Kind.ROLLOUT, Kind.NO_ENDPOINTS})
"""Of any other cause."""


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


def root(causes: Iterable[Cause]) -> Cause | None:
    """The cause to tell, which no other explains; None of none."""
    return min(causes, key=lambda cause: cause.kind in CONSEQUENCES, default=None)
