"""Deploying a release that is not as desired: everything that writes to the cluster, in its order."""

import contextlib
import dataclasses
import textwrap

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Overtaken
from carbon_platform.inspect.desired import deployed, wanted
from carbon_platform.materialization.apply import apply, apply_first
from carbon_platform.materialization.apply_remedy import restart_readers, treat
from carbon_platform.materialization.outcome import Options, Steps
from carbon_platform.materialization.outdated_pods import replace_pods
from carbon_platform.materialization.preflight import check_refusals, guard_prepared, preflight, readers_of, to_copy
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import record_change, record_revision, remember
from carbon_platform.materialization.remedy import Remedy, check_touches, check_volumes, check_wanted
from carbon_platform.release.copies import copy_again
from carbon_platform.release.desired import Desired
from carbon_platform.release.guard import guard
from carbon_platform.release.helm import chart_metadata
from carbon_platform.release.history import Revision
from carbon_platform.release.inputs import asks_the_cluster
from carbon_platform.release.lease import Held, held
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import Preparation, generated_keys, prepare
from carbon_platform.release.recover import recover
from carbon_platform.release.versions import Versions, downgrades, versions
from carbon_platform.release.volumes import lost_volumes
from carbon_platform.session import Session, mark_environment
from carbon_platform.spec.platform import Component, Release
from carbon_platform.wording import counted


@dataclasses.dataclass(frozen=True)
class Applied:
    """What is deployed, and what was done for it."""

    revision: int | None
    changes: tuple[str, ...]
    desired: Desired | None = None
    """What was applied, where that was told anew under the lease."""
    lost: tuple[str, ...] = ()
    """What it cost to do what a person confirmed."""


class Deployment:
    """One release on its way from a plan to being applied."""

    def __init__(
        self,
        component: Component,
        session: Session,
        options: Options,
        steps: Steps,
        desired: Desired,
        planned: Plan,
        unprepared: Preparation,
        known: Ledger,
    ) -> None:
        """`desired`, `planned`, `unprepared`: as they were seen before the lease; `known`: what guards its data."""
        assert component.release is not None, "only releases are deployed by Helm"
        self._component, self._release, self._session = component, component.release, session
        self._options, self._steps = options, steps
        self._desired, self._planned, self._unprepared, self._known = desired, planned, unprepared, known
        self._copies = to_copy(unprepared, options.remedy)
        self._readers = readers_of(self._copies, desired.objects)
        self._treated: list[str] = []
        self._done: list[str] = []
        """What a person reads: what was made before, and what the remedy did."""
        self._costs: tuple[str, ...] = ()
        """Of what was made before."""

    async def run(self, stack: contextlib.AsyncExitStack) -> Applied:
        """Everything, under the release's lease, which stays with `stack`.

        Raises Blocked, PermissionDenied or DataAtRisk before anything of the release is changed.
        """
        self._costs = guard_prepared(self._component, self._unprepared, self._known, self._options)
        with self._steps.timed(Step.PREFLIGHT):
            await self._prepare()
        claim = await self._claim(stack)
        with self._steps.timed(Step.RECOVER):
            revision = await recover(self._session.api, self._release, claim, self._steps.tell)
        lost = await self._lost_volumes(revision)
        await self._treat()
        # The look before may have been at a release in the middle of something, or without its namespaces.
        moved = _moved(self._planned, revision)
        if claim.waited or self._done or moved:
            await self._plan_anew(rendered=moved)
        if not self._applies and not self._copies:
            return await self._only_pods()
        costs = self._guard(lost)
        first = await self._apply_first()
        if first and asks_the_cluster(self._release):
            self._done += [
                f"{change.action} {change.object}" for change in self._planned.changes if change.object in first
            ]
            await self._plan_anew(rendered=True)
            costs = self._guard(lost)
        return dataclasses.replace(await self._apply(claim), lost=(*self._costs, *costs))

    @property
    def _applies(self) -> bool:
        return not self._planned.empty or self._options.redeploy

    async def _prepare(self) -> None:
        """See that it can be deployed, and make what it needs before: namespaces and Secrets."""
        component, session, missing = self._component, self._session, self._unprepared.missing
        await preflight(component, self._planned, missing, session, self._copies, self._readers)
        await mark_environment(session, self._steps.tell)
        self._done += await prepare(component, session.api) if missing else []
        # Before anything uses them: a value that nobody knows of could be lost with nobody asking.
        await remember(Ledger(generated=generated_keys(component)), component, session)

    async def _claim(self, stack: contextlib.AsyncExitStack) -> Held:
        with self._steps.timed(Step.CLAIM):
            return await claimed(self._component, self._session, self._options.remedy, self._steps, stack)

    async def _lost_volumes(self, revision: Revision | None) -> list[ObjectName]:
        """The volumes it had and has no more. What healing was decided on must be so still, and lose none."""
        record, remedy = self._session.records.get(self._component.key), self._options.remedy
        check_wanted(self._component, remedy, record, (self._planned.revision, revision))
        lost = await lost_volumes(record.volumes, self._session.api)
        if remedy is not None:
            check_volumes(self._component, remedy, lost)
        return lost

    async def _treat(self) -> None:
        remedy, api = self._options.remedy, self._session.api
        self._treated = await treat(remedy, self._component, self._desired, api, self._steps)
        self._done += self._treated

    async def _plan_anew(self, *, rendered: bool) -> None:
        """`rendered`: also what is desired may be another thing now."""
        with self._steps.timed(Step.PLAN):
            if rendered:
                self._desired = await desired_now(self._component, self._session, self._options)
            self._planned = await plan(self._component, self._desired, self._session.api)
        check_refusals(self._component, self._planned)

    async def _only_pods(self) -> Applied:
        """Nothing is to be applied: what still runs as it was before is replaced."""
        number = self._planned.revision.number if self._planned.revision else None
        replaced = await replace_pods(self._desired, self._session, self._steps)
        if self._treated or replaced:
            record_change(self._component, self._session)
            record_revision(number, self._component, self._session)
        return Applied(number, (*self._done, *replaced), self._desired, self._costs)

    def _guard(self, lost: list[ObjectName]) -> tuple[str, ...]:
        """What it costs to do what was confirmed."""
        options, planned = self._options, self._planned
        back = _downgrades(self._release, self._desired, planned, self._known) if self._applies else ()
        costs = guard(
            planned,
            self._release.stateful,
            options.confirm,
            lost,
            back,
            restarts=bool(self._readers),
            redeploy=options.redeploy,
        )
        if options.remedy is not None:
            check_touches(options.remedy, planned)
        return costs

    async def _apply_first(self) -> list[ObjectName]:
        """Kinds and namespaces of the chart's own; those that were not as desired."""
        if not self._applies:
            return []
        with self._steps.timed(Step.APPLY):
            record_change(self._component, self._session)
            return await apply_first(self._desired, self._planned, self._session, self._steps)

    async def _apply(self, claim: Held) -> Applied:
        component, session, options, planned = self._component, self._session, self._options, self._planned
        number = planned.revision.number if planned.revision else None
        with self._steps.timed(Step.APPLY, _summary(planned, options) if self._applies else "copies Secrets again"):
            record_change(component, session)
            copied = await copy_again(component, self._copies, session.api)
            if self._applies:
                number = await apply(component, self._desired, planned, session, claim, options, self._steps)
            record_revision(number, component, session)
            copied += await restart_readers(self._copies, self._readers, self._desired, session.api)
            replaced = await replace_pods(self._desired, session, self._steps, every=options.redeploy)
        told = [
            f"{c.action} {c.object}" + "".join(f"\n{textwrap.indent(str(field), '  ')}" for field in c.fields)
            for c in planned.changes
        ]
        if options.redeploy:
            told.append("redeployed and restarted on request")
        changes = (*self._done, *told, *copied, *replaced) or (f"revision {number}",)
        return Applied(number, changes, self._desired)


async def desired_now(component: Component, session: Session, options: Options) -> Desired:
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


async def claimed(
    component: Component, session: Session, remedy: Remedy | None, steps: Steps, stack: contextlib.AsyncExitStack
) -> Held:
    """The lease of the release, which stays with `stack`. Raises Overtaken when healing had to wait for somebody."""
    release = component.release
    assert release is not None, "only releases have a lease"
    lease = held(session.api, release.namespace, release.name, session.settings.writer_seconds, steps.tell)
    claim = await stack.enter_async_context(lease)
    _decided_before(claim, component, remedy)
    return claim


def made_of(release: Release, desired: Desired) -> Versions:
    """What it is to be made of; of a chart that is elsewhere only its version is known."""
    folder = release.chart.folder
    return versions(chart_metadata(folder) if folder else {"version": release.chart.ref.version}, desired.objects)


def _downgrades(release: Release, desired: Desired, planned: Plan, known: Ledger) -> list[str]:
    """What would go back of a component that keeps data: from its newest revision, or from what was verified."""
    if not release.stateful:
        return []
    before = planned.revision.versions() if planned.revision else known.versions
    return downgrades(before, made_of(release, desired))


def _decided_before(claim: Held, component: Component, remedy: Remedy | None) -> None:
    """Raise Overtaken when healing had to wait for somebody else, who may have changed what it is about."""
    if remedy is not None and claim.waited:
        raise Overtaken(
            f"{component.key}: somebody else was at work on it, so nothing was changed",
            "what healing was to repair has changed since it looked",
            "nothing: healing looks again by itself",
        )


def _moved(planned: Plan, now: Revision | None) -> bool:
    """True when the newest revision is not what it was for the plan."""
    before = planned.revision
    return (before is None) != (now is None) or (
        before is not None and now is not None and (before.number, before.status) != (now.number, now.status)
    )


def _summary(planned: Plan, options: Options) -> str:
    if options.redeploy:
        return "redeploys"
    return counted(len(planned.changes), "object") if planned.changes else "finishes the release"
