"""The state of a component, from what is known of it. Pure."""

import dataclasses
import enum
from collections.abc import Mapping

from carbon_platform.records import Record, current, stale_because


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


def state(
    sight: Sight | None, record: Record, digest: str, checks_digest: str, needs: Mapping[str, Record]
) -> tuple[State, str]:
    """The state and the reason for it. `sight` is None when the cluster can't be reached."""
    if sight is None:
        return State.UNKNOWN, "the cluster can't be reached"
    if sight.writer:
        return State.DEPLOYING, f"{sight.writer} is at work on it"
    failed = bool(record.failure) and record.failed_at > record.verified_at
    if failed and (record.blocked or not sight.installed):
        return (State.BLOCKED if record.blocked else State.FAILED), record.failure
    if not sight.installed:
        below = next((key for key, need in needs.items() if need.blocked and need.failed_at > need.verified_at), "")
        return (State.BLOCKED, f"it needs {below}, which is blocked") if below else (State.ABSENT, "not installed")
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
    was_verified = bool(record.verified_at)
    broken = [check for check in record.checks if check.failed]
    if sight.unready:
        return (State.DEGRADED if was_verified else State.DEPLOYED), "; ".join(sight.unready)
    if broken:
        return (State.DEGRADED if was_verified else State.READY), f"{broken[0].name}: {broken[0].detail}"
    if not was_verified:
        return State.READY, "its checks have not run yet"
    if record.rolled_back == digest:
        return State.STALE, f"rolled back to revision {record.revision}, as its definition of now did not work"
    if not current(record, digest, checks_digest):
        return State.STALE, "verified before its definition or its release changed"
    changed = stale_because(record, needs)
    if changed:
        return State.STALE, f"verified before {changed} changed"
    return State.VERIFIED, f"all {len(record.checks)} checks passed"
