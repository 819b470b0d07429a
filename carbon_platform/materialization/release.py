"""Materializing a Helm release."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, NotReady, Overtaken, PermissionDenied
from carbon_platform.materialization.apply import apply
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.preflight import all_denied, preflight
from carbon_platform.materialization.prepared import guard_prepared
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.prove import prove
from carbon_platform.materialization.record import (
    record_change,
    record_failure,
    record_outcome,
    record_revision,
    record_rollback,
)
from carbon_platform.materialization.redact import redactor
from carbon_platform.materialization.remedy import Remedy, check_touches, check_volumes
from carbon_platform.materialization.replace import outdated, replace_pods
from carbon_platform.materialization.session import Session, mark_environment
from carbon_platform.materialization.treat import roll_back_target, treat
from carbon_platform.release.guard import guard
from carbon_platform.release.helm import chart_metadata
from carbon_platform.release.history import Revision
from carbon_platform.release.lease import Held, held
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import missing, prepare
from carbon_platform.release.recover import recover
from carbon_platform.release.render import Desired, as_helm_writes, render
from carbon_platform.release.volumes import lost_volumes, volumes_of
from carbon_platform.spec.platform import Component


@dataclasses.dataclass(frozen=True)
class _Applied:
    revision: int | None
    changes: tuple[str, ...]


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
    except CarbonError as error:
        failed = await _redacted(error, component, session) if isinstance(error, NotReady) else error
        record_failure(failed, component, session, healing=options.remedy is not None)
        steps.failed(failed)
        raise failed from error
    return outcome


async def _materialize(component: Component, session: Session, options: Options, steps: Steps) -> Outcome:
    if options.remedy is Remedy.ROLL_BACK:
        return await _roll_back(component, session, steps)
    api = session.api
    with steps.timed(Step.PLAN):
        desired = await render(component, session.helm, api, session.settings.cache)
        try:
            planned = await plan(component, desired, api)
            unprepared = await missing(component, api)
        except PermissionDenied as error:
            raise await all_denied(error, component, desired, api) from error
    applied = _Applied(planned.revision.number if planned.revision else None, ())
    # What was begun is proven under the same lease: until then, what is seen of it is its writer's business.
    async with contextlib.AsyncExitStack() as claim:
        if options.forces or unprepared or not planned.empty or await outdated(desired, api):
            applied = await _deploy(component, desired, planned, unprepared, session, options, steps, claim)
        outcome, volumes = await _prove(component, desired, applied, session, steps, options.confirm)
        record_outcome(outcome, component, session, volumes)
    _tell_end(outcome, steps)
    return outcome


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
) -> tuple[Outcome, Mapping[str, str]]:
    """Prove that it works: what is to be recorded, and the volumes it has."""
    proof = await prove(component, desired, session, steps, confirm)
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
    return outcome, await volumes_of(proof.pods, session.api)


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
            record_revision(number, component, session)
        desired = await as_helm_writes([obj for obj, _ in revision.manifest()], release, api)
        change = f"rolled back to revision {revision.number}, the last that was verified"
        outcome, _ = await _prove(component, desired, _Applied(number, (change,)), session, steps)
        record_rollback(outcome, component, session)
    _tell_end(outcome, steps)
    return outcome


async def _deploy(
    component: Component,
    desired: Desired,
    planned: Plan,
    unprepared: Sequence[ObjectName],
    session: Session,
    options: Options,
    steps: Steps,
    stack: contextlib.AsyncExitStack,
) -> _Applied:
    """Everything that writes to the cluster, under the release's lease, which stays with `stack`."""
    release, api = component.release, session.api
    assert release is not None, "only releases are deployed by Helm"
    guard_prepared(component, unprepared, session, options)
    with steps.timed(Step.PREFLIGHT):
        await preflight(component, planned, unprepared, session)
        await mark_environment(session, steps.tell)
        made = await prepare(component, api) if unprepared else []
    with steps.timed(Step.CLAIM):
        lease = held(api, release.namespace, release.name, session.settings.writer_seconds, steps.tell)
        claim = await stack.enter_async_context(lease)
        _decided_before(claim, component, options.remedy)
    with steps.timed(Step.RECOVER):
        revision = await recover(api, release, claim, steps.tell)
    lost = await lost_volumes(session.records.get(component.key).volumes, api)
    if options.remedy is not None:
        check_volumes(component, options.remedy, lost)
    treated = await treat(options.remedy, component, desired, api, steps)
    if claim.waited or made or treated or _moved(planned, revision):
        # The look before was at a release in the middle of something, or without its namespaces.
        with steps.timed(Step.PLAN):
            planned = await plan(component, desired, api)
    if planned.empty and not options.redeploy:
        number = planned.revision.number if planned.revision else None
        replaced = await replace_pods(desired, session, steps)
        if treated or replaced:
            record_change(component, session)
            record_revision(number, component, session)
        return _Applied(number, (*made, *treated, *replaced))
    folder = release.chart.folder
    version = str(chart_metadata(folder)["version"]) if folder else release.chart.ref.version
    guard(planned, release.stateful, version, options.confirm, lost, restarts=options.redeploy)
    if options.remedy is not None:
        check_touches(options.remedy, planned)
    with steps.timed(Step.APPLY, _summary(planned, options)):
        record_change(component, session)
        number = await apply(component, desired, planned, session, claim, options, steps)
        record_revision(number, component, session)
        replaced = await replace_pods(desired, session, steps, every=options.redeploy)
    told = [f"{c.action} {c.object}" + "".join(f"\n  {field}" for field in c.fields) for c in planned.changes]
    if options.redeploy:
        told.append("redeployed and restarted on request")
    return _Applied(number, (*made, *treated, *told, *replaced) or (f"revision {number}",))


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
