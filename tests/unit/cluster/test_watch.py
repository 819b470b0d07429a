"""Mirrors of live objects, on an API server that says what a test wants and when."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from carbon_platform.cluster import watch
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, Resource
from carbon_platform.cluster.watch import Mirror, Mirrors, wait_until


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

    async def list_page(self, api_version: str, kind: str, namespace: str | None, labels: str) -> dict[str, Any]:
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
