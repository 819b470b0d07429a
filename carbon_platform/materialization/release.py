"""Materializing a Helm release."""

import contextlib
import dataclasses
from collections.abc import Sequence

from carbon_platform.cluster.reach import Object
from carbon_platform.errors import NotReady, Overtaken, PermissionDenied, foreseen
from carbon_platform.inspect.desired import deployed, wanted
from carbon_platform.materialization.apply import apply
from carbon_platform.materialization.apply_remedy import restart_readers, roll_back_target, treat
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.outdated_pods import outdated, replace_pods
from carbon_platform.materialization.preflight import (
    all_denied,
    check_refusals,
    guard_prepared,
    preflight,
    readers_of,
    to_copy,
)
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import (
    recall,
    record_change,
    record_failure,
    record_outcome,
    record_revision,
    record_rollback,
    remember,
    remember_verified,
)
from carbon_platform.materialization.redact import redactor
from carbon_platform.materialization.remedy import Remedy, check_touches, check_volumes, check_wanted
from carbon_platform.materialization.verify import wait_and_verify
from carbon_platform.release.copies import copy_again
from carbon_platform.release.desired import Desired, stored
from carbon_platform.release.guard import guard
from carbon_platform.release.helm import chart_metadata
from carbon_platform.release.history import Revision, label
from carbon_platform.release.lease import Held, held
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import Preparation, generated_keys, preparation, prepare
from carbon_platform.release.recover import recover
from carbon_platform.release.versions import Versions, downgrades, versions
from carbon_platform.release.volumes import lost_volumes, volumes_of
from carbon_platform.session import Session, mark_environment
from carbon_platform.spec.platform import Component, Release


@dataclasses.dataclass(frozen=True)
class _Applied:
    revision: int | None
    changes: tuple[str, ...]
    desired: Desired | None = None
    """What was applied, where that was told anew under the lease."""


async def materialize_release(component: Component, session: Session, options: Options) -> Outcome:
    """Deploy the component's release if that is needed, and prove that it works.

    Raises a CarbonError when it could not be deployed or did not become ready; failed checks are in the outcome.
    The record tells the same either way.
    """
    steps = Steps(component.key)
    try:
        outcome = await _materialize(component, session, options, steps)
    except Overtaken as error:
        steps.failed(error)
        raise
    except Exception as error:
        failed = foreseen(error, f"{component.key} can't be deployed")
        failed = await _redacted(failed, component, session) if isinstance(failed, NotReady) else failed
        record_failure(failed, component, session, healing=options.remedy is not None)
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
        desired = await _desired(component, session, options)
        try:
            planned = await plan(component, desired, api)
            unprepared = await preparation(component, api)
        except PermissionDenied as error:
            raise await all_denied(error, component, desired, api) from error
    applied = _Applied(planned.revision.number if planned.revision else None, ())
    # What was begun is proven under the same lease: until then, what is seen of it is its writer's business.
    async with contextlib.AsyncExitStack() as claim:
        if options.forces or unprepared or not planned.empty or await outdated(desired, api):
            applied = await _deploy(component, desired, planned, unprepared, known, session, options, steps, claim)
            desired = applied.desired or desired
            life = session.records.get(component.key).life
        outcome, seen = await _prove(component, desired, applied, session, steps, options.confirm)
        await remember_verified(outcome, seen, component, session)
        record_outcome(outcome, component, session, life)
    _tell_end(outcome, steps)
    return outcome


async def _desired(component: Component, session: Session, options: Options) -> Desired:
    """What is to be made live. Healing renders nothing: it puts back what was applied.

    Raises Overtaken when the definition that healing was decided on has changed since.
    """
    before = await deployed(component, session) if options.remedy is not None else None
    if before is not None and before.revision is not None and before.revision.status == "deployed":
        if session.records.get(component.key).digest != component.digest:
            raise Overtaken(
                f"{component.key}: its definition has changed, so nothing was changed",
                "healing puts back what was deployed, and that is not what it says now",
                f"carbon up {component.key}",
            )
        return before
    return await wanted(component, session, anew=options.redeploy)


def _versions(release: Release, desired: Desired) -> Versions:
    """What it is to be made of; of a chart that is elsewhere only its version is known."""
    folder = release.chart.folder
    return versions(chart_metadata(folder) if folder else {"version": release.chart.ref.version}, desired.objects)


def _downgrades(release: Release, desired: Desired, planned: Plan, known: Ledger) -> list[str]:
    """What would go back of a component that keeps data: from its newest revision, or from what was verified."""
    if not release.stateful:
        return []
    before = planned.revision.versions() if planned.revision else known.versions
    return downgrades(before, _versions(release, desired))


def _decided_before(claim: Held, component: Component, remedy: Remedy | None) -> None:
    """Raise Overtaken when healing had to wait for somebody else, who may have changed what it is about."""
    if remedy is not None and claim.waited:
        raise Overtaken(
            f"{component.key}: somebody else was at work on it, so nothing was changed",
            "what healing was decided on is over",
            "what is still wrong is looked at anew",
        )


def _tell_end(outcome: Outcome, steps: Steps) -> None:
    steps.done(f"{sum(check.passed for check in outcome.checks)}/{len(outcome.checks)} checks passed")


async def _prove(
    component: Component,
    desired: Desired,
    applied: _Applied,
    session: Session,
    steps: Steps,
    confirm: Sequence[str] = (),
) -> tuple[Outcome, Ledger]:
    """Prove that it works: what is to be recorded, and what guards the data that it has."""
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
    )
    release, volumes = component.release, await volumes_of(proof.pods, session.api)
    made_of = _versions(release, desired) if release else Versions()
    return outcome, Ledger(volumes, generated_keys(component), versions=made_of)


async def _roll_back(component: Component, session: Session, steps: Steps) -> Outcome:
    """Back to the revision that was last proven to work. What the definition says now is not applied again by itself.

    Raises Blocked when there is no such revision, or when the component keeps data; DataAtRisk when a volume would go.
    """
    release, api = component.release, session.api
    assert release is not None, "only releases have revisions"
    async with contextlib.AsyncExitStack() as claim:
        with steps.timed(Step.CLAIM):
            lease = held(api, release.namespace, release.name, session.settings.writer_seconds, steps.tell)
            taken = await claim.enter_async_context(lease)
            _decided_before(taken, component, Remedy.ROLL_BACK)
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
        outcome, _ = await _prove(component, desired, _Applied(number, (change,)), session, steps)
        record_rollback(outcome, component, session)
    _tell_end(outcome, steps)
    return outcome


async def _deploy(
    component: Component,
    desired: Desired,
    planned: Plan,
    unprepared: Preparation,
    known: Ledger,
    session: Session,
    options: Options,
    steps: Steps,
    stack: contextlib.AsyncExitStack,
) -> _Applied:
    """Everything that writes to the cluster, under the release's lease, which stays with `stack`."""
    release, api = component.release, session.api
    assert release is not None, "only releases are deployed by Helm"
    guard_prepared(component, unprepared, known, options)
    copies = to_copy(unprepared, options.remedy)
    reading = readers_of(copies, desired.objects)
    with steps.timed(Step.PREFLIGHT):
        await preflight(component, planned, unprepared.missing, session, copies, reading)
        await mark_environment(session, steps.tell)
        made = await prepare(component, api) if unprepared.missing else []
        # Before anything uses them: a value that nobody knows of could be lost with nobody asking.
        await remember(Ledger(generated=generated_keys(component)), component, session)
    with steps.timed(Step.CLAIM):
        lease = held(api, release.namespace, release.name, session.settings.writer_seconds, steps.tell)
        claim = await stack.enter_async_context(lease)
        _decided_before(claim, component, options.remedy)
    with steps.timed(Step.RECOVER):
        revision = await recover(api, release, claim, steps.tell)
    record = session.records.get(component.key)
    check_wanted(component, options.remedy, record, (planned.revision, revision))
    lost = await lost_volumes(record.volumes, api)
    if options.remedy is not None:
        check_volumes(component, options.remedy, lost)
    treated = await treat(options.remedy, component, desired, api, steps)
    if claim.waited or made or treated or _moved(planned, revision):
        # The look before was at a release in the middle of something, or without its namespaces.
        with steps.timed(Step.PLAN):
            if _moved(planned, revision):
                desired = await _desired(component, session, options)
            planned = await plan(component, desired, api)
        check_refusals(component, planned)
    applies, number = not planned.empty or options.redeploy, planned.revision.number if planned.revision else None
    if not applies and not copies:
        replaced = await replace_pods(desired, session, steps)
        if treated or replaced:
            record_change(component, session)
            record_revision(number, component, session)
        return _Applied(number, (*made, *treated, *replaced), desired)
    guard(
        planned,
        release.stateful,
        options.confirm,
        lost,
        _downgrades(release, desired, planned, known) if applies else (),
        restarts=bool(reading),
        redeploy=options.redeploy,
    )
    if options.remedy is not None:
        check_touches(options.remedy, planned)
    with steps.timed(Step.APPLY, _summary(planned, options) if applies else "copies Secrets again"):
        record_change(component, session)
        copied = await copy_again(component, copies, api)
        if applies:
            number = await apply(component, desired, planned, session, claim, options, steps)
        record_revision(number, component, session)
        copied += await restart_readers(copies, reading, desired, api)
        replaced = await replace_pods(desired, session, steps, every=options.redeploy)
    told = [f"{c.action} {c.object}" + "".join(f"\n  {field}" for field in c.fields) for c in planned.changes]
    if options.redeploy:
        told.append("redeployed and restarted on request")
    return _Applied(number, (*made, *treated, *told, *copied, *replaced) or (f"revision {number}",), desired)


def _moved(planned: Plan, now: Revision | None) -> bool:
    """True when the newest revision is not what it was for the plan."""
    before = planned.revision
    return (before is None) != (now is None) or (
        before is not None and now is not None and (before.number, before.status) != (now.number, now.status)
    )


def _summary(planned: Plan, options: Options) -> str:
    if options.redeploy:
        return "redeploys"
    return f"{len(planned.changes)} objects" if planned.changes else "finishes the release"


def _images(pods: Sequence[Object]) -> dict[str, str]:
    return {
        status["image"]: status.get("imageID", "").rpartition("@")[2] or status.get("imageID", "")
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses") or ()
    }


async def _redacted(error: NotReady, component: Component, session: Session) -> NotReady:
    clean = await redactor(component, session)
    return NotReady(clean(error.summary), clean(error.cause), error.fix, [clean(line) for line in error.evidence])
