"""Materializing content: the same way as a release, with the component's own API in place of Helm."""

from collections.abc import Collection, Sequence

from carbon_platform.checks.run import now
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import Blocked, Overtaken, foreseen
from carbon_platform.materialization.functional_checks import functional_checks
from carbon_platform.materialization.outcome import Options, Outcome, Steps
from carbon_platform.materialization.preflight import guard_prepared, needs_problems, to_copy
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import (
    recall,
    record_change,
    record_failure,
    record_outcome,
    remember,
    remember_verified,
)
from carbon_platform.records import CheckResult
from carbon_platform.release.copies import copies_read, copy_again
from carbon_platform.release.guard import command, content_risks, refuse
from carbon_platform.release.lease import held
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.prepare import generated_keys, preparation, prepare
from carbon_platform.session import Session, mark_environment
from carbon_platform.spec.platform import Component
from carbon_platform.wording import counted


async def materialize_content(component: Component, session: Session, options: Options) -> Outcome:
    """Make the declared content live if it is not, and prove that it is there.

    Raises a CarbonError when it could not be applied; failed checks are in the outcome.
    """
    steps, began = Steps(component.key), now()
    try:
        return await _materialize(component, session, options, steps)
    except Overtaken as error:
        steps.failed(error)
        raise
    except Exception as error:
        failed = foreseen(error, f"{component.key} can't be applied")
        record_failure(failed, component, session, began, healing=options.remedy is not None)
        steps.failed(failed)
        if failed is error:
            raise
        raise failed from error


async def _materialize(component: Component, session: Session, options: Options, steps: Steps) -> Outcome:
    content = component.content
    assert content is not None, "releases are materialized by Helm"
    reach, life = session.reach(component), session.records.get(component.key).life
    with steps.timed(Step.PREFLIGHT):
        known = await recall(component, session)
        problems = needs_problems(component, session.records.all())
        if problems:
            raise Blocked(
                f"{component.key} can't be applied; nothing was changed",
                "; ".join(p.text for p in problems),
                "; ".join(p.fix for p in problems),
            )
    with steps.timed(Step.PLAN):
        unprepared = await preparation(component, session.api)
        changes = [] if unprepared.missing else await content.plan(reach)
    if left_alone(component, changes, options):
        changes = []
    lost: tuple[str, ...] = ()
    if changes or unprepared or options.redeploy:
        lost = guard_prepared(component, unprepared, known, options)
        with steps.timed(Step.CLAIM):
            await mark_environment(session, steps.tell)
            await prepare(component, session.api)
            await remember(Ledger(generated=generated_keys(component)), component, session)
            claim = held(
                session.api, component.namespace, component.release_name, session.settings.writer_seconds, steps.tell
            )
        async with claim:
            _still_wanted(component, session, options)
            copies = to_copy(unprepared, options.remedy)
            await copy_again(component, copies, session.api)
            await copies_read(copies, session.api)
            changes, costs = await _apply(component, content, known, session, options, steps)
            lost += costs
            life = session.records.get(component.key).life
    with steps.timed(Step.VERIFY, counted(len(component.checks), "functional check")):
        left = await content.plan(reach)
        own = in_sync(component, left, known.content)
        results = await functional_checks(component, session, session.settings.settle_seconds)
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
        lost=lost,
    )
    seen = Ledger(generated=generated_keys(component), content=there(content, left))
    await remember_verified(outcome, seen, component, session)
    record_outcome(outcome, component, session, life, healing=options.remedy is not None)
    steps.done(f"{sum(c.passed for c in outcome.checks)}/{len(outcome.checks)} checks passed")
    return outcome


def left_alone(component: Component, changes: Sequence[ContentChange], options: Options) -> bool:
    """True when healing came upon edits only, and the component's are to be told and left to people."""
    edits = bool(changes) and not any(change.creates for change in changes)
    return options.remedy is not None and component.drift.policy == "report" and edits


def there(content: Content, changes: Sequence[ContentChange]) -> tuple[str, ...]:
    """What of the declared objects is live, by a plan of them. Pure."""
    gone = {change.object for change in changes if change.creates}
    return tuple(name for name in content.objects() if name not in gone)


def _still_wanted(component: Component, session: Session, options: Options) -> None:
    if options.remedy is not None and not session.records.get(component.key).verified_at:
        raise Overtaken(
            f"{component.key}: it was taken down, so nothing was changed",
            "what healing was to repair has changed since it looked",
            f"carbon up {component.key} applies it again",
        )


async def _apply(
    component: Component, content: Content, known: Ledger, session: Session, options: Options, steps: Steps
) -> tuple[list[ContentChange], tuple[str, ...]]:
    """What was changed, and what it cost."""
    reach = session.reach(component)
    with steps.timed(Step.PLAN):
        changes = await content.plan(reach)
    if left_alone(component, changes, options):
        return [], ()
    costs = refuse(component.key, content_risks(changes, known.content), options.confirm)
    if changes:
        with steps.timed(Step.APPLY, "; ".join(f"{c.object}: {c.change}" for c in changes)):
            record_change(component, session)
            await content.apply(reach)
            # Before anything proves it: what is written into it from here on could be lost with nobody asking.
            await remember(Ledger(content=content.objects()), component, session)
    return changes, costs


def in_sync(component: Component, changes: Sequence[ContentChange], known: Collection[str] = ()) -> CheckResult:
    """The check that compares content with its declaration: a warning where edits are to be told only.

    `known`: what ever was there.
    """
    words = [risk.word for risk in content_risks(changes, known)]
    detail = "; ".join(f"{c.object}: {c.change}" for c in changes) or "live is as declared"
    edits = bool(changes) and not any(change.creates for change in changes)
    return CheckResult(
        "in_sync",
        not changes,
        detail,
        now(),
        fix=command(component.key, words) if changes else "",
        evidence={"differences": len(changes)},
        warning=edits and component.drift.policy == "report",
    )
