"""Materializing content: the same way as a release, with the component's own API in place of Helm."""

from carbon_platform.checks.run import now
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import Blocked, CarbonError, DataAtRisk
from carbon_platform.materialization.checked import checked
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.preflight import needs_problems
from carbon_platform.materialization.prepared import guard_prepared
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import record_change, record_failure, record_outcome
from carbon_platform.materialization.session import Session, mark_environment
from carbon_platform.records import CheckResult
from carbon_platform.release.lease import held
from carbon_platform.release.prepare import missing, prepare
from carbon_platform.spec.platform import Component


async def materialize_content(component: Component, session: Session, options: Options) -> Outcome:
    """Make the declared content live if it is not, and prove that it is there.

    Raises a CarbonError when it could not be applied; failed checks are in the outcome.
    """
    steps = Steps(component.key)
    try:
        return await _materialize(component, session, options, steps)
    except CarbonError as error:
        record_failure(error, component, session, healing=options.remedy is not None)
        steps.failed(error)
        raise


async def _materialize(component: Component, session: Session, options: Options, steps: Steps) -> Outcome:
    content = component.content
    assert content is not None, "releases are materialized by Helm"
    reach = session.reach(component)
    with steps.timed(Step.PREFLIGHT):
        problems = needs_problems(component, session.records.all())
        if problems:
            raise Blocked(
                f"{component.key} can't be applied; nothing was changed",
                "; ".join(p.text for p in problems),
                "; ".join(p.fix for p in problems),
            )
    with steps.timed(Step.PLAN):
        unprepared = await missing(component, session.api)
        changes = [] if unprepared else await content.plan(reach)
    if changes or unprepared or options.redeploy:
        guard_prepared(component, unprepared, session, options)
        with steps.timed(Step.CLAIM):
            await mark_environment(session, steps.tell)
            await prepare(component, session.api)
            claim = held(
                session.api, component.namespace, component.release_name, session.settings.writer_seconds, steps.tell
            )
        async with claim:
            changes = await _apply(component, content, session, options, steps)
    with steps.timed(Step.VERIFY, f"{len(component.checks)} functional checks"):
        own = in_sync(await content.plan(reach))
        results = await checked(component, session, session.settings.settle_seconds)
    outcome = Outcome(
        component=component.key,
        revision=None,
        digest=component.digest,
        applied=bool(changes),
        changes=tuple(f"{c.object}: {c.change}" for c in changes),
        checks=(own, *results),
        seconds=steps.seconds,
        images={},
        endpoints={e.name: f"{e.service}.{e.namespace or component.namespace}:{e.port}" for e in component.endpoints},
    )
    record_outcome(outcome, component, session, {})
    steps.done(f"{sum(c.passed for c in outcome.checks)}/{len(outcome.checks)} checks passed")
    return outcome


async def _apply(
    component: Component, content: Content, session: Session, options: Options, steps: Steps
) -> list[ContentChange]:
    reach = session.reach(component)
    with steps.timed(Step.PLAN):
        changes = await content.plan(reach)
    _guard(component, changes, options)
    if changes:
        with steps.timed(Step.APPLY, "; ".join(f"{c.object}: {c.change}" for c in changes)):
            record_change(component, session)
            await content.apply(reach)
    return changes


def _guard(component: Component, changes: list[ContentChange], options: Options) -> None:
    lost = [c for c in changes if c.destroys_data and f"content:{c.object}" not in options.confirm]
    if lost:
        words = " ".join(f"--confirm {f'content:{c.object}'!r}" for c in lost)
        raise DataAtRisk(
            f"{component.key}: the plan would touch data, so nothing was changed",
            "; ".join(f"{c.object}: {c.change}" for c in lost),
            f"if that is meant: carbon up {component.key} {words}",
        )


def in_sync(changes: list[ContentChange]) -> CheckResult:
    """The check that compares content with its declaration."""
    detail = "; ".join(f"{c.object}: {c.change}" for c in changes) or "live is as declared"
    return CheckResult("in_sync", not changes, detail, now(), evidence={"differences": len(changes)})
