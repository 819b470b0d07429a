"""Live objects by list and watch: nothing is polled, nothing is missed, and reconnecting is nobody's business."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.errors import Expired
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CarbonError, Unreachable

_HOLD_SECONDS = 280.0
"""A watch is ended by the server after this long, and resumed."""


class Mirror:
    """A local copy of one kind in one namespace, kept current by a watch until closed.

    `changed` fires after every change. After a lost connection it lists again, so it catches up with what it missed;
    when the API server stays away for longer than the client's patience, waiting on it raises Unreachable.
    """

    def __init__(self, api: Api, api_version: str, kind: str, namespace: str | None) -> None:
        self._api, self._api_version, self._kind, self._namespace = api, api_version, kind, namespace
        self._objects: dict[tuple[str, str], Object] = {}
        self._version = ""
        self.failure: CarbonError | None = None
        self.synced = asyncio.Event()
        self._listeners: set[Callable[[], None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"watch {kind} {namespace or '*'}")

    def objects(self) -> Iterable[Object]:
        """What is live now, as far as known."""
        return self._objects.values()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every change; the returned function ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def close(self) -> None:
        """Stop watching."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()

    async def _run(self) -> None:
        try:
            while True:
                await self._list()
                with contextlib.suppress(Expired, Unreachable):
                    while True:
                        await self._follow()
        except CarbonError as error:
            self.failure = error
            self.synced.set()
            self._notify()

    async def _list(self) -> None:
        page = await self._api.list_page(self._api_version, self._kind, self._namespace)
        self._objects = {_key(item): item for item in page["items"]}
        self._version = page["metadata"]["resourceVersion"]
        self.synced.set()
        self._notify()

    async def _follow(self) -> None:
        """One watch from where the last ended. Raises Expired or Unreachable when a new list is needed."""
        resource = await self._api.resource(self._api_version, self._kind)
        params = {
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(_HOLD_SECONDS)),
        }
        async for event in self._api.stream(resource.path(self._namespace), params, _HOLD_SECONDS):
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                raise Expired(f"watch of {self._kind} ended", str(obj.get("message")))
            self._version = obj["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            obj.setdefault("apiVersion", self._api_version)
            obj.setdefault("kind", self._kind)
            if kind == "DELETED":
                self._objects.pop(_key(obj), None)
            else:
                self._objects[_key(obj)] = obj
            self._notify()


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Mirrors:
    """Mirrors shared by all who wait in this process: one watch per kind and namespace, however many want it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: dict[tuple[str, str, str | None], tuple[Mirror, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, api_version: str, kind: str, namespace: str | None) -> AsyncIterator[Mirror]:
        """The mirror of a kind, listed. It is closed when its last user leaves."""
        key = (api_version, kind, namespace)
        mirror, users = self._open.get(key) or (Mirror(self._api, *key), 0)
        self._open[key] = (mirror, users + 1)
        try:
            await mirror.synced.wait()
            if mirror.failure:
                raise mirror.failure
            yield mirror
        finally:
            mirror, users = self._open[key]
            if users == 1:
                del self._open[key]
                await mirror.close()
            else:
                self._open[key] = (mirror, users - 1)


async def wait_until(mirrors: Iterable[Mirror], done: Callable[[], bool], again: float | None = None) -> None:
    """Return as soon as `done()`; looked at after every change of the mirrors, and every `again` seconds if given.

    Raises what broke a mirror. Has no deadline of its own: wrap it in `asyncio.timeout`.
    """
    watched = list(mirrors)
    wake = asyncio.Event()
    unsubscribe = [mirror.subscribe(wake.set) for mirror in watched]
    try:
        while True:
            wake.clear()
            for mirror in watched:
                if mirror.failure:
                    raise mirror.failure
            if done():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await wake.wait()
    finally:
        for end in unsubscribe:
            end()
