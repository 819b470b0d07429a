"""Declared checks of HTTP, against real servers on loopback."""

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.checks.http import HttpSteps
from carbon_platform.checks.step_run import Seen, watching
from carbon_platform.errors import CheckFailed
from carbon_platform.local.pki import Authority
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_reach import StubReach


def declared(**written: Any) -> HttpSteps:
    return HttpSteps.model_validate({"type": "http.steps", "endpoint": "api", **written})


async def outcome(check: HttpSteps, server: Callable[[Request], Answer], **secrets: str) -> Any:
    assert list(check.mistakes(["api"])) == []
    with serving(server) as port:
        return await check.run(StubReach(ports={"api": port}, secrets=secrets))


async def failure(check: HttpSteps, server: Callable[[Request], Answer], **secrets: str) -> CheckFailed:
    with pytest.raises(CheckFailed) as failed:
        await outcome(check, server, **secrets)
    return failed.value


async def test_what_one_step_keeps_the_next_one_asks_with_and_is_recorded() -> None:
    def server(request: Request) -> Answer:
        return (200, {"id": "a/b"}) if request.path == "/new" else (200, {"path": request.path, "n": 3})

    check = declared(
        steps=[
            {"post": "/new", "body": {"n": 1}, "capture": {"made": "answer.json.id"}},
            {
                "get": "/of/${made}",
                "name": "read",
                "expect": ["answer.json.n == 3"],
                "capture": {"path": "answer.json.path"},
            },
        ],
        evidence={"path": "path", "ms": "took.read"},
        detail="made ${made}",
    )
    passed = await outcome(check, server)
    assert passed.detail == "made a/b"
    assert passed.evidence["path"] == "/of/a%2Fb"
    assert passed.evidence["ms"] > 0


async def test_an_expectation_that_is_not_met_tells_its_cause_its_fix_and_what_was_answered() -> None:
    expectation = {"that": "answer.json.up == 3", "cause": "${answer.json.up} of 3 are up", "fix": "start the others"}
    failed = await failure(
        declared(steps=[{"get": "/nodes", "expect": [expectation]}]), lambda request: (200, {"up": 1})
    )
    assert failed.summary == "1 of 3 are up"
    assert failed.cause == 'GET /nodes: HTTP 200 {"up": 1}'
    assert failed.fix == "start the others"


@pytest.mark.parametrize(
    ("status", "listed", "passes"),
    [(200, [], True), (302, [], False), (503, [], False), (401, [401], True), (200, [401, 403], False)],
)
async def test_a_status_is_as_expected_or_fails(status: int, listed: list[int], passes: bool) -> None:
    check = declared(steps=[{"get": "/", "status": listed}])
    if passes:
        await outcome(check, lambda request: (status, None))
    else:
        assert f"HTTP {status}" in (await failure(check, lambda request: (status, None))).summary


async def test_a_refusal_in_the_body_of_a_200_fails_where_it_is_expected_to_be_none() -> None:
    check = declared(steps=[{"get": "/", "expect": ["answer.json.code == 0"]}])
    failed = await failure(check, lambda request: (200, {"code": 10013, "msg": "login please"}))
    assert "login please" in failed.cause


class Raw:
    """A server that sends bytes as they are, and then maybe nothing more."""

    def __init__(self, head: bytes, piece: bytes = b"", pieces: int = 0, *, ends: bool = True) -> None:
        self.head, self.piece, self.pieces, self.ends = head, piece, pieces, ends
        self.sent = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> Any:
        ended = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.head)
                for _ in range(self.pieces):
                    writer.write(self.piece)
                    await writer.drain()
                    self.sent += len(self.piece)
                if not self.ends:
                    await reader.read()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            await ended.wait()


async def raw_failure(check: HttpSteps, server: Raw) -> CheckFailed:
    async with server.serving() as port:
        with pytest.raises(CheckFailed) as failed:
            await check.run(StubReach(ports={"api": port}))
    return failed.value


async def test_an_answer_without_json_is_shown_as_it_is() -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html><h1>Please   log in</h1></html>"
    failed = await raw_failure(declared(steps=[{"get": "/", "expect": ["answer.json.ok"]}]), Raw(page))
    assert failed.cause == "HTTP 200 text/html: Please log in"


async def test_a_redirect_to_a_login_page_is_told_as_such() -> None:
    head = b"HTTP/1.1 302 Found\r\nlocation: /login?next=/\r\ncontent-length: 0\r\n\r\n"
    failed = await raw_failure(declared(steps=[{"get": "/"}]), Raw(head))
    assert (failed.summary, failed.cause) == ("GET /: HTTP 302", "HTTP 302, to /login?next=/")


async def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    server = Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", b"x" * 65536, 1500)
    failed = await raw_failure(declared(steps=[{"get": "/"}]), server)
    assert "more than 1 MiB" in failed.summary
    assert server.sent < 32 << 20


async def test_an_answer_that_never_ends_is_given_up() -> None:
    server = Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", ends=False)
    failed = await raw_failure(declared(steps=[{"get": "/", "timeout": 0.05}]), server)
    assert "no whole answer within 0.05 s" in failed.summary


async def test_nobody_who_listens_is_told() -> None:
    with pytest.raises(CheckFailed, match="GET /: no answer"):
        await declared(steps=[{"get": "/"}]).run(StubReach(ports={"api": 1}))


async def test_a_value_that_the_answer_has_not_fails_at_that_step() -> None:
    check = declared(steps=[{"get": "/", "capture": {"id": "answer.json.id"}}])
    failed = await failure(check, lambda request: (200, {"other": 1}))
    assert "has not what is needed" in failed.summary
    assert '"id"' in failed.cause


async def test_until_asks_again_and_gives_up_in_time() -> None:
    asked = iter(range(100))
    check = declared(
        steps=[{"get": "/", "until": "answer.json >= 3", "within": 30, "every": 0.01, "capture": {"n": "answer.json"}}],
        evidence={"n": "n"},
    )
    assert (await outcome(check, lambda request: (200, next(asked)))).evidence["n"] == 3
    late = declared(
        steps=[
            {
                "get": "/",
                "until": {"that": "answer.json.ok", "cause": "it does not follow", "fix": "see the consumer"},
                "within": 0.05,
                "every": 0.01,
            }
        ]
    )
    failed = await failure(late, lambda request: (200, {"ok": False}))
    assert failed.summary == "it does not follow"
    assert failed.cause.startswith("GET /, for 0.05 s: HTTP 200")
    assert failed.fix == "see the consumer"


SECRETS = {"password": {"secret": "s", "key": "password"}}


async def test_secrets_are_sent_and_never_told() -> None:
    seen: list[str] = []

    def server(request: Request) -> Answer:
        seen.append(request.body.decode())
        if request.path == "/login":
            return 200, {"token": "the-token", "echo": "hunter22"}
        return 200, {"you": "sent hunter22 and the-token"}

    check = declared(
        secrets=SECRETS,
        steps=[
            {
                "post": "/login",
                "form": {"password": "${secret.password}"},
                "capture_secret": {"token": "answer.json.token"},
                "capture": {"echo": "answer.json.echo"},
            },
            {
                "get": "/me",
                "headers": {"authorization": "Bearer ${secret.token}"},
                "capture": {"you": "answer.json.you"},
            },
        ],
        evidence={"you": "you", "echo": "echo"},
        detail="logged in: ${you}",
    )
    told: list[Seen] = []
    with watching(told.append):
        passed = await outcome(check, server, password="hunter22")
    assert seen[0] == "password=hunter22"
    everything = repr((passed, told))
    assert "hunter22" not in everything
    assert "the-token" not in everything
    assert passed.evidence["you"] == "sent *** and ***"
    check = declared(
        secrets=SECRETS, steps=[{"get": "/", "headers": {"x": "${secret.password}"}, "expect": ["answer.json.ok"]}]
    )
    assert "hunter22" not in repr(await failure(check, lambda request: (200, "hunter22 is wrong"), password="hunter22"))


async def test_a_stranger_sends_neither_credentials_nor_cookies() -> None:
    got: list[Any] = []
    connections: list[asyncio.Task[Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                got.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
                writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: session=abc\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    check = declared(
        secrets=SECRETS,
        headers={"x-key": "${secret.password}"},
        basic={"user": "me", "password": "${secret.password}"},
        host="catalog.example",
        steps=[{"get": "/a"}, {"get": "/b"}, {"get": "/c", "anonymous": True}],
    )
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await check.run(StubReach(ports={"api": server.sockets[0].getsockname()[1]}, secrets={"password": "pw"}))
        await asyncio.gather(*connections)
    assert "x-key: pw" in got[0]
    assert "authorization: basic bwu6chc=" in got[0]
    assert "cookie: session=abc" in got[1]
    assert not any(word in got[2] for word in ("x-key", "authorization", "cookie"))
    assert all("host: catalog.example" in one for one in got)


class Store:
    """Keeps what is put, under its path."""

    def __init__(self, *kept: str, broken: str = "") -> None:
        self.kept, self.broken = set(kept), broken

    def __call__(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if request.method == self.broken:
            return 500, {"error": "broken"}
        if request.method == "POST":
            self.kept.add(request.json["name"])
        elif request.method == "DELETE":
            self.kept.discard(name)
        elif request.path == "/all":
            return 200, sorted(self.kept)
        return 200, {"there": name in self.kept}


def probing(*steps: dict[str, Any]) -> HttpSteps:
    return declared(
        probe={},
        steps=[{"post": "/things", "body": {"name": "${probe}"}}, *steps],
        remove=[{"delete": "/things/${probe}"}],
        leftovers={"get": "/all", "capture": {"names": "answer.json"}},
    )


OLD = f"carbon_probe_{int(time.time()) - 4000}_0123abcd"
NEW = f"carbon_probe_{int(time.time())}_0123abcd"


async def test_what_a_probe_made_is_removed_and_so_is_what_a_killed_one_left() -> None:
    store = Store("somebody's", OLD, NEW, "carbon_probe_1_x")
    await outcome(probing({"get": "/things/${probe}", "expect": ["answer.json.there"]}), store)
    assert store.kept == {"somebody's", NEW, "carbon_probe_1_x"}


async def test_a_probe_is_removed_when_a_step_fails_and_that_step_is_told() -> None:
    store = Store()
    failed = await failure(probing({"get": "/things/${probe}", "expect": ["answer.json.none"]}), store)
    assert store.kept == set()
    assert "answer.json.none" in failed.summary


async def test_a_probe_that_stays_fails() -> None:
    failed = await failure(probing(), Store(broken="DELETE"))
    assert failed.summary.startswith("DELETE /things/${probe}: HTTP 500")


async def test_a_check_that_is_cancelled_removes_its_probe() -> None:
    store, asked = Store(), threading.Event()
    loop = asyncio.get_running_loop()
    waiting = asyncio.Event()

    def server(request: Request) -> Answer:
        if request.path == "/slow":
            loop.call_soon_threadsafe(waiting.set)
            asked.wait(10)
        return store(request)

    with serving(server) as port:
        task = asyncio.create_task(probing({"get": "/slow"}).run(StubReach(ports={"api": port})))
        await asyncio.wait([task, asyncio.create_task(waiting.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert len(store.kept) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asked.set()
    assert store.kept == set()


async def test_the_end_is_taken_as_far_as_what_it_speaks_of_is_known() -> None:
    asked: list[str] = []

    def server(request: Request) -> Answer:
        asked.append(f"{request.method} {request.path}")
        return (500 if request.path == "/b" else 200), {"id": "1"}

    check = declared(
        steps=[{"get": "/a", "capture": {"a": "answer.json.id"}}, {"get": "/b", "capture": {"b": "answer.json.id"}}],
        **{"finally": [{"delete": "/of-b/${b}"}, {"delete": "/of-a/${a}"}]},
    )
    await failure(check, server)
    assert asked == ["GET /a", "GET /b", "DELETE /of-a/1"]


@pytest.mark.parametrize(
    ("written", "at", "told"),
    [
        ({"steps": [{"get": "/", "expect": ["answer.status = 200"]}]}, ("steps", 0, "expect", 0), "Syntax error"),
        ({"steps": [{"get": "/${id}"}]}, ("steps", 0, "get"), "undeclared reference to 'id'"),
        (
            {"steps": [{"get": "/", "expect": ["secret.password == ''"]}], "secrets": SECRETS},
            ("steps", 0, "expect", 0),
            "undeclared",
        ),
        (
            {"steps": [{"get": "/"}], "evidence": {"p": "secret.password"}, "secrets": SECRETS},
            ("evidence", "p"),
            "undeclared",
        ),
        ({"steps": [{"get": "/"}], "detail": "${a}"}, ("detail",), "undeclared"),
        ({"steps": [{"get": "/", "capture": {"answer": "1"}}]}, ("steps", 0, "capture", "answer"), "can't be a name"),
        (
            {"steps": [{"get": "/", "capture": {"a": "1"}}, {"get": "/", "capture": {"a": "2"}}]},
            ("steps", 1, "capture", "a"),
            "already",
        ),
        ({"endpoint": "ui", "steps": [{"get": "/"}]}, ("endpoint",), "there is no endpoint 'ui'; there are: api"),
        ({"headers": {"x": "${token}"}, "steps": [{"get": "/"}]}, ("headers",), "undeclared"),
        (
            {"probe": {}, "steps": [{"get": "/", "capture": {"a": "1"}}], "remove": [{"delete": "/${a}/${probe}"}]},
            ("remove", 0, "delete"),
            "undeclared reference to 'a'",
        ),
    ],
)
def test_what_is_wrong_is_known_before_it_is_asked(written: dict[str, Any], at: tuple[Any, ...], told: str) -> None:
    mistakes = list(declared(**written).mistakes(["api"]))
    assert [mistake.at for mistake in mistakes] == [at]
    assert re.search(told, mistakes[0].text)


@pytest.mark.parametrize(
    "written",
    [
        {"steps": []},
        {"steps": [{}]},
        {"steps": [{"get": "/", "post": "/"}]},
        {"steps": [{"get": "x"}]},
        {"steps": [{"post": "/", "body": {}, "content": "x"}]},
        {"steps": [{"get": "/"}], "probe": {}},
        {"steps": [{"get": "/"}], "remove": [{"delete": "/x"}]},
        {"steps": [{"get": "/", "whithin": 3}]},
    ],
)
def test_what_makes_no_sense_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        declared(**written)


@contextlib.asynccontextmanager
async def secured(folder: Path, name: str) -> AsyncIterator[tuple[int, str]]:
    """A port of a server whose certificate is for this name, and the certificate of its authority."""
    authority = Authority(folder, "authority")
    authority.issue("server", name, hosts=[name])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    connections: list[asyncio.Task[Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.append(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], (folder / "authority.crt").read_text(encoding="utf-8")
        await asyncio.gather(*connections)


@pytest.mark.parametrize(
    ("tls", "trusted"),
    [
        ({"ca": {"secret": "s", "key": "ca"}, "name": "catalog.example"}, True),
        ({"verify": False}, True),
        ({"ca": {"secret": "s", "key": "ca"}, "name": "another.example"}, False),
        ({"name": "catalog.example"}, False),
    ],
    ids=["its own authority and name", "any", "another name", "an authority that nobody knows"],
)
async def test_a_server_is_who_its_certificate_says(tls: dict[str, Any], trusted: bool, tmp_path: Path) -> None:
    check = declared(tls=tls, steps=[{"get": "/"}])
    async with secured(tmp_path, "catalog.example") as (port, authority):
        reach = StubReach(ports={"api": port}, secrets={"ca": authority}, scheme="https")
        if trusted:
            await check.run(reach)
        else:
            with pytest.raises(CheckFailed, match="GET /: its certificate is not trusted"):
                await check.run(reach)
