"""Running a component's checks now, without deploying anything."""

import asyncio
import dataclasses
import datetime

from carbon_platform.checks.run import now, run_checks
from carbon_platform.cluster.resources import ObjectName, is_custom
from carbon_platform.errors import CarbonError
from carbon_platform.health.beside import beside
from carbon_platform.health.cause import Cause, root
from carbon_platform.health.diagnosis import owned, owned_pods
from carbon_platform.health.events import NEVER, moment
from carbon_platform.health.explain import explain
from carbon_platform.health.ownership import with_owned
from carbon_platform.health.status import may_own_pods, status
from carbon_platform.health.steadiness import unsteady
from carbon_platform.materialization.checked import undisturbed
from carbon_platform.materialization.content import in_sync
from carbon_platform.materialization.replaced import with_volumes
from carbon_platform.materialization.session import Session
from carbon_platform.records import OUTDATED_COPIES, CheckResult, Record
from carbon_platform.release.copies import outdated_copies
from carbon_platform.release.desired import Desired, stored
from carbon_platform.release.history import latest
from carbon_platform.release.plan import plan
from carbon_platform.spec.platform import Component


async def verify(component: Component, session: Session, settle: float = 0.0) -> list[CheckResult]:
    """The result of every check of the component, and a record of them. Raises Unreachable when nobody answers.

    A check that fails is tried again for `settle` seconds. A pass counts as a verification only of what is
    deployed: a record of another definition stays unverified. What was seen before a change that came meanwhile is
    told, and not recorded.
    """
    before = session.records.get(component.key)

    async def look() -> _Seen:
        return await _look(component, session, settle)

    checks, revision = await undisturbed(look, lambda seen: seen[0], component.key, session)

    def seen(record: Record) -> Record:
        if _written(record) != _written(before):
            return record
        # A definition of which nobody saw a revision was begun, and perhaps never applied.
        deployed = record.digest == component.digest and (component.release is None or revision is not None)
        if not any(check.failed for check in checks) and deployed and record.revision == revision:
            record = dataclasses.replace(
                record,
                verified_at=now(),
                verified_revision=record.revision,
                checks_digest=component.checks_digest,
                failure="",
                blocked=False,
                quarantined="",
            )
        return dataclasses.replace(record, checks=checks)

    session.records.update(component.key, seen, life=before.life)
    return list(checks)


_Seen = tuple[tuple[CheckResult, ...], int | None]
"""Every check, and the revision that is deployed."""


async def _look(component: Component, session: Session, settle: float) -> _Seen:
    own = _ready(component, session) if component.release else _content(component, session)
    reach, seconds = session.reach(component), session.settings.check_seconds
    checking = asyncio.create_task(run_checks(component.checks, reach, seconds, settle))
    try:
        first, revision = await own
        return (first, *await checking), revision
    finally:  # when the first found nobody there, the others must not go on behind a session that ends
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)


def _written(record: Record) -> tuple[str, str, str]:
    """Differs after every materialization, whatever the clock did meanwhile."""
    return record.changed_at, record.verified_at, record.failed_at


async def _ready(component: Component, session: Session) -> tuple[CheckResult, int | None]:
    """The check, and the revision that is deployed."""
    assert component.release is not None, "content is compared with its declaration"
    revision = await latest(session.api, component.release)
    if revision is None:
        return CheckResult("ready", False, "it is not installed", now(), fix=f"carbon up {component.key}"), None
    desired = await stored(component, revision, session.api, session.settings.cache)
    planned, outdated = await asyncio.gather(
        plan(component, desired, session.api), outdated_copies(component, session.api)
    )
    missing = [str(change.object) for change in planned.changes if change.live is None]
    number, how = revision.number, revision.status
    wrong = [] if planned.installed else [f"revision {number} is {how}"]
    wrong += [f"{name} is missing" for name in missing]
    wrong += [
        f"{c.object}: {s.message}" for c in planned.changes if c.live and not (s := status(c.live, desired.rules)).ready
    ]
    wrong += planned.unready
    of_pods = await _of_pods(desired, session.records.get(component.key), session)
    wrong += of_pods
    # Whoever reads one of these works with the old value only until it begins anew.
    copies: dict[str, str | int] = {OUTDATED_COPIES: len(outdated)} if outdated else {}
    if not wrong and not outdated:
        result = CheckResult("ready", True, f"{len(desired.objects)} objects ready", now())
        return await with_volumes(result, component, session), number
    cause = await _cause(desired, session, every=bool(of_pods)) if wrong else None
    detail = "; ".join([*wrong, *([str(cause)] if cause else ()), *map(str, outdated)])
    fix = cause.fix if cause and not missing and not outdated else f"carbon up {component.key}"
    evidence = copies | ({"told": "\n".join(cause.evidence)} if cause and cause.evidence else {})
    result = CheckResult("ready", False, detail, now(), fix=fix, evidence=evidence)
    return await with_volumes(result, component, session), number


async def _of_pods(desired: Desired, record: Record, session: Session) -> list[str]:
    """Containers that are ready by now, perhaps, and have been restarted again and again since the last change; and
    custom resources that seem ready by themselves, with what is not of what their operator made of them."""
    since = moment(record.changed_at) or NEVER
    found: list[str] = []
    owners = [obj for obj in desired.objects if may_own_pods(obj) and "namespace" in obj["metadata"]]
    for namespace in {obj["metadata"]["namespace"] for obj in owners}:
        pods = await session.api.list("v1", "Pod", namespace)
        between = await beside(owners, pods, namespace, session.api)
        mine = {pod["metadata"]["name"]: pod for obj in owners for pod in owned_pods(obj, pods, between)}
        found += unsteady(mine.values(), since, datetime.datetime.now(datetime.UTC))
        named = [ObjectName.of(obj) for obj in owners if is_custom(obj["apiVersion"], obj["kind"])]
        for live in await asyncio.gather(*(session.api.find(name) for name in named if name.namespace == namespace)):
            if live and status(live, desired.rules).ready:
                seen = with_owned(live, owned(live, pods, between), desired.rules)
                found += [] if seen.ready else [f"{live['kind']} {live['metadata']['name']}: {seen.message}"]
    return found


async def _cause(desired: Desired, session: Session, *, every: bool = False) -> Cause | None:
    """Why what is there is not ready, where the cluster tells. `every`: what counts as ready is asked as well."""
    names = [ObjectName.of(obj) for obj in desired.objects if may_own_pods(obj)]
    found = await asyncio.gather(*(session.api.find(name) for name in names))
    asked = [obj for obj in found if obj and (every or not status(obj, desired.rules).ready)]
    return root((await explain(asked, session.api)).values())


async def _content(component: Component, session: Session) -> tuple[CheckResult, None]:
    assert component.content is not None, "a component is a release or content"
    try:
        async with asyncio.timeout(session.settings.check_seconds):
            return in_sync(component, await component.content.plan(session.reach(component))), None
    except TimeoutError:
        why, fix = f"no answer within {session.settings.check_seconds:g} s", ""
    except CarbonError as error:
        why, fix = error.told, error.fix
    return CheckResult("in_sync", False, f"can't be compared: {why}", now(), fix=fix), None
