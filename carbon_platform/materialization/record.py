"""Remembering how a materialization ended, and what guards the data: here, and beside the data."""

import contextlib
import dataclasses
from typing import Any

from carbon_platform.checks.run import now
from carbon_platform.errors import Blocked, CarbonError, DataAtRisk, PermissionDenied
from carbon_platform.materialization.author import author
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.records import MATERIALIZATIONS, Materialization, Record
from carbon_platform.release import ledger
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.prepare import generated_keys
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component


async def recall(component: Component, session: Session) -> Ledger:
    """What guards the component's data, whoever learned of it: the record is brought up to it.

    Raises Conflict when what is written beside the data can't be read: then nobody knows.
    """
    written = await ledger.read(component, session.api)
    known = of_record(session.records.get(component.key), component).after(written)
    _keep(known, component, session)
    return known


def of_record(record: Record, component: Component) -> Ledger:
    """What this machine knows by itself."""
    known = Ledger(record.volumes, record.generated, record.content)
    if record.digest != component.digest:
        return known
    # Deployed as it is defined now: what that generates was there, also when nobody wrote it down yet.
    declared = Ledger(generated=generated_keys(component))
    if component.content and record.verified_at and record.verified_at >= record.changed_at:
        declared = dataclasses.replace(declared, content=component.content.objects())
    return known.after(declared)


async def remember(seen: Ledger, component: Component, session: Session) -> None:
    """Write down what guards the data, beside the data and here; nothing that is written already."""
    known = of_record(session.records.get(component.key), component).after(seen)
    try:
        if known.guards or (component.release and component.release.stateful and known.revision is not None):
            known = await ledger.write(component, known, session.api)
    finally:
        _keep(known, component, session)


async def remember_verified(outcome: Outcome, seen: Ledger, component: Component, session: Session) -> None:
    """Write down what was there when it was proven to work; nothing when it was not.

    Who may not write was told so before anything was applied: here nothing was, and this machine knows all the same.
    """
    if outcome.verified:
        with contextlib.suppress(PermissionDenied):
            await remember(dataclasses.replace(seen, revision=outcome.revision), component, session)


def _keep(known: Ledger, component: Component, session: Session) -> None:
    told: dict[str, Any] = {"volumes": dict(known.volumes), "generated": known.generated, "content": known.content}
    record = session.records.get(component.key)
    if any(getattr(record, name) != value for name, value in told.items()):
        session.records.update(component.key, lambda record: dataclasses.replace(record, **told))


def record_outcome(
    outcome: Outcome, component: Component, session: Session, life: int | None = None, *, healing: bool
) -> None:
    """What was deployed, and whether it was proven to work.

    `life`: of the record, when the materialization began. Who was taken down since is not brought back.
    """
    failed = next((check for check in outcome.checks if check.failed), None)
    failure = f"{failed.name}: {failed.detail}" if failed else ""

    def ended(record: Record) -> Record:
        record = dataclasses.replace(
            record if healing else _materialized(record, outcome.applied, failure, outcome.lost),
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
            failure="",
            blocked=False,
            rolled_back="",
            quarantined="",
        )

    session.records.update(component.key, ended, life=life)


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


def _materialized(record: Record, changed: bool, failure: str, lost: tuple[str, ...] = ()) -> Record:
    """The record, which remembers this materialization as well."""
    who = author()
    made = Materialization(now(), who.by, who.run_id, changed, failure, lost)
    return dataclasses.replace(record, materialized=(*record.materialized, made)[-MATERIALIZATIONS:])


def record_failure(error: CarbonError, component: Component, session: Session, began: str, *, healing: bool) -> None:
    """Why it could not be deployed, or did not become ready. What would cost data is not tried again by itself.

    `began`: when the materialization did.
    """
    blocked = isinstance(error, Blocked | PermissionDenied)
    # With the word to give: a person reads it where the incident is told.
    told = f"{error.told}; {error.fix}" if error.fix else error.told
    refused = told if healing and isinstance(error, DataAtRisk) else ""

    def ended(record: Record) -> Record:
        quarantined = refused or record.quarantined
        if not healing:
            record = _materialized(record, record.changed_at >= began, error.told)
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
