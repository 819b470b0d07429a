"""Running a component's checks now, without deploying anything."""

import asyncio
import dataclasses

from carbon_platform.checks.run import now, run_checks
from carbon_platform.errors import CarbonError
from carbon_platform.materialization.content import in_sync
from carbon_platform.materialization.session import Session
from carbon_platform.records import CheckResult
from carbon_platform.release.plan import plan
from carbon_platform.release.render import render
from carbon_platform.spec.platform import Component


async def verify(component: Component, session: Session) -> list[CheckResult]:
    """The result of every check of the component, and a record of them. Raises Unreachable when nobody answers.

    A pass counts as a verification only of what is deployed: a record of another definition stays unverified.
    """
    deadline = session.settings.check_seconds
    own = _ready(component, session) if component.release else _content(component, session)
    first, results = await asyncio.gather(own, run_checks(component.checks, session.reach(component), deadline))
    checks = (first, *results)
    record = session.records.get(component.key)
    if all(check.passed for check in checks) and record.digest == component.digest:
        record = dataclasses.replace(
            record, verified_at=now(), checks_digest=component.checks_digest, failure="", blocked=False
        )
    session.records.put(dataclasses.replace(record, checks=checks))
    return list(checks)


async def _ready(component: Component, session: Session) -> CheckResult:
    desired = await render(component, session.helm, session.api, session.settings.cache)
    planned = await plan(component, desired, session.api)
    if planned.revision is None:
        return CheckResult("ready", False, "it is not installed", now(), fix=f"carbon up {component.key}")
    missing = [str(change.object) for change in planned.changes if change.live is None]
    wrong = [*(f"{name} is missing" for name in missing), *planned.unready]
    detail = "; ".join(wrong) or f"{len(desired.objects)} objects ready"
    return CheckResult("ready", not wrong, detail, now(), fix=f"carbon up {component.key}" if wrong else "")


async def _content(component: Component, session: Session) -> CheckResult:
    assert component.content is not None, "a component is a release or content"
    try:
        async with asyncio.timeout(session.settings.check_seconds):
            return in_sync(await component.content.plan(session.reach(component)))
    except (CarbonError, TimeoutError) as error:
        return CheckResult("in_sync", False, f"can't be compared: {error}", now())
