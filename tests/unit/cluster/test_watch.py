"""Mirrors of live objects, on an API server that says what a test wants and when."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster import watch
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, Resource
from carbon_platform.cluster.watch import Mirror, Mirrors, wait_until
from carbon_platform.errors import CarbonError, Unreachable


def pod(name: str, version: int) -> Object:
    metadata = {"namespace": "here", "name": name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


class FakeApi:
    """One list, and then the events that a test puts in."""

    def __init__(self, *live: Object, version: int) -> None:
        self.live, self.version = live, version
        self.events: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self.watched: list[str] = []
        self.following = 0
        self.patience = 0.0
        self.broken: Exception | None = None

    async def list_page(self, api_version: str, kind: str, namespace: str | None, labels: str) -> dict[str, Any]:
        if self.broken:
            raise self.broken
        return {"items": list(self.live), "metadata": {"resourceVersion": str(self.version)}}

    async def resource(self, api_version: str, kind: str) -> Resource:
        return BUILT_IN[(api_version, kind)]

    async def stream(self, path: str, params: Mapping[str, str], seconds: float) -> AsyncIterator[dict[str, Any]]:
        self.watched.append(path)
        self.following += 1
        try:
            while True:
                kind, obj = await self.events.get()
                yield {"type": kind, "object": obj}
        finally:
            await asyncio.sleep(0)  # a connection takes a moment to be closed
            self.following -= 1


def versions(mirror: Mirror) -> dict[str, str]:
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in mirror.objects()}


async def until(mirror: Mirror, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(5):
        await wait_until([mirror], lambda: versions(mirror) == wanted)


async def test_what_was_read_meanwhile_is_not_taken_back_by_a_watch_that_is_behind() -> None:
    api = FakeApi(pod("a", 3), version=5)
    mirror = Mirror(api, "v1", "Pod", "here")  # type: ignore[arg-type] - the fake
    await until(mirror, {"a": "3"})
    mirror.learn(pod("a", 9))
    assert versions(mirror) == {"a": "9"}
    await api.events.put(("MODIFIED", pod("a", 7)))
    await api.events.put(("ADDED", pod("b", 8)))
    await until(mirror, {"a": "9", "b": "8"})
    await api.events.put(("MODIFIED", pod("a", 12)))
    await until(mirror, {"a": "12", "b": "8"})
    await mirror.close()


async def test_what_the_watch_knows_better_is_not_learned() -> None:
    api = FakeApi(version=5)
    mirror = Mirror(api, "v1", "Pod", "here")  # type: ignore[arg-type] - the fake
    await mirror.synced.wait()
    await api.events.put(("ADDED", pod("a", 6)))
    await api.events.put(("DELETED", pod("a", 8)))
    await api.events.put(("ADDED", pod("b", 9)))
    await until(mirror, {"b": "9"})
    mirror.learn(pod("a", 6))  # read before it was deleted
    assert versions(mirror) == {"b": "9"}
    await mirror.close()


async def test_one_after_the_other_shares_a_watch() -> None:
    api = FakeApi(version=5)
    mirrors = Mirrors(api)  # type: ignore[arg-type] - the fake
    for _ in range(3):
        async with mirrors.of("v1", "Pod", "here") as mirror:
            await api.events.put(("ADDED", pod("a", 6)))
            await until(mirror, {"a": "6"})
    assert api.watched == ["/api/v1/namespaces/here/pods"]
    await mirrors.close()
    assert api.following == 0


async def test_only_so_many_watches_are_kept_that_nobody_uses() -> None:
    api = FakeApi(version=5)
    mirrors = Mirrors(api)  # type: ignore[arg-type] - the fake
    async with mirrors.of("v1", "Pod", "in-use") as used:
        for number in range(watch._KEPT + 10):
            async with mirrors.of("v1", "Pod", f"n{number}") as mirror:
                await api.events.put(("ADDED", pod("a", 6)))
                async with asyncio.timeout(5):
                    await wait_until([mirror, used], lambda: bool(versions(mirror) or versions(used)))
        assert len(mirrors._open) == watch._KEPT + 1
        assert used in mirrors._open.values()
    await mirrors.close()
    assert api.following == 0


USERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 6), st.booleans()), max_size=25)
"""Which mirror somebody wants, after how many turns of the loop, for how many, and whether he is interrupted."""


@given(USERS)
def test_however_many_come_and_go_nobody_has_a_mirror_that_is_closed(
    users: list[tuple[int, int, int, bool]],
) -> None:
    async def use(mirrors: Mirrors, which: int, after: int, turns: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        async with mirrors.of("v1", "Pod", f"n{which}") as mirror:
            for _ in range(turns):
                assert not mirror.closed
                await asyncio.sleep(0)
            assert not mirror.closed

    async def hammer() -> None:
        api = FakeApi(version=5)
        mirrors = Mirrors(api)  # type: ignore[arg-type] - the fake
        tasks = [asyncio.create_task(use(mirrors, which, after, turns)) for which, after, turns, _ in users]
        for turn in range(4):
            await asyncio.sleep(0)
            for task, (_, after, _, interrupted) in zip(tasks, users, strict=True):
                if interrupted and after == turn:
                    task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, BaseException) and not isinstance(found, asyncio.CancelledError):
                raise found
        assert len(mirrors._open) <= 2
        await mirrors.close()
        assert api.following == 0
        assert len(asyncio.all_tasks()) == 1, "and nothing is left watching"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "_KEPT", 2)
        asyncio.run(hammer())


async def test_a_list_that_does_not_come_in_time_is_an_api_server_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(FakeApi):
        async def list_page(self, api_version: str, kind: str, namespace: str | None, labels: str) -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(watch, "_LIST_SECONDS", 0.01)
    mirrors = Mirrors(Silent(version=5))  # type: ignore[arg-type] - the fake
    with pytest.raises(Unreachable, match="Pods in here can't be watched"):
        async with mirrors.of("v1", "Pod", "here"):
            raise AssertionError
    await mirrors.close()


async def test_a_watch_that_breaks_for_no_foreseen_reason_tells_whoever_waits_on_it() -> None:
    api = FakeApi(version=5)
    api.broken = KeyError("items")
    mirrors = Mirrors(api)  # type: ignore[arg-type] - the fake
    with pytest.raises(CarbonError, match="watch of Pods broke"):
        async with mirrors.of("v1", "Pod", "here"):
            raise AssertionError
    api.broken = None
    async with asyncio.timeout(5), mirrors.of("v1", "Pod", "here") as again:
        await api.events.put(("ADDED", {"no": "metadata"}))
        with pytest.raises(CarbonError, match="KeyError"):
            await wait_until([again], lambda: False)
    await mirrors.close()


async def test_closing_a_mirror_does_not_swallow_that_its_closer_is_interrupted() -> None:
    api = FakeApi(version=5)
    mirror = Mirror(api, "v1", "Pod", "here")  # type: ignore[arg-type] - the fake
    await mirror.synced.wait()
    closing = asyncio.create_task(mirror.close())
    await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    assert closing.cancelled()
    assert mirror.closed
