"""Remembering how a materialization ended."""

import dataclasses
from collections.abc import Mapping

from carbon_platform.checks.run import now
from carbon_platform.errors import Blocked, CarbonError, DataAtRisk, PermissionDenied
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.materialization.session import Session
from carbon_platform.records import Record
from carbon_platform.spec.platform import Component


def record_outcome(outcome: Outcome, component: Component, session: Session, volumes: Mapping[str, str]) -> None:
    """What was deployed, whether it was proven to work, and which volumes it had then."""

    def ended(record: Record) -> Record:
        record = dataclasses.replace(
            record,
            digest=component.digest,
            checks_digest=component.checks_digest,
            revision=outcome.revision,
            checks=outcome.checks,
        )
        if not outcome.verified:
            return record
        return dataclasses.replace(
            record,
            verified_at=now(),
            verified_revision=outcome.revision,
            volumes=dict(volumes) or record.volumes,  # without a pod nobody can tell
            failure="",
            blocked=False,
            rolled_back="",
            quarantined="",
        )

    session.records.update(component.key, ended)


def record_rollback(outcome: Outcome, component: Component, session: Session) -> None:
    """What runs is an older definition, proven to work or not; the present one stays unverified."""

    def ended(record: Record) -> Record:
        record = dataclasses.replace(
            record, digest="", rolled_back=component.digest, revision=outcome.revision, checks=outcome.checks
        )
        if not outcome.verified:
            return record
        return dataclasses.replace(
            record,
            verified_at=now(),
            verified_revision=outcome.revision,
            failure="",
            blocked=False,
            quarantined="",
        )

    session.records.update(component.key, ended)


def record_failure(error: CarbonError, component: Component, session: Session, *, healing: bool) -> None:
    """Why it could not be deployed, or did not become ready. What would cost data is not tried again by itself."""
    blocked = isinstance(error, Blocked | PermissionDenied)
    refused = error.told if healing and isinstance(error, DataAtRisk) else ""

    def ended(record: Record) -> Record:
        quarantined = refused or record.quarantined
        return dataclasses.replace(
            record, failed_at=now(), failure=str(error), blocked=blocked, quarantined=quarantined
        )

    session.records.update(component.key, ended)


def record_change(component: Component, session: Session) -> None:
    """That something is being applied now. Which revision that makes is not known yet."""
    session.records.update(
        component.key,
        lambda record: dataclasses.replace(
            record, changed_at=now(), digest=component.digest, revision=None, rolled_back=""
        ),
    )


def record_revision(revision: int | None, component: Component, session: Session) -> None:
    """What is deployed now, whether it gets ready or not."""
    session.records.update(component.key, lambda record: dataclasses.replace(record, revision=revision))
