"""Materializing a Helm release."""

import contextlib
from collections.abc import Sequence

from carbon_platform.checks.run import now
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import NotReady, Overtaken, PermissionDenied, foreseen
from carbon_platform.materialization.apply_remedy import roll_back_target
from carbon_platform.materialization.deploy import Applied, Deployment, claimed, desired_now, made_of
from carbon_platform.materialization.ephemeral import gone_with_pods
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.outdated_pods import outdated
from carbon_platform.materialization.preflight import all_denied
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import (
    recall,
    record_change,
    record_failure,
    record_outcome,
    record_revision,
    record_rollback,
    remember_verified,
)
from carbon_platform.materialization.redact import redactor
from carbon_platform.materialization.remedy import Remedy, check_volumes
from carbon_platform.materialization.verify import wait_and_verify
from carbon_platform.records import LOST
from carbon_platform.release.desired import Desired, stored
from carbon_platform.release.history import label
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.plan import plan
from carbon_platform.release.prepare import generated_keys, preparation
from carbon_platform.release.recover import recover
from carbon_platform.release.versions import Versions
from carbon_platform.release.volumes import lost_volumes, volumes_of
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component


async def materialize_release(component: Component, session: Session, options: Options) -> Outcome:
    """Deploy the component's release if that is needed, and prove that it works.

    Raises a CarbonError when it could not be deployed or did not become ready; failed checks are in the outcome.
    The record tells the same either way.
    """
    steps, began = Steps(component.key), now()
    try:
        outcome = await _materialize(component, session, options, steps)
    except Overtaken as error:
        steps.failed(error)
        raise
    except Exception as error:
        failed = foreseen(error, f"{component.key} can't be deployed")
        failed = await _redacted(failed, component, session) if isinstance(failed, NotReady) else failed
        record_failure(failed, component, session, began, healing=options.remedy is not None)
        steps.failed(failed)
        if failed is error:
            raise
        raise failed from error
    return outcome


async def _materialize(component: Component, session: Session, options: Options, steps: Steps) -> Outcome:
    if options.remedy is Remedy.ROLL_BACK:
        return await _roll_back(component, session, steps)
    api, life = session.api, session.records.get(component.key).life
    with steps.timed(Step.PLAN):
        known = await recall(component, session)
        desired = await desired_now(component, session, options)
        try:
            planned = await plan(component, desired, api)
            unprepared = await preparation(component, api)
        except PermissionDenied as error:
            raise await all_denied(error, component, desired, api) from error
    applied = Applied(planned.revision.number if planned.revision else None, ())
    # What was begun is proven under the same lease: until then, what is seen of it is its writer's business.
    async with contextlib.AsyncExitStack() as claim:
        if options.forces or unprepared or not planned.empty or await outdated(desired, api):
            deployment = Deployment(component, session, options, steps, desired, planned, unprepared, known)
            applied = await deployment.run(claim)
            desired = applied.desired or desired
            life = session.records.get(component.key).life
        outcome, seen = await _prove(component, desired, applied, session, steps, options.confirm)
        await remember_verified(outcome, seen, component, session)
        record_outcome(outcome, component, session, life, healing=options.remedy is not None)
    _tell_end(outcome, steps)
    return outcome


def _tell_end(outcome: Outcome, steps: Steps) -> None:
    steps.done(f"{sum(check.passed for check in outcome.checks)}/{len(outcome.checks)} checks passed")


async def _prove(
    component: Component,
    desired: Desired,
    applied: Applied,
    session: Session,
    steps: Steps,
    confirm: Sequence[str] = (),
) -> tuple[Outcome, Ledger]:
    """Prove that it works: what is to be recorded, and what guards the data that it has."""
    worked = session.records.get(component.key).verified_at
    proof = await wait_and_verify(component, desired, session, steps, confirm)
    outcome = Outcome(
        component=component.key,
        revision=applied.revision,
        digest=component.digest,
        applied=bool(applied.changes),
        changes=applied.changes,
        checks=proof.checks,
        seconds=steps.seconds,
        images=_images(proof.pods),
        endpoints={e.name: f"{e.service}.{e.namespace or component.namespace}:{e.port}" for e in component.endpoints},
        lost=(
            *applied.lost,
            *(str(check.evidence[LOST]) for check in proof.checks if LOST in check.evidence),
            *gone_with_pods(proof.pods, worked),
        ),
    )
    release, volumes = component.release, await volumes_of(proof.pods, session.api)
    of = made_of(release, desired) if release else Versions()
    return outcome, Ledger(volumes, generated_keys(component), versions=of)


async def _roll_back(component: Component, session: Session, steps: Steps) -> Outcome:
    """Back to the revision that was last proven to work. What the definition says now is not applied again by itself.

    Raises Blocked when there is no such revision, or when the component keeps data; DataAtRisk when a volume would go.
    """
    release, api = component.release, session.api
    assert release is not None, "only releases have revisions"
    async with contextlib.AsyncExitStack() as claim:
        with steps.timed(Step.CLAIM):
            taken = await claimed(component, session, Remedy.ROLL_BACK, steps, claim)
        record = session.records.get(component.key)
        revision = await roll_back_target(component, record, api)
        check_volumes(component, Remedy.ROLL_BACK, await lost_volumes(record.volumes, api))
        await recover(api, release, taken, steps.tell)
        with steps.timed(Step.APPLY, f"rolls back to revision {revision.number}, the last that was verified"):
            record_change(component, session)
            number = await session.helm.rollback(release, revision.number)
            if revision.inputs is not None:
                await label(api, release, number, revision.inputs)
            record_revision(number, component, session)
        desired = await stored(component, revision, api, session.settings.cache)
        change = f"rolled back to revision {revision.number}, the last that was verified"
        outcome, _ = await _prove(component, desired, Applied(number, (change,)), session, steps)
        record_rollback(outcome, component, session)
    _tell_end(outcome, steps)
    return outcome


def _images(pods: Sequence[Object]) -> dict[str, str]:
    return {
        status["image"]: status.get("imageID", "").rpartition("@")[2] or status.get("imageID", "")
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses") or ()
    }


async def _redacted(error: NotReady, component: Component, session: Session) -> NotReady:
    clean = await redactor(component, session)
    return NotReady(clean(error.summary), clean(error.cause), error.fix, [clean(line) for line in error.evidence])
