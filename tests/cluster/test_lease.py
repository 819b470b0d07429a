"""One release has one writer at a time: the living are waited for, the dead and the silent are taken over."""

import asyncio
import dataclasses
import datetime
import sys
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.errors import Conflict
from carbon_platform.materialization.progress import Event, listening
from carbon_platform.release.lease import Writer, held, live_holder, process, this_process, told
from carbon_platform.session import Session
from tests.cluster.platform import Platform


@pytest.fixture
async def place(api: Api, namespace: str) -> str:
    """The namespace, there already."""
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return namespace


def lease(platform: Platform, holder: Writer | str, *, age: float = 0, lasts: int = 30) -> dict[str, Any]:
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age)
    spec = {"holderIdentity": str(holder), "leaseDurationSeconds": lasts, "leaseTransitions": 3}
    name = platform.name("Lease", "carbon-app")
    return {
        "apiVersion": name.api_version,
        "kind": name.kind,
        "metadata": {"name": name.name, "namespace": name.namespace},
        "spec": spec | {"renewTime": then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
    }


def nobody_told(text: str) -> None:
    raise AssertionError(f"had to wait: {text}")


ELSEWHERE = dataclasses.replace(this_process(), host="elsewhere")


async def test_a_free_lease_is_held_and_given_back(platform: Platform, api: Api, place: str) -> None:
    async with held(api, place, "app", 5, nobody_told) as claim:
        assert (claim.taken_from, claim.waited) == (None, False)
        assert await live_holder(api, place, "app") == told(str(this_process()))
    assert await live_holder(api, place, "app") is None
    assert await api.get(platform.name("Lease", "carbon-app")) is None


async def test_it_is_given_back_after_a_failure_too(platform: Platform, api: Api, place: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with held(api, place, "app", 5, nobody_told):
            raise ZeroDivisionError
    assert await api.get(platform.name("Lease", "carbon-app")) is None


async def test_the_lease_of_a_writer_that_died_here_is_taken_over_at_once(
    platform: Platform, api: Api, place: str
) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "input()", stdin=asyncio.subprocess.PIPE)
    writer = process(child.pid)
    await api.create(lease(platform, writer, lasts=3600))
    assert await live_holder(api, place, "app") == told(str(writer))
    child.kill()
    await child.wait()
    assert await live_holder(api, place, "app") is None
    async with held(api, place, "app", 5, nobody_told) as claim:
        assert (claim.taken_from, claim.waited) == (str(writer), True)
        live = await api.get(platform.name("Lease", "carbon-app"))
        assert live is not None
        assert live["spec"]["leaseTransitions"] == 4


async def test_a_writer_elsewhere_that_has_been_silent_too_long_is_taken_over(
    platform: Platform, api: Api, place: str
) -> None:
    await api.create(lease(platform, ELSEWHERE, age=31))
    async with held(api, place, "app", 5, nobody_told) as claim:
        assert claim.taken_from == str(ELSEWHERE)


@pytest.mark.parametrize("holder", [ELSEWHERE, "some-other-program"])
async def test_a_living_writer_is_waited_for_and_then_named(
    platform: Platform, api: Api, place: str, holder: Writer | str
) -> None:
    await api.create(lease(platform, holder))
    waited: list[str] = []
    with pytest.raises(Conflict) as caught:
        async with held(api, place, "app", 0, waited.append):
            raise AssertionError("never held")
    named = told(str(holder))
    assert caught.value.cause == f"its lease is held by {named}"
    assert waited == [f"waits for {named}, which is at work on it"]
    live = await api.get(platform.name("Lease", "carbon-app"))
    assert live is not None
    assert live["spec"]["holderIdentity"] == str(holder)


async def test_who_waited_gets_it_when_the_holder_is_done(platform: Platform, api: Api, place: str) -> None:
    await api.create(lease(platform, ELSEWHERE))
    waiting = asyncio.Event()

    async def hold() -> bool:
        async with held(api, place, "app", 20, lambda _: waiting.set()) as claim:
            return claim.waited and claim.taken_from is None

    waits = asyncio.create_task(hold())
    await waiting.wait()
    await api.delete(platform.name("Lease", "carbon-app"))
    assert await waits


async def test_of_many_at_once_one_holds_it_at_a_time(api: Api, place: str) -> None:
    inside = most = 0

    async def hold() -> None:
        nonlocal inside, most
        async with held(api, place, "app", 30, lambda _: None):
            inside += 1
            most = max(most, inside)
            await api.list("v1", "ConfigMap", place)
            inside -= 1

    # In one process they would all be the same writer: here each is one of its own, on a machine of its own, as on the
    # same one each would see that there is no such process, and take the lease from the dead.
    hosts = iter(range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "carbon_platform.release.lease.this_process",
            lambda: dataclasses.replace(ELSEWHERE, host=f"machine-{next(hosts)}"),
        )
        await asyncio.gather(*(hold() for _ in range(4)))
    assert most == 1


async def test_who_loses_the_lease_is_stopped_and_leaves_it_to_the_other(
    platform: Platform, api: Api, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon_platform.release.lease._RENEW", 0.05)

    async def be_robbed() -> None:
        async with held(api, place, "app", 5, nobody_told):
            live = await api.get(platform.name("Lease", "carbon-app"))
            assert live is not None
            await api.replace(live | {"spec": live["spec"] | {"holderIdentity": str(ELSEWHERE)}})
            await asyncio.Event().wait()

    with pytest.raises(Conflict, match="lost the lease"):
        await be_robbed()
    assert await live_holder(api, place, "app") == told(str(ELSEWHERE))


async def test_what_changed_while_waiting_is_planned_anew(
    platform: Platform, session: Session, api: Api, place: str
) -> None:
    """Whoever had the lease has deployed the same meanwhile: there is nothing left to do."""
    platform.define()
    await platform.up(session)
    platform.define(values={"message": "new"})
    await api.create(lease(platform, ELSEWHERE))
    waiting = asyncio.Event()

    def hear(event: Event) -> None:
        if "waits for" in event.text:
            waiting.set()

    with listening(hear):
        mine = asyncio.create_task(platform.up(session))
        async with asyncio.timeout(120):
            await waiting.wait()
    release = platform.load().components["app"].release
    assert release is not None
    assert await session.helm.upgrade(release, "", "by=another", "by another writer", 60) == 2
    await api.delete(platform.name("Lease", "carbon-app"))
    outcome = await mine
    assert (outcome.revision, outcome.applied, outcome.verified) == (2, False, True)
