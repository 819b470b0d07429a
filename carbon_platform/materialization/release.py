"""Materializing a Helm release."""

import contextlib
import dataclasses
from collections.abc import Sequence

from carbon_platform.checks.run import now, run_checks
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, NotReady, PermissionDenied
from carbon_platform.health.diagnosis import owned_pods
from carbon_platform.health.status import WORKLOADS
from carbon_platform.materialization.apply import apply
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.preflight import all_denied, preflight
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import record_failure, record_outcome
from carbon_platform.materialization.session import Session
from carbon_platform.records import CheckResult
from carbon_platform.release.guard import guard
from carbon_platform.release.helm import chart_metadata
from carbon_platform.release.history import Revision, latest
from carbon_platform.release.lease import held
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import missing, prepare
from carbon_platform.release.recover import recover
from carbon_platform.release.render import Desired, render
from carbon_platform.release.wait import wait_ready
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
    except CarbonError as error:
        failed = await _redacted(error, component, session) if isinstance(error, NotReady) else error
        record_failure(failed, component, session)
        steps.failed(failed)
        raise failed from error
    return outcome


async def _materialize(component: Component, session: Session, options: Options, steps: Steps) -> Outcome:
    api = session.api
    with steps.timed(Step.PLAN):
        desired = await render(component, session.helm, api, session.settings.cache)
        try:
            planned = await plan(component, desired, api)
            unprepared = await missing(component, api)
        except PermissionDenied as error:
            raise await all_denied(error, component, desired, api) from error
    applied = _Applied(planned.revision.number if planned.revision else None, ())
    if options.redeploy or unprepared or not planned.empty:
        applied = await _deploy(component, desired, planned, unprepared, session, options, steps)
    ready = await _wait(component, desired, session, steps)
    with steps.timed(Step.VERIFY, f"{len(component.checks)} functional checks"):
        results = await run_checks(
            component.checks, session.reach(component), session.settings.check_seconds, session.settings.settle_seconds
        )
    outcome = Outcome(
        component=component.key,
        revision=applied.revision,
        digest=component.digest,
        applied=bool(applied.changes),
        changes=applied.changes,
        checks=(ready, *results),
        seconds=steps.seconds,
        images=_images(await _pods(component, desired, session)),
        endpoints={e.name: f"{e.service}.{e.namespace or component.namespace}:{e.port}" for e in component.endpoints},
    )
    record_outcome(outcome, component, session)
    passed = sum(check.passed for check in outcome.checks)
    steps.done(f"{passed}/{len(outcome.checks)} checks passed")
    return outcome


async def _deploy(
    component: Component,
    desired: Desired,
    planned: Plan,
    unprepared: Sequence[ObjectName],
    session: Session,
    options: Options,
    steps: Steps,
) -> _Applied:
    """Everything that writes to the cluster, under the release's lease."""
    release, api = component.release, session.api
    assert release is not None, "only releases are deployed by Helm"
    with steps.timed(Step.PREFLIGHT):
        await preflight(component, planned, unprepared, api, session.records.all())
        made = await prepare(component, api)
    async with contextlib.AsyncExitStack() as stack:
        with steps.timed(Step.CLAIM):
            lease = held(api, release.namespace, release.name, session.settings.writer_seconds, steps.tell)
            claim = await stack.enter_async_context(lease)
        with steps.timed(Step.RECOVER):
            recovered = await recover(api, release, claim, steps.tell)
        if recovered or claim.waited or made or _moved(planned, await latest(api, release)):
            # The look before was at a release in the middle of something, or without its namespaces.
            with steps.timed(Step.PLAN):
                planned = await plan(component, desired, api)
        if planned.empty and not options.redeploy:
            return _Applied(planned.revision.number if planned.revision else None, tuple(made))
        folder = release.chart.folder
        version = str(chart_metadata(folder)["version"]) if folder else release.chart.ref.version
        guard(planned, release.stateful, version, options.confirm)
        with steps.timed(Step.APPLY, _summary(planned, options)):
            record = session.records.get(component.key)
            session.records.put(dataclasses.replace(record, changed_at=now(), digest=component.digest))
            revision = await apply(component, desired, planned, session, claim, options, steps)
    told = [f"{c.action} {c.object}" + "".join(f"\n  {field}" for field in c.fields) for c in planned.changes]
    if options.redeploy:
        told.append("redeployed and restarted on request")
    return _Applied(revision, (*made, *told) or (f"revision {revision}",))


def _moved(planned: Plan, now: Revision | None) -> bool:
    """True when somebody else has made a revision since the plan."""
    return (planned.revision.number if planned.revision else None) != (now.number if now else None)


def _summary(planned: Plan, options: Options) -> str:
    if options.redeploy:
        return "redeploys"
    return f"{len(planned.changes)} objects" if planned.changes else "finishes the release"


async def _wait(component: Component, desired: Desired, session: Session, steps: Steps) -> CheckResult:
    names = [ObjectName.of(obj) for obj in desired.objects if _awaited(obj)]
    deadline = component.deadline or session.settings.wait_seconds
    with steps.timed(Step.WAIT):
        await wait_ready(names, session.api, session.mirrors, deadline, steps.tell)
    pods = await _pods(component, desired, session)
    evidence: dict[str, str | int | float | bool] = {"objects": len(desired.objects), "pods": len(pods)}
    detail = f"{len(desired.objects)} objects as desired, {len(pods)} pods ready"
    return CheckResult("ready", True, detail, now(), steps.seconds[Step.WAIT.value], "", evidence)


def _awaited(obj: Object) -> bool:
    return bool(obj["kind"] != "Service" or obj["spec"].get("type") == "LoadBalancer")


async def _pods(component: Component, desired: Desired, session: Session) -> list[Object]:
    """The pods of the release's workloads."""
    workloads = [obj for obj in desired.objects if obj["kind"] in WORKLOADS]
    found: dict[str, Object] = {}
    for namespace in {obj["metadata"]["namespace"] for obj in workloads}:
        pods = await session.api.list("v1", "Pod", namespace)
        for obj in workloads:
            found |= {pod["metadata"]["uid"]: pod for pod in owned_pods(obj, pods)}
    return list(found.values())


def _images(pods: list[Object]) -> dict[str, str]:
    return {
        status["image"]: status.get("imageID", "").rpartition("@")[2] or status.get("imageID", "")
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses") or ()
    }


async def _redacted(error: NotReady, component: Component, session: Session) -> NotReady:
    """The error without the values of the component's Secrets: a crashing program may have logged one."""
    reach = session.reach(component)
    values = []
    for spec in component.secrets:
        for key, source in spec.keys.items():
            if source.literal is None:
                with contextlib.suppress(CarbonError):
                    values.append(await reach.secret(spec.name, key, spec.namespace))

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, "(hidden)")
        return text

    return NotReady(clean(error.summary), clean(error.cause), error.fix, [clean(line) for line in error.evidence])
