"""A container that ends while its component is checked: what the checks said meanwhile is not the last word."""

import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.release import materialize_release
from carbon_platform.session import Session
from tests.cluster.platform import Platform

Meanwhile = Callable[[], Awaitable[None]]


class Asked:
    """How often a component was checked. Its check fails so many times, and something happens while it does."""

    def __init__(self, fails: int, meanwhile: Meanwhile) -> None:
        self.times = 0
        self._fails, self._meanwhile = fails, meanwhile

    async def up(self, platform: Platform, session: Session) -> Outcome:
        asked = self

        class Asks(Check):
            async def run(self, reach: Reach) -> Passed:
                asked.times += 1
                if asked.times > asked._fails:
                    return Passed("it answers")
                await asked._meanwhile()
                raise CheckFailed("nobody answers", "no connection", "see the pods")

        component = dataclasses.replace(platform.load().components["app"], checks={"asks": Asks(type="test.asks")})
        return await materialize_release(component, session, Options())


@pytest.fixture
def restarts(platform: Platform, api: Api) -> Meanwhile:
    """One container of the component begins again."""
    seconds = iter(range(60))

    async def restart() -> None:
        pod = (await api.list("v1", "Pod", platform.namespace))[0]
        path = (await api.resource("v1", "Pod")).path(platform.namespace, pod["metadata"]["name"])
        (container,) = pod["status"]["containerStatuses"]
        container["state"] = {"running": {"startedAt": f"2026-01-01T00:00:{next(seconds):02}Z"}}
        await api.request("PUT", f"{path}/status", body=pod)

    return restart


async def nothing() -> None:
    """What it says."""


async def test_what_fails_while_a_container_begins_again_is_checked_again(
    platform: Platform, session: Session, restarts: Meanwhile
) -> None:
    platform.define()
    asked = Asked(1, restarts)
    assert (await asked.up(platform, session)).verified
    assert asked.times == 2


async def test_what_begins_again_both_times_does_not_work(
    platform: Platform, session: Session, restarts: Meanwhile
) -> None:
    platform.define()
    asked = Asked(9, restarts)
    assert not (await asked.up(platform, session)).verified
    assert asked.times == 2


async def test_what_fails_while_all_containers_run_on_does_not_work(platform: Platform, session: Session) -> None:
    platform.define()
    asked = Asked(1, nothing)
    assert not (await asked.up(platform, session)).verified
    assert asked.times == 1
