"""Live objects by list and watch: nothing is polled, nothing is missed, and reconnecting is nobody's business."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.errors import Expired
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CarbonError, Unreachable

_HOLD_SECONDS = 280.0
"""A watch is ended by the server after this long, and resumed."""
_LIST_SECONDS = 30.0
"""A long list may take so long, also for a client of less patience."""
_KEPT = 64
"""Mirrors kept open though nobody uses them: who waits next in a namespace most often needs the same ones."""


class Mirror:
    """A local copy of one kind in one namespace, kept current by a watch until closed.

    `changed` fires after every change. After a lost connection it lists again, so it catches up with what it missed;
    when the API server stays away for longer than the client's patience, waiting on it raises Unreachable.
    """

    def __init__(self, api: Api, api_version: str, kind: str, namespace: str | None, labels: str = "") -> None:
        self._api, self._api_version, self._kind, self._namespace = api, api_version, kind, namespace
        self._labels = labels
        self._objects: dict[tuple[str, str], Object] = {}
        self._version = ""
        self.failure: CarbonError | None = None
        self.synced = asyncio.Event()
        self._listeners: set[Callable[[], None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"watch {kind} {namespace or '*'}")

    def objects(self) -> Iterable[Object]:
        """What is live now, as far as known."""
        return self._objects.values()

    def get(self, namespace: str, name: str) -> Object | None:
        """One live object, as far as known."""
        return self._objects.get((namespace, name))

    def learn(self, obj: Object) -> None:
        """Take in what somebody has read meanwhile: the watch may be a moment behind."""
        if _revision(obj["metadata"]["resourceVersion"]) > _revision(self._version) and not self._knows_better(obj):
            self._objects[_key(obj)] = obj
            self._notify()

    def _knows_better(self, obj: Object) -> bool:
        known = self._objects.get(_key(obj))
        return known is not None and _revision(known["metadata"]["resourceVersion"]) > _revision(
            obj["metadata"]["resourceVersion"]
        )

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every change; the returned function ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    @property
    def closed(self) -> bool:
        """True when it is not kept current any more."""
        return self._task.done() or self._task.cancelling() > 0

    def stop(self) -> None:
        """Stop watching, without waiting until it has."""
        self._task.cancel()

    async def close(self) -> None:
        """Stop watching."""
        self.stop()
        await asyncio.wait([self._task])

    async def listed(self) -> None:
        """Return when its objects are known. Raises what broke it, and Unreachable when no list comes in time."""
        seconds = max(self._api.patience, _LIST_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                await self.synced.wait()
        except TimeoutError:
            what = f"{self._kind}s{f' in {self._namespace}' if self._namespace else ''}"
            raise Unreachable(
                f"{what} can't be watched",
                f"the API server did not list them within {seconds:g} s",
                "see whether it, and its etcd, are overloaded",
            ) from None
        if self.failure:
            raise self.failure

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
            self._fail(error)
        except Exception as error:  # whoever waits for a change would wait for ever
            told = f"{type(error).__name__}: {error}"
            self._fail(CarbonError(f"the watch of {self._kind}s broke", told, "report it, with the Carbon version"))

    def _fail(self, error: CarbonError) -> None:
        self.failure = error
        self.synced.set()
        self._notify()

    async def _list(self) -> None:
        page = await self._api.list_page(self._api_version, self._kind, self._namespace, self._labels)
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
        } | ({"labelSelector": self._labels} if self._labels else {})
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
            elif not self._knows_better(obj):
                self._objects[_key(obj)] = obj
            self._notify()


def _revision(text: str) -> int:
    """A resource version as a number: the API server counts writes, and a later one is greater."""
    return int(text) if text.isdecimal() else 0


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Mirrors:
    """Mirrors shared by all who wait in this process: one watch per kind and namespace, however many want it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: dict[tuple[str, str, str | None, str], Mirror] = {}
        """In the order of their last use."""
        self._users: Counter[tuple[str, str, str | None, str]] = Counter()

    @contextlib.asynccontextmanager
    async def of(self, api_version: str, kind: str, namespace: str | None, labels: str = "") -> AsyncIterator[Mirror]:
        """The mirror of a kind, listed; `labels` is a selector. Raises what `listed` raises.

        It stays open for whoever wants it next, until there are too many of them; never is one closed that is in use.
        """
        key = (api_version, kind, namespace, labels)
        mirror = self._open.pop(key, None)
        if mirror is None or mirror.failure:
            mirror = Mirror(self._api, *key)
        self._open[key] = mirror
        self._users[key] += 1
        try:
            await mirror.listed()
            yield mirror
        finally:
            self._users[key] -= 1
            await self._close_some()

    async def _close_some(self) -> None:
        """Close those that nobody used for longest, if there are too many of them."""
        idle = [one for one in self._open if not self._users[one]]
        # All are taken away before the first wait: whoever comes meanwhile opens a new one.
        closing = [self._open.pop(one) for one in idle[:-_KEPT]]
        for mirror in closing:
            mirror.stop()
        for mirror in closing:
            await mirror.close()

    async def close(self) -> None:
        """Stop watching anything."""
        while self._open:
            await self._open.popitem()[1].close()


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
