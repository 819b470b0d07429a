"""What a component's checks say, and not what the way to them does: it leads through the API server."""

import time

from carbon_platform.checks.run import run_checks
from carbon_platform.errors import Unreachable
from carbon_platform.materialization.session import Session
from carbon_platform.records import CheckResult
from carbon_platform.spec.platform import Component

_TIMES = 3


async def checked(component: Component, session: Session, settle: float) -> list[CheckResult]:
    """The result of every functional check. One that fails is tried again for `settle` seconds.

    A failure while the API server was away says nothing about the component: when it is back, all are run again.
    Raises Unreachable when it stays away for longer than the client's patience, or goes away each time.
    """
    for _ in range(_TIMES):
        began = time.monotonic()
        results = await run_checks(component.checks, session.reach(component), session.settings.check_seconds, settle)
        if all(result.passed for result in results) or not await session.api.was_away(began):
            return results
    raise Unreachable(
        f"{component.key} can't be checked: the API server goes away each time",
        f"it did {_TIMES} times",
        "see whether it is restarted again and again",
    )
