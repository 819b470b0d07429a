"""A whole stand-in in memory: its API, a master and workers, which take a step at each request."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from carbon_platform.checks.dolphinscheduler_session import Words
from tests.stand_ins.dolphinscheduler.api import Api, Request, Response
from tests.stand_ins.dolphinscheduler.server import serving
from tests.stand_ins.dolphinscheduler.state import MemoryState
from tests.stand_ins.dolphinscheduler.work import Execute, lead, report, serve, shell
from tests.unit.checks.stub_reach import StubReach

PASSWORD = "dolphinscheduler123"


class World:
    """`thing` chooses the generation; `broken` gets each request first, and may answer it instead."""

    def __init__(
        self,
        thing: str = "workflow",
        execute: Execute | None = None,
        broken: Callable[[Request], Response | None] = lambda request: None,
    ) -> None:
        self.state = MemoryState()
        self.words = Words(thing)
        self.workers = ["10.0.0.1", "10.0.0.2"]
        self.masters = ["10.0.0.3"]
        self.requests: list[Request] = []
        self._api = Api(self.state, thing)
        self._execute = execute or shell({})
        self._broken = broken

    def answer(self, request: Request) -> Response:
        """One request, after a step of every server."""
        self.requests.append(request)
        if not self.state.lost:
            self._step()
        return self._broken(request) or self._api.answer(request)

    def _step(self) -> None:
        with self.state.transaction() as state:
            for host in self.masters:
                report(state, "MASTER", host)
                lead(state)
            for host in self.workers:
                report(state, "WORKER", host)
            report(state, "ALERT_SERVER", "10.0.0.4")
        for host in self.workers:
            serve(self.state, host, self._execute)

    def written(self) -> list[str]:
        """What was asked of it that could change something, but for logins."""
        writes = (r for r in self.requests if r.method != "GET" and r.path != "/login")
        return [f"{request.method} {request.path}" for request in writes]

    def definitions(self) -> dict[str, Any]:
        """The stored definitions by name."""
        return {one["name"]: one for one in self.state.all("definition")}

    @contextlib.contextmanager
    def reached(self, password: str = PASSWORD) -> Iterator[StubReach]:
        """What checks and content get to reach it by."""
        with serving(self.answer) as port:
            yield reach(port, password)


def reach(port: int, password: str = PASSWORD) -> StubReach:
    """A Reach for whatever answers as DolphinScheduler on this port."""
    names = ("dolphinscheduler-api", "dolphinscheduler-api-health")
    return StubReach(ports=dict.fromkeys(names, port), secrets={"password": password})
