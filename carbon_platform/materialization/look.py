"""Looking at the platform without touching it: what is to do for each component, and why."""

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping

from carbon_platform.content.base import ContentChange
from carbon_platform.errors import CarbonError
from carbon_platform.materialization.session import Session
from carbon_platform.records import Record, current, stale_because
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import missing
from carbon_platform.release.render import render
from carbon_platform.spec.platform import Component, Platform


@dataclasses.dataclass(frozen=True)
class Look:
    """One component as it is: what applying would change, and whether it is proven to work."""

    component: Component
    record: Record
    plan: Plan | None
    """None for content, and when the look failed."""
    content: tuple[ContentChange, ...]
    reason: str
    """Why something is to do, for a person; empty when nothing is."""
    error: CarbonError | None = None


async def look(platform: Platform, keys: Iterable[str], session: Session) -> dict[str, Look]:
    """A look at each component, all at once. What can't be looked at has something to do: the run will tell why."""
    records = session.records.all()
    chosen = [key for key in platform.order if key in set(keys)]
    looks = await asyncio.gather(*(_look(platform.components[key], records, session) for key in chosen))
    return {one.component.key: one for one in looks}


async def _look(component: Component, records: Mapping[str, Record], session: Session) -> Look:
    record = records.get(component.key, Record(component.key))
    try:
        return await (_look_at_release if component.release else _look_at_content)(component, record, records, session)
    except CarbonError as error:
        return Look(component, record, None, (), error.summary, error)


async def _look_at_release(
    component: Component, record: Record, records: Mapping[str, Record], session: Session
) -> Look:
    desired = await render(component, session.helm, session.api, session.settings.cache)
    planned, unprepared = await asyncio.gather(plan(component, desired, session.api), missing(component, session.api))
    reason = ""
    if planned.revision is None:
        reason = "not installed"
    elif not planned.installed:
        reason = f"revision {planned.revision.number} is {planned.revision.status}"
    elif planned.changes or unprepared:
        count = len(planned.changes) + len(unprepared)
        reason = f"{count} object{'s' if count > 1 else ''} to change"
    elif planned.unready:
        reason = f"not ready: {'; '.join(planned.unready)}"
    return Look(component, record, planned, (), reason or _unproven(component, record, records))


async def _look_at_content(
    component: Component, record: Record, records: Mapping[str, Record], session: Session
) -> Look:
    assert component.content is not None, "a component is a release or content"
    unproven = _unproven(component, record, records)
    if not record.verified_at or await missing(component, session.api):
        # Never applied: what it lives in may not be there yet, so asking it would only wait for nothing.
        return Look(component, record, None, (), unproven or "not applied")
    async with asyncio.timeout(session.settings.check_seconds):
        changes = tuple(await component.content.plan(session.reach(component)))
    reason = f"{len(changes)} differences in its content" if changes else unproven
    return Look(component, record, None, changes, reason)


def _unproven(component: Component, record: Record, records: Mapping[str, Record]) -> str:
    """Why a component that is deployed as desired is not proven to work; empty when it is."""
    if not current(record, component.digest, component.checks_digest):
        if not record.verified_at:
            return "never verified"
        failed = [check.name for check in record.checks if not check.passed]
        return f"check {failed[0]} failed" if failed else "not verified since its last change"
    needs = {need: records.get(need, Record(need)) for need in component.needs}
    stale = stale_because(record, needs)
    return f"verified before {stale} changed" if stale else ""
