"""A bad connection to the API server: requests that never arrive, answers that get lost, a server that restarts."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from carbon_platform.cluster import watch
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.watch import Mirror, wait_until
from carbon_platform.errors import Unreachable
from carbon_platform.release.prepare import prepare
from carbon_platform.session import Session
from tests.cluster.platform import Platform


class Bad(httpx2.AsyncBaseTransport):
    """Fails the first attempt of every different request: before it is sent, or after it was carried out."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, lost: bool) -> None:
        self._inner, self._lost = inner, lost
        self.failed: set[tuple[str, str]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = (request.method, request.url.path)
        first = attempt not in self.failed and "watch" not in request.url.params
        self.failed.add(attempt)
        if first and not self._lost:
            raise httpx2.ConnectError("refused", request=request)
        response = await self._inner.handle_async_request(request)
        if first:
            await response.aread()
            raise httpx2.ReadError("reset", request=request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextlib.contextmanager
def bad_connection(api: Api, *, lost: bool) -> Iterator[Bad]:
    good = api._http._transport
    bad = Bad(good, lost=lost)
    api._http._transport = bad
    try:
        yield bad
    finally:
        api._http._transport = good


@pytest.mark.parametrize("lost", [False, True], ids=["never sent", "answer lost"])
async def test_a_deployment_survives_one_failure_of_every_request(
    platform: Platform, session: Session, lost: bool
) -> None:
    platform.define(secrets=[{"name": "login", "keys": {"password": {"generate": 16}}}])
    with bad_connection(session.api, lost=lost) as bad:
        outcome = await platform.up(session)
    assert (outcome.verified, outcome.revision) == (True, 1)
    assert {"GET", "POST", "DELETE"} <= {method for method, _ in bad.failed}


async def test_what_may_have_been_done_is_not_done_twice(platform: Platform, api: Api) -> None:
    name = platform.name("ConfigMap", "once")
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "once", "namespace": platform.namespace}}
    with bad_connection(api, lost=True), pytest.raises(Unreachable):
        await api.create(body)
    assert await api.get(name) is not None


async def test_many_that_make_the_same_secret_agree_on_its_value(platform: Platform, session: Session) -> None:
    platform.define(secrets=[{"name": "login", "keys": {f"k{i}": {"generate": 16} for i in range(3)}}])
    component = platform.load().components["app"]
    made = await asyncio.gather(*(prepare(component, session.api) for _ in range(8)))
    assert sum(f"Namespace {platform.namespace}" in one for one in made) == 1
    assert sum(len(one) for one in made) == 2
    live = await session.api.get(platform.name("Secret", "login"))
    assert live is not None
    assert set(live["data"]) == {"k0", "k1", "k2"}


def config_map(platform: Platform, name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": platform.namespace}}


def names(mirror: Mirror) -> set[str]:
    return {obj["metadata"]["name"] for obj in mirror.objects()} - {"kube-root-ca.crt"}


async def seen(mirror: Mirror, wanted: set[str]) -> None:
    async with asyncio.timeout(120):
        await wait_until([mirror], lambda: names(mirror) == wanted)


@pytest.fixture
async def place(platform: Platform, api: Api) -> str:
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}})
    return platform.namespace


async def test_a_mirror_follows_what_is_made_changed_and_deleted(platform: Platform, api: Api, place: str) -> None:
    await api.create(config_map(platform, "a"))
    mirror = Mirror(api, "v1", "ConfigMap", place)
    try:
        await seen(mirror, {"a"})
        await api.create(config_map(platform, "b"))
        await seen(mirror, {"a", "b"})
        await api.patch(platform.name("ConfigMap", "b"), {"data": {"k": "v"}})
        await wait_until([mirror], lambda: any(o.get("data") == {"k": "v"} for o in mirror.objects()))
        await api.delete(platform.name("ConfigMap", "a"))
        await seen(mirror, {"b"})
    finally:
        await mirror.close()


async def test_a_mirror_survives_a_restart_of_the_api_server_and_misses_nothing(
    platform: Platform, api: Api, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_HOLD_SECONDS", 1.0)
    mirrors = [Mirror(api, "v1", "ConfigMap", place), Mirror(api, "v1", "Pod", None)]
    try:
        await seen(mirrors[0], set())
        os.kill(platform.server(), signal.SIGKILL)  # its supervisor starts it again
        await api.apply(config_map(platform, "after"))  # as soon as it is back
        await seen(mirrors[0], {"after"})
        assert [mirror.failure for mirror in mirrors] == [None, None]
    finally:
        for mirror in mirrors:
            await mirror.close()


async def test_a_mirror_that_comes_too_late_to_go_on_lists_again(
    platform: Platform, api: Api, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create(config_map(platform, "before"))
    path = f"/api/v1/namespaces/{place}/configmaps"
    told = await anext(api.stream(path, {"watch": "1", "resourceVersion": "1"}, 5))
    assert (told["type"], told["object"]["code"]) == ("ERROR", 410)

    lists: list[str] = []

    async def long_ago_at_first(*wanted: Any) -> dict[str, Any]:
        page = await list_page(*wanted) if lists else {"items": [], "metadata": {"resourceVersion": "1"}}
        lists.append(page["metadata"]["resourceVersion"])
        return page

    list_page = api.list_page
    monkeypatch.setattr(api, "list_page", long_ago_at_first)
    mirror = Mirror(api, "v1", "ConfigMap", place)
    try:
        await seen(mirror, {"before"})
        await api.create(config_map(platform, "later"))
        await seen(mirror, {"before", "later"})
        assert lists[0] == "1"
        assert len(lists) == 2
    finally:
        await mirror.close()


async def test_a_mirror_of_what_does_not_answer_ends_with_the_reason(platform: Platform) -> None:
    async def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    async with platform.api() as impatient:
        impatient.patience = 0.2
        impatient._http._transport = httpx2.MockTransport(refuse)
        mirror = Mirror(impatient, "v1", "ConfigMap", None)
        async with asyncio.timeout(120):
            await mirror.synced.wait()
        assert isinstance(mirror.failure, Unreachable)
        with pytest.raises(Unreachable):
            await wait_until([mirror], lambda: False)
        await mirror.close()
