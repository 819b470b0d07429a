"""A cluster that only a clock changes: what is live at each second is told, and nothing is waited for in earnest."""

import contextlib
import datetime
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, Resource
from carbon_platform.cluster.watch import Mirrors
from carbon_platform.errors import CarbonError
from carbon_platform.release.wait import wait_ready
from carbon_platform.spec.rules import NO_RULES, Rules

BEGAN = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
Story = Callable[[float], Iterable[Object]]
"""What is live, so many seconds after the beginning."""


def at(seconds: float) -> str:
    """A time of the API, so many seconds after the beginning."""
    return (BEGAN + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class StubCluster:
    """Stands in for the client and its mirrors; each look at the clock takes a second, up to `stops`."""

    def __init__(self, story: Story, log: str = "", stops: float = 600) -> None:
        self.seconds, self._story, self._log, self._stops = 0.0, story, log, stops
        self.opened = 0
        """How many mirrors were opened."""
        self.news: list[str] = []

    def clock(self) -> datetime.datetime:
        """Another second has passed."""
        self.seconds = min(self.seconds + 1, self._stops)
        return BEGAN + datetime.timedelta(seconds=self.seconds)

    def objects(self, kind: str) -> list[Object]:
        """What is live of a kind now."""
        return [obj for obj in self._story(self.seconds) if obj["kind"] == kind]

    async def find(self, name: ObjectName) -> Object | None:
        """As the client's."""
        return next((o for o in self.objects(name.kind) if o["metadata"]["name"] == name.name), None)

    get = find

    async def list(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        """As the client's."""
        return self.objects(kind)

    async def resource(self, api_version: str, kind: str) -> Resource:
        """As the client's: every kind has a status but those called so."""
        return Resource(api_version, kind, f"{kind.lower()}s", True, reports=not kind.startswith("Silent"))

    async def logs(self, *_: Any, **__: Any) -> str:
        """As the client's."""
        return self._log

    @contextlib.asynccontextmanager
    async def of(self, api_version: str, kind: str, namespace: str | None) -> AsyncIterator["_StubMirror"]:
        """As the mirrors'."""
        self.opened += 1
        yield _StubMirror(self, kind)

    async def wait(self, name: ObjectName, deadline: float = 60, rules: Rules = NO_RULES) -> float:
        """Wait for one object; the second at which it was steady."""
        api, mirrors = cast(Api, self), cast(Mirrors, self)
        await wait_ready([name], api, mirrors, deadline, self.news.append, self.clock, rules=rules)
        return self.seconds


class _StubMirror:
    failure: CarbonError | None = None

    def __init__(self, cluster: StubCluster, kind: str) -> None:
        self._cluster, self._kind = cluster, kind

    def objects(self) -> list[Object]:
        return self._cluster.objects(self._kind)

    def learn(self, obj: Object) -> None:
        pass

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        return lambda: None
