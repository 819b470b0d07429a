"""Running checks: all at once, each within its deadline; a crash in one is a failed check, never a crash of the run."""

import asyncio
import datetime
import time
from collections.abc import Mapping

import tenacity

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CarbonError
from carbon_platform.records import CheckResult


def now() -> str:
    """The time as records write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


async def run_checks(
    checks: Mapping[str, Check], reach: Reach, deadline: float, settle: float = 0.0
) -> list[CheckResult]:
    """The result of every check, in their order. Raises nothing but cancellation.

    A check that fails is tried again for `settle` seconds: what has just started, or has just lost a connection to
    what was restarted below it, may need a moment. With 0 the first result counts.
    """

    async def settled(name: str, check: Check) -> CheckResult:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(lambda result: not result.passed),
            stop=tenacity.stop_after_delay(settle),
            wait=tenacity.wait_exponential(multiplier=0.5, max=5),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        result: CheckResult = await retrying(run_check, name, check, reach, deadline)
        return result

    return list(await asyncio.gather(*(settled(name, check) for name, check in checks.items())))


async def run_check(name: str, check: Check, reach: Reach, deadline: float) -> CheckResult:
    """The result of one check. `deadline` (seconds) holds unless the check has its own."""
    started, limit = time.monotonic(), check.deadline or deadline
    try:
        async with asyncio.timeout(limit):
            passed = await check.run(reach)
    except TimeoutError:
        return _failed(name, started, f"no answer within {limit:g} s", "see whether the component hangs")
    except CarbonError as error:
        detail = error.told
        return _failed(name, started, detail, error.fix)
    except Exception as error:  # a check is code about a foreign system: whatever it throws means "not proven"
        return _failed(name, started, f"{type(error).__name__}: {error}", "")
    return _passed(name, started, passed)


def _passed(name: str, started: float, passed: Passed) -> CheckResult:
    return CheckResult(name, True, passed.detail, now(), time.monotonic() - started, "", dict(passed.evidence))


def _failed(name: str, started: float, detail: str, fix: str) -> CheckResult:
    return CheckResult(name, False, detail, now(), time.monotonic() - started, fix)
