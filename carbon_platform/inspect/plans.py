"""Looking at the platform without touching it: what is to do for each component, and why."""

import asyncio
import dataclasses
import datetime
from collections.abc import Iterable, Mapping

from carbon_platform.cluster.client import Api
from carbon_platform.content.base import ContentChange
from carbon_platform.errors import CarbonError, foreseen
from carbon_platform.health.beside import beside
from carbon_platform.health.cause import Kind
from carbon_platform.health.diagnosis import owned_pods, pod_cause
from carbon_platform.health.state import unproven
from carbon_platform.health.status import may_own_pods
from carbon_platform.inspect.desired import wanted
from carbon_platform.records import Record
from carbon_platform.release.copies import Copied
from carbon_platform.release.desired import Desired
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.prepare import preparation
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component, Platform
from carbon_platform.wording import counted


@dataclasses.dataclass(frozen=True)
class Planned:
    """One component as it is: what applying would change, and whether it is proven to work."""

    component: Component
    record: Record
    plan: Plan | None
    """None for content, and when the look failed."""
    content: tuple[ContentChange, ...]
    reason: str
    """Why something is to do, for a person; empty when nothing is."""
    error: CarbonError | None = None
    outdated: tuple[Copied, ...] = ()
    """Keys of its Secrets that no longer follow the Secret they are copied from."""
    blocked: str = ""
    """What it is waiting for that a run can't give: an image that can't be had, a need that is blocked."""


async def plans_of(
    platform: Platform, keys: Iterable[str], session: Session, *, asks: bool = True
) -> dict[str, Planned]:
    """A look at each component, all at once. What can't be looked at has something to do: the run will tell why.

    Without `asks` nothing is said of whether the API server would take what is new.
    """
    records = session.records.all()
    chosen = [key for key in platform.order if key in set(keys)]
    looks = await asyncio.gather(*(_look(platform.components[key], records, session, asks) for key in chosen))
    return _blocked_below({one.component.key: one for one in looks}, chosen)


def _blocked_below(looks: dict[str, Planned], order: Iterable[str]) -> dict[str, Planned]:
    """What is not applied yet and needs something blocked is blocked with it: a run could only say so again."""
    for key in order:
        one = looks[key]
        below = next((need for need in one.component.needs if need in looks and looks[need].blocked), "")
        if below and one.reason and not one.record.verified_at:
            looks[key] = dataclasses.replace(one, reason="", blocked=f"it needs {below}, which is blocked")
    return looks


async def _look(component: Component, records: Mapping[str, Record], session: Session, asks: bool) -> Planned:
    record = records.get(component.key, Record(component.key))
    try:
        if component.release:
            return await _look_at_release(component, record, records, session, asks)
        return await _look_at_content(component, record, records, session)
    except Exception as error:  # about one component: the others are planned all the same
        told = foreseen(error, f"{component.key} can't be planned")
        return Planned(component, record, None, (), told.summary, told)


async def _look_at_release(
    component: Component, record: Record, records: Mapping[str, Record], session: Session, asks: bool
) -> Planned:
    desired = await wanted(component, session)
    planned, unprepared = await asyncio.gather(
        plan(component, desired, session.api, asks=asks), preparation(component, session.api)
    )
    if record.blocked and record.digest == component.digest and planned.empty and not unprepared:
        image = await _missing_image(desired, session.api)
        if image:
            return Planned(component, record, planned, (), "", blocked=image)
    reason = ""
    if planned.revision is None:
        reason = "not installed"
    elif not planned.installed:
        reason = f"revision {planned.revision.number} is {planned.revision.status}"
    elif planned.changes or unprepared.missing:
        reason = f"{counted(len(planned.changes) + len(unprepared.missing), 'object')} to change"
    elif unprepared.outdated:
        reason = "; ".join(map(str, unprepared.outdated))
    elif planned.unready:
        reason = f"not ready: {'; '.join(planned.unready)}"
    elif planned.rendered is not None:
        reason = "its newest revision was not made from this definition"
    elif planned.revision.by_somebody_else(record.revision):
        reason = f"revision {planned.revision.number} was made {planned.revision.made}, and not by Carbon"
    reason = reason or _unproven(component, record, records)
    return Planned(component, record, planned, (), reason, outdated=unprepared.outdated)


async def _missing_image(desired: Desired, api: Api) -> str:
    """Why a pod of the release still can't have its image; empty when that is not what it waits for."""
    now = datetime.datetime.now(datetime.UTC)
    owners = [obj for obj in desired.objects if may_own_pods(obj) and "namespace" in obj["metadata"]]
    for namespace in {obj["metadata"]["namespace"] for obj in owners}:
        pods, events = await asyncio.gather(api.list("v1", "Pod", namespace), api.list("v1", "Event", namespace))
        between = await beside(owners, pods, namespace, api)
        for obj in owners:
            for pod in owned_pods(obj, pods, between) if obj["metadata"]["namespace"] == namespace else ():
                told = [e for e in events if e.get("involvedObject", {}).get("uid") == pod["metadata"]["uid"]]
                cause = pod_cause(pod, told, now)
                if cause and cause.kind is Kind.IMAGE:
                    return "; ".join((cause.why, *cause.evidence[:1]))
    return ""


async def _look_at_content(
    component: Component, record: Record, records: Mapping[str, Record], session: Session
) -> Planned:
    assert component.content is not None, "a component is a release or content"
    why = _unproven(component, record, records)
    unprepared = await preparation(component, session.api)
    if not record.verified_at or unprepared.missing:
        # Never applied: what it lives in may not be there yet, so asking it would only wait for nothing.
        return Planned(component, record, None, (), why if record.changed_at or record.verified_at else "not installed")
    limit = session.settings.check_seconds
    try:
        async with asyncio.timeout(limit):
            changes = tuple(await component.content.plan(session.reach(component)))
    except TimeoutError:
        what, why = f"the content of {component.key} can't be compared", f"no answer within {limit:g} s"
        raise CarbonError(what, why, f"carbon doctor {component.key}") from None
    reason = (
        f"{counted(len(changes), 'difference')} in its content" if changes else "; ".join(map(str, unprepared.outdated))
    )
    return Planned(component, record, None, changes, reason or why, outdated=unprepared.outdated)


def _unproven(component: Component, record: Record, records: Mapping[str, Record]) -> str:
    """Why a component that is deployed as desired is not proven to work; empty when it is."""
    needs = {need: records.get(need, Record(need)) for need in component.needs}
    _, why = unproven(record, component.digest, component.checks_digest, needs) or ("", "")
    return why
