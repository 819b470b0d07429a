"""The health sweep: every check of every component that is deployed, all at once, each within its deadline."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable

from carbon_platform.checks.run import now
from carbon_platform.errors import Unreachable, foreseen
from carbon_platform.materialization.verify import verify
from carbon_platform.records import CheckResult, Record
from carbon_platform.release.lease import live_holder
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component, Platform

_AT_ONCE = 8
"""Components at a time: two cores are soon busy with clients of a dozen products."""


@dataclasses.dataclass(frozen=True)
class Swept:
    """What the sweep found of one component."""

    component: str
    checks: tuple[CheckResult, ...] = ()
    unknown: str = ""
    """Why nothing is known of it now; empty when the checks tell."""

    @property
    def healthy(self) -> bool:
        """True when every check passed."""
        return not self.unknown and not any(check.failed for check in self.checks)


async def sweep(
    platform: Platform,
    keys: Iterable[str],
    session: Session,
    settle: float,
    *,
    asked: bool = False,
    tell: Callable[[Swept], None] = lambda _: None,
) -> list[Swept]:
    """What each component's checks say now, in the platform's order. Raises nothing but cancellation.

    A check that fails is tried again for `settle` seconds. What was never verified, or is being worked on, or can't
    be reached because the API server is away, is unknown: neither healthy nor broken. `asked`: a person wants to know
    now, so also what was never verified and what is being worked on is looked at. `tell` hears of each
    once it is known.
    """
    chosen, limit = set(keys), asyncio.Semaphore(_AT_ONCE)
    records = session.records.all()

    async def one(component: Component) -> Swept:
        async with limit:
            swept = await _one(component, records.get(component.key, Record(component.key)), session, settle, asked)
            tell(swept)
            return swept

    return list(await asyncio.gather(*(one(platform.components[key]) for key in platform.order if key in chosen)))


async def _one(component: Component, record: Record, session: Session, settle: float, asked: bool) -> Swept:
    if not record.verified_at and not asked:
        return Swept(component.key, unknown="it was never verified")
    try:
        holder = await live_holder(session.api, component.namespace, component.release_name)
        if holder and not asked:
            return Swept(component.key, unknown=f"{holder} is at work on it")
        began = now()
        checks = await verify(component, session, settle)
        # A fault that was seen may be healed by now, and proven so, while this component's other checks still ran.
        if not asked and any(c.failed for c in checks) and session.records.get(component.key).verified_at > began:
            return Swept(component.key, unknown="it was verified in the meantime")
    except Unreachable as error:
        return Swept(component.key, unknown=error.summary)
    except Exception as error:  # a crash here is a finding about one component, never the end of the sweep
        told = foreseen(error, "the look at it crashed")
        return Swept(component.key, (CheckResult("ready", False, told.told, now(), fix=told.fix),))
    return Swept(component.key, tuple(checks))
