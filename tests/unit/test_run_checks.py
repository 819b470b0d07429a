"""Running checks: whatever a check does, it has a result, and in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from carbon_platform.checks.base import Check, Passed
from carbon_platform.checks.run import run_check, run_checks
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed, Unreachable
from tests.unit.checks.stub_reach import StubReach

Body = Callable[[], Awaitable[Passed]]


def check(body: Body, **attributes: Any) -> Check:
    """A check that does what `body` does."""

    class Probe(Check):
        async def run(self, reach: Reach) -> Passed:
            return await body()

    return Probe(type="test.probe", **attributes)


async def passes() -> Passed:
    return Passed("fine", {"rows": 3})


async def hangs() -> Passed:
    await asyncio.Event().wait()
    raise AssertionError("never reached")


async def fails() -> Passed:
    raise CheckFailed("no answer", "the port is closed", "open it")


async def crashes() -> Passed:
    raise ZeroDivisionError("a bug")


async def is_away() -> Passed:
    raise Unreachable("the API server can't be reached")


async def times_out() -> Passed:
    raise TimeoutError("its own")


async def test_a_check_that_passes_says_what_it_saw() -> None:
    result = await run_check("a", check(passes), StubReach(), 5)
    assert (result.passed, result.detail, result.evidence) == (True, "fine", {"rows": 3})
    assert result.at.startswith("20")


@pytest.mark.parametrize(
    ("body", "detail", "fix"),
    [
        (fails, "no answer: the port is closed", "open it"),
        (crashes, "ZeroDivisionError: a bug", ""),
        (is_away, "the API server can't be reached", ""),
        (times_out, "no answer within 5 s", "see whether the component hangs"),
    ],
)
async def test_a_check_that_does_not_pass_has_failed_with_its_reason(body: Body, detail: str, fix: str) -> None:
    result = await run_check("a", check(body), StubReach(), 5)
    assert (result.passed, result.detail, result.fix) == (False, detail, fix)


async def test_a_check_that_hangs_has_failed_at_its_deadline() -> None:
    began = time.monotonic()
    result = await run_check("a", check(hangs), StubReach(), 0.05)
    assert (result.passed, result.detail) == (False, "no answer within 0.05 s")
    assert 0.05 <= result.seconds < 60
    assert time.monotonic() - began < 60


async def test_a_deadline_of_its_own_goes_before_the_common_one() -> None:
    assert (await run_check("a", check(hangs, deadline=0.01), StubReach(), 60)).detail == "no answer within 0.01 s"


async def test_a_check_that_ignores_its_end_still_has_failed() -> None:
    async def stubborn() -> Passed:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("while it tidied up") from None
        raise AssertionError("never reached")

    result = await run_check("a", check(stubborn), StubReach(), 0.01)
    assert (result.passed, result.detail) == (False, "RuntimeError: while it tidied up")


async def test_all_run_at_once_and_are_told_in_their_order() -> None:
    met = asyncio.Barrier(3)

    async def meets() -> Passed:
        await met.wait()  # nobody gets past it unless all three run at the same time
        return Passed("met")

    checks = {"c": check(meets), "a": check(fails), "b": check(meets), "d": check(meets)}
    results = await run_checks(checks, StubReach(), 5)
    assert [(r.name, r.passed) for r in results] == [("c", True), ("a", False), ("b", True), ("d", True)]


async def test_no_checks_have_no_results() -> None:
    assert await run_checks({}, StubReach(), 5) == []


async def test_a_check_that_fails_at_first_may_settle() -> None:
    tries: list[int] = []

    async def settles() -> Passed:
        tries.append(1)
        return await (passes() if len(tries) > 2 else fails())

    (result,) = await run_checks({"a": check(settles)}, StubReach(), 5, settle=30)
    assert (result.passed, len(tries)) == (True, 3)


async def test_a_check_that_goes_on_failing_has_failed_when_it_should_have_settled() -> None:
    began = time.monotonic()
    (result,) = await run_checks({"a": check(crashes)}, StubReach(), 5, settle=0.2)
    assert (result.passed, result.detail) == (False, "ZeroDivisionError: a bug")
    assert time.monotonic() - began < 60


async def test_without_a_time_to_settle_the_first_result_counts() -> None:
    tries: list[int] = []

    async def counts() -> Passed:
        tries.append(1)
        return await fails()

    await run_checks({"a": check(counts)}, StubReach(), 5)
    assert len(tries) == 1


async def test_whoever_stops_the_run_stops_the_checks() -> None:
    running = asyncio.create_task(run_checks({"a": check(hangs)}, StubReach(), 60, settle=60))
    await asyncio.wait({running}, timeout=0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
