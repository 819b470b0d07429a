"""Remembering how a materialization ended."""

import dataclasses

from carbon_platform.checks.run import now
from carbon_platform.errors import Blocked, CarbonError, PermissionDenied
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.materialization.session import Session
from carbon_platform.spec.platform import Component


def record_outcome(outcome: Outcome, component: Component, session: Session) -> None:
    """What was deployed, and whether it was proven to work."""
    record = dataclasses.replace(
        session.records.get(component.key),
        digest=component.digest,
        checks_digest=component.checks_digest,
        revision=outcome.revision,
        checks=outcome.checks,
    )
    if outcome.verified:
        record = dataclasses.replace(record, verified_at=now(), failure="", blocked=False)
    session.records.put(record)


def record_failure(error: CarbonError, component: Component, session: Session) -> None:
    """Why it could not be deployed, or did not become ready."""
    record = session.records.get(component.key)
    blocked = isinstance(error, Blocked | PermissionDenied)
    session.records.put(dataclasses.replace(record, failed_at=now(), failure=str(error), blocked=blocked))
