"""The healing loop in a test's own process: what the sensor and its runs do, without Dagster."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CarbonError
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import Book, book_of
from carbon_platform.healing.loop import Healer, Request, Step
from carbon_platform.healing.result import Result, of_error, of_outcome
from carbon_platform.healing.view import View
from carbon_platform.healing.watcher import Watcher
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.lease import this_process
from carbon_platform.session import Session
from carbon_platform.spec import graph
from tests.cluster.platform import Platform

_LOOK_AGAIN = 0.05


async def live(platform: Platform, api: Api, kind: str, name: str = "app") -> Object:
    """An object of the test's namespace, which must be there."""
    found = await api.get(platform.name(kind, name))
    assert found is not None, f"{kind} {name} is not there"
    return found


class Healing:
    """A watcher and a healer of one platform; runs happen when the test says so."""

    def __init__(self, platform: Platform, session: Session, api_seconds: float) -> None:
        settings = platform.settings(api_seconds=api_seconds)
        self._platform, self._session = platform, session
        self.watcher = Watcher(settings)
        self.healer = Healer(settings, self.watcher)
        self.book: Book = book_of(settings, session.cluster_id)
        self.ran: list[Request] = []

    async def view(self, wanted: Callable[[View], bool], seconds: float = 120) -> View:
        """What is seen, as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(self.watcher.view()):
            assert time.monotonic() < deadline, f"still {self.watcher.view()}"
            await asyncio.sleep(_LOOK_AGAIN)
        return self.watcher.view()

    async def quiet(self) -> View:
        """The cluster is seen, and nothing of this platform is wrong or worked on."""
        return await self.view(lambda view: not (view.unreachable or view.symptoms or view.busy))

    def step(self) -> Step:
        """One look at everything, now."""
        return self.healer.step(self.watcher.view())

    async def request(self, seconds: float = 120) -> Request:
        """The next run that is asked for; fails when more than one is."""
        deadline = time.monotonic() + seconds
        while not (requests := self.step().requests):
            assert time.monotonic() < deadline, f"nothing was asked for; {self.watcher.view()}, {self.book.incidents()}"
            await asyncio.sleep(_LOOK_AGAIN)
        (request,) = requests
        return request

    async def run(self, request: Request) -> Outcome | CarbonError:
        """The run that a request asks for, as Dagster would run it: what needs a component that failed is left out.

        What became of the first that failed, or of the last one when none did.
        """
        self.ran.append(request)
        self.book.started(request.incident, request.number, str(this_process()), "run", time.time())
        needs = self._platform.load().needs
        failed: dict[str, Outcome | CarbonError] = {}
        result = Result(False)
        try:
            for key in request.components:
                if failed.keys().isdisjoint(graph.closure(needs, [key])):
                    outcome = await self._materialized(key, request.remedy)
                    ended = of_error(outcome) if isinstance(outcome, CarbonError) else of_outcome(outcome)
                    result = result if failed else ended
                    if not ended.helped:
                        failed[key] = outcome
        finally:
            self.book.ended(request.incident, request.number, result, time.time())
        return next(iter(failed.values()), outcome)

    async def _materialized(self, key: str, remedy: Remedy) -> Outcome | CarbonError:
        try:
            return await self._platform.up(self._session, key, remedy=remedy)
        except CarbonError as error:
            return error

    async def heal(self, key: str = "app", seconds: float = 180) -> Incident:
        """Run whatever is asked for until the incident of a component is over; how it ended."""
        deadline = time.monotonic() + seconds
        while True:
            for request in self.step().requests:
                await self.run(request)
            mine = [incident for incident in self.book.incidents() if incident.component == key]
            if mine and mine[0].closed_at is not None:
                return mine[0]
            assert time.monotonic() < deadline, f"not healed: {mine}, {self.watcher.view()}"
            await asyncio.sleep(_LOOK_AGAIN)

    async def nothing(self, seconds: float = 3.0) -> None:
        """No run is asked for, for so long."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert self.step().requests == ()
            await asyncio.sleep(_LOOK_AGAIN)


@contextlib.asynccontextmanager
async def healing(platform: Platform, session: Session, api_seconds: float = 30) -> AsyncIterator[Healing]:
    """The loop, watching; what it has seen so far is quiet."""
    made = Healing(platform, session, api_seconds)
    # In the test's own loop, not in a thread that would outlive the test.
    watching = asyncio.create_task(made.watcher._run())
    try:
        await made.view(lambda view: not view.unreachable)
        yield made
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
