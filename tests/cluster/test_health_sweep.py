"""The health sweep as Dagster runs it: what works passes, what does not fails, each with its reason."""

import asyncio
import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from carbon_platform.checks import service
from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.settings import settings
from tests.cluster.edits import scale
from tests.cluster.platform import Platform
from tests.cluster.sweeps import swept

pytestmark = pytest.mark.usefixtures("own_settings")

WELL = b'{"requests": 254}\n'
NONSENSE = b"<html>\n"
CUT_OFF = b""


class Asks(Check):
    """A server on this machine answers with JSON, sooner or later."""

    port: int

    async def run(self, reach: Reach) -> Passed:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"are you well?\n")
            return Passed("it answers", json.loads(await reader.readline()))
        finally:
            writer.close()


class Server(socketserver.ThreadingTCPServer):
    """Accepts whoever connects, and answers with what `answer` gives; with None it never does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer: Callable[[], bytes | None] = lambda: WELL

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Answering(socketserver.StreamRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        self.rfile.readline()
        answer = self.server.answer()
        if answer is None:
            self.rfile.read()  # until the client has had enough
        else:
            self.wfile.write(answer)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server at work. On exit its connections are over, or else this never returns."""
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Asks` can be written in a defs.yaml."""
    monkeypatch.setitem(service.CHECKS, "asks", Asks)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def asks(server: Server, **parameters: Any) -> list[dict[str, Any]]:
    """The checks of a component that has this server."""
    return [{"type": "service.asks", "name": "asks", "port": server.port, **parameters}]


def set_(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Set Carbon's settings for the sweeps to come."""
    for name, value in values.items():
        monkeypatch.setenv(f"CARBON_{name.upper()}", value)
    settings.cache_clear()


def test_what_hangs_or_answers_nonsense_fails_with_its_reason_and_what_works_passes(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as fine, serving() as hanging, serving() as senseless:
        platform.define("fine", checks=asks(fine, deadline=60))
        platform.define("hangs", checks=asks(hanging))
        platform.define("senseless", checks=asks(senseless, deadline=60))
        platform.define("later", checks=asks(fine))
        for key in ("fine", "hangs", "senseless"):
            assert platform.deploy(key).verified
        before = platform.records()
        hanging.answer = lambda: None
        senseless.answer = lambda: NONSENSE
        set_(monkeypatch, check_seconds="1")
        with dg.DagsterInstance.ephemeral() as instance:
            found = swept("healthy", instance)
    assert {key: (one.passed, one.severity.value, bool(one.blocking)) for key, one in found.items()} == {
        "fine": (True, "ERROR", False),
        "hangs": (False, "ERROR", False),
        "senseless": (False, "ERROR", False),
    }
    told = {key: {name: found[key].metadata[name].value for name in ("checks_passed", "checks")} for key in found}
    assert told == {
        "fine": {"checks_passed": 2, "checks": 2},
        "hangs": {"checks_passed": 1, "checks": 2},
        "senseless": {"checks_passed": 1, "checks": 2},
    }
    assert found["hangs"].metadata["cause"].value == "asks: no answer within 1 s"
    assert found["hangs"].metadata["fix"].value == "see whether the component hangs"
    assert found["hangs"].description == "asks: no answer within 1 s"
    assert found["senseless"].metadata["cause"].value == (
        "asks: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    )
    assert "cause" not in found["fine"].metadata
    after = {key: json.loads(body) for key, body in platform.records().items()}
    assert {key for key in after if after[key]["verified_at"] > json.loads(before[key])["verified_at"]} == {"fine"}
    assert {key: [one["name"] for one in after[key]["checks"] if not one["passed"]] for key in after} == {
        "fine": [],
        "hangs": ["asks"],
        "senseless": ["asks"],
    }


@pytest.mark.parametrize("when", ["before it", "in the middle of it"])
def test_an_api_server_that_is_away_leaves_nothing_recorded_and_nothing_fails(
    platform: Platform, server: Server, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """In the middle of it, what is connected to at that moment is cut off: the way there leads through the server."""
    platform.define(checks=asks(server))
    assert platform.deploy().verified
    before = platform.records()
    set_(monkeypatch, api_seconds="1")
    with dg.DagsterInstance.ephemeral() as instance:
        with contextlib.ExitStack() as outage:
            if when == "before it":
                outage.enter_context(platform.server_away())
            else:

                def goes_away() -> bytes:
                    server.answer = lambda: CUT_OFF
                    outage.enter_context(platform.server_away())
                    return CUT_OFF

                server.answer = goes_away
            assert swept("healthy", instance) == {}
        assert platform.records() == before
        server.answer = lambda: WELL
        assert swept("healthy", instance)["app"].passed
    assert platform.records() != before


def test_what_is_scaled_to_nothing_on_purpose_is_off_and_no_error(platform: Platform, server: Server) -> None:
    platform.define(values={"replicas": 1}, checks=asks(server))
    assert platform.deploy().verified

    async def to_nothing() -> None:
        async with platform.api() as api:
            await scale(api, platform.name("Deployment", "app"), 0)

    asyncio.run(to_nothing())
    server.answer = lambda: NONSENSE
    with dg.DagsterInstance.ephemeral() as instance:
        told = swept("healthy", instance)["app"]
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert told.description == "off: scaled to nothing on purpose"
