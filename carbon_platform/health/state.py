"""The state of a component, from what is known of it. Pure."""

import dataclasses
import enum
from collections.abc import Mapping

from carbon_platform.records import Record, current, stale_because
from carbon_platform.spec import graph
from carbon_platform.wording import counted


class State(enum.StrEnum):
    """The states a component can be in, as every command and report tells them."""

    ABSENT = "absent"
    BLOCKED = "blocked"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    READY = "ready"
    VERIFIED = "verified"
    STALE = "stale"
    DEGRADED = "degraded"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    OFF = "off"
    UNKNOWN = "unknown"


def fine(found: State, *, excused: bool) -> bool:
    """Whether a component in this state is as it should be; every command's exit code asks this.

    `excused`: being blocked is no failure of it, as it deploys from a public registry alone and nobody named it.
    """
    return found in {State.VERIFIED, State.OFF} or (excused and found is State.BLOCKED)


@dataclasses.dataclass(frozen=True)
class Sight:
    """What was seen of a component in the cluster."""

    installed: bool
    writer: str | None
    """Who is at work on it now."""
    unready: tuple[str, ...]
    """What does not work, each with what is awaited."""
    wanted_pods: bool = True
    """False when all its workloads are scaled to nothing on purpose."""


def blocked_need(key: str, needs: graph.Needs, records: Mapping[str, Record]) -> str:
    """What the component needs directly that is blocked, itself or for a need of its own; empty when nothing is."""

    def blocked(need: str) -> bool:
        record = records.get(need, Record(need))
        if _failed(record):
            return record.blocked
        return not (record.changed_at or record.verified_at) and bool(blocked_need(need, needs, records))

    return next((need for need in needs.get(key, ()) if blocked(need)), "")


def _failed(record: Record) -> bool:
    return bool(record.failure) and record.failed_at > record.verified_at


def state(
    sight: Sight | None,
    record: Record,
    digest: str,
    checks_digest: str,
    needs: Mapping[str, Record],
    waits_for: str = "",
) -> tuple[State, str]:
    """The state and the reason for it, in the words of every command.

    `sight` is None when the cluster can't be reached. `waits_for`: what it needs that is blocked.
    """
    if sight is None:
        return State.UNKNOWN, "the cluster can't be reached"
    if sight.writer:
        return State.DEPLOYING, f"{sight.writer} is at work on it"
    failed = _failed(record)
    if failed and (record.blocked or not sight.installed):
        return (State.BLOCKED if record.blocked else State.FAILED), record.failure
    if not sight.installed:
        if waits_for:
            return State.BLOCKED, f"it needs {waits_for}, which is blocked"
        return State.ABSENT, "not installed"
    if not sight.wanted_pods:
        return State.OFF, "scaled to nothing on purpose"
    if record.quarantined:
        return State.QUARANTINED, record.quarantined
    if failed:
        return State.FAILED, record.failure
    return _installed(sight, record, digest, checks_digest, needs)


def _installed(
    sight: Sight, record: Record, digest: str, checks_digest: str, needs: Mapping[str, Record]
) -> tuple[State, str]:
    if sight.unready:
        return (State.DEGRADED if record.verified_at else State.DEPLOYED), "; ".join(sight.unready)
    return unproven(record, digest, checks_digest, needs) or (
        State.VERIFIED,
        f"{counted(len(record.checks), 'check')} passed",
    )


def unproven(record: Record, digest: str, checks_digest: str, needs: Mapping[str, Record]) -> tuple[State, str] | None:
    """Why what is installed and ready is not proven to work, and the state that makes it; None when it is."""
    was_verified = bool(record.verified_at)
    broken = [check for check in record.checks if check.failed]
    if broken:
        return (State.DEGRADED if was_verified else State.READY), f"{broken[0].name}: {broken[0].detail}"
    if not was_verified:
        return State.READY, "its checks have not run yet"
    if record.rolled_back == digest:
        return State.STALE, f"rolled back to revision {record.revision}, as its present definition did not work"
    if not current(record, digest, checks_digest):
        return State.STALE, "verified before its definition or its release changed"
    changed = stale_because(record, needs)
    return (State.STALE, f"verified before {changed} changed") if changed else None
