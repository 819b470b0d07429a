"""What needs something that broke waits, is proven anew when that is healed, and healed only if it is still broken."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from carbon_platform.checks import service
from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.sweep import sweep
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.session import Session
from tests.cluster.healing import Healing, healing, live
from tests.cluster.platform import Platform

RESTARTED = "kubectl.kubernetes.io/restartedAt"


class Client(Check):
    """The component's pods are connected to `base`: each since it was first seen; with `reconnects`, since now."""

    reconnects: bool = True
    connected: ClassVar[dict[str, str]] = {}
    """The UID of the base that a pod is connected to, by the pod's."""

    async def run(self, reach: Reach) -> Passed:
        base = await reach.get("apps/v1", "Deployment", "base")
        if base is None:
            raise CheckFailed("no connection", "base is not there")
        for pod in await reach.list("v1", "Pod", labels={"app": reach.release}):
            if "deletionTimestamp" not in pod["metadata"]:
                to = self.connected.setdefault(pod["metadata"]["uid"], base["metadata"]["uid"])
                if to != base["metadata"]["uid"] and not self.reconnects:
                    raise CheckFailed("the connection is lost", "base was made anew, and it does not connect again")
        return Passed("connected to base")


@pytest.fixture(autouse=True)
def _checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Client` can be written in a defs.yaml."""
    monkeypatch.setitem(service.CHECKS, "client", Client)


def client(**parameters: Any) -> list[dict[str, Any]]:
    """The checks of what needs base."""
    return [{"type": "service.client", "name": "client", **parameters}]


async def deployed(platform: Platform, session: Session, keys: Sequence[str]) -> None:
    """What is defined, deployed and proven, in this order."""
    for key in keys:
        assert (await platform.up(session, key)).verified


async def break_(platform: Platform, api: Api, loop: Healing, key: str) -> None:
    """Its Deployment is deleted, and that is seen."""
    await api.delete(platform.name("Deployment", key))
    await loop.view(lambda view: key in view.symptoms)


def runs(loop: Healing) -> list[tuple[tuple[str, ...], Remedy]]:
    """What was run, in order."""
    return [(request.components, request.remedy) for request in loop.ran]


def incidents(loop: Healing) -> dict[str, Incident]:
    """The only incident of each component that had one."""
    found = loop.book.incidents()
    assert len({incident.component for incident in found}) == len(found)
    return {incident.component: incident for incident in found}


async def pods(platform: Platform, api: Api, key: str) -> set[str]:
    """The UIDs of a component's pods that are to stay."""
    found: list[Object] = await api.list("v1", "Pod", platform.namespace, labels=f"app={key}")
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen to fail meanwhile"])
async def test_what_needs_what_was_healed_is_proven_anew_in_one_run_and_left_as_it_is(
    platform: Platform, session: Session, api: Api, seen: bool
) -> None:
    platform.define("base")
    platform.define("app", needs=["base"], checks=client())
    platform.define("top", needs=["app"])
    await deployed(platform, session, ["base", "app", "top"])
    before = {key: (await live(platform, api, "Deployment", key))["metadata"] for key in ("app", "top")}
    async with healing(platform, session) as loop:
        await loop.quiet()
        await break_(platform, api, loop, "base")
        if seen:
            (swept,) = await sweep(platform.load(), ["app"], session, 0.0)
            assert [one.detail for one in swept.checks if not one.passed] == ["no connection: base is not there"]
        told = await loop.heal("base")
        assert runs(loop) == [(("base",), Remedy.REAPPLY), (("app", "top"), Remedy.WAKE)]
        assert [attempt.helped for attempt in told.attempts] == [True, True]
        assert (told.outcome, told.waiting) == ("healed", ("app",) if seen else ())
        assert incidents(loop).keys() == {"base"}
        await loop.quiet()
        await loop.nothing(0.5)
    records = session.records.all()
    for key in ("app", "top"):
        assert records[key].verified_at > records["base"].changed_at > records[key].changed_at
        assert all(check.passed for check in records[key].checks)
        after = (await live(platform, api, "Deployment", key))["metadata"]
        assert (after["uid"], after["generation"]) == (before[key]["uid"], before[key]["generation"])


async def test_what_did_not_survive_what_it_needs_is_restarted_and_works_again(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define("base")
    platform.define("app", needs=["base"], checks=client(reconnects=False))
    await deployed(platform, session, ["base", "app"])
    before, old = await live(platform, api, "Deployment"), await pods(platform, api, "app")
    assert RESTARTED not in (before["spec"]["template"]["metadata"].get("annotations") or {})
    async with healing(platform, session) as loop:
        await loop.quiet()
        await break_(platform, api, loop, "base")
        await loop.heal("base")
        told = await loop.heal("app")
        assert runs(loop) == [(("base",), Remedy.REAPPLY), (("app",), Remedy.WAKE), (("app",), Remedy.RESTART)]
        assert [attempt.helped for attempt in incidents(loop)["base"].attempts] == [True, False]
        assert "the connection is lost" in told.cause
        assert {key: incident.outcome for key, incident in incidents(loop).items()} == {
            "base": "healed",
            "app": "healed",
        }
        after, new = await live(platform, api, "Deployment"), await pods(platform, api, "app")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"]["template"]["metadata"]["annotations"][RESTARTED]
        assert (len(new), old & new) == (2, set())
        await loop.quiet()
        await loop.nothing(0.5)
    assert all(check.passed for check in session.records.get("app").checks)
    # The restart is no drift, and nothing is left to be done.
    assert not (await platform.up(session)).applied


async def test_what_is_broken_as_well_waits_for_its_root_cause_and_is_healed_after_it(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define("base")
    platform.define("app", needs=["base"], checks=client())
    await deployed(platform, session, ["base", "app"])
    async with healing(platform, session) as loop:
        await loop.quiet()
        await break_(platform, api, loop, "base")
        await break_(platform, api, loop, "app")
        first = await loop.request()
        assert (first.components, first.remedy) == (("base",), Remedy.REAPPLY)
        assert await api.get(platform.name("Deployment", "app")) is None
        await loop.run(first)
        told = await loop.heal("app")
        # Proving it anew touches nothing, so it could not help.
        assert runs(loop) == [(("base",), Remedy.REAPPLY), (("app",), Remedy.REAPPLY)]
        assert (incidents(loop)["base"].outcome, incidents(loop)["base"].waiting) == ("healed", ("app",))
        assert (told.outcome, told.opened_at >= incidents(loop)["base"].closed_at) == ("healed", True)
        await loop.quiet()
        await loop.nothing(0.5)
    assert session.records.get("app").verified_at > session.records.get("base").changed_at
