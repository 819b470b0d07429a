"""`carbon open`: what it says of a component, and of a port of this machine."""

import contextlib
import errno
import json
import os
import socket
import webbrowser
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from carbon_platform.cli.open import run
from carbon_platform.cli.taken import taken
from carbon_platform.cluster.tunnel import Tunnels
from carbon_platform.errors import ConfigurationError
from tests.definitions import Definitions


@contextlib.asynccontextmanager
async def session(_: object) -> AsyncIterator[Any]:
    """One whose tunnels listen, and lead nowhere."""
    tunnels = Tunnels(SimpleNamespace())
    try:
        yield SimpleNamespace(api=None, tunnels=tunnels)
    finally:
        await tunnels.close()


async def pod_behind(*_: object) -> tuple[str, str, int]:
    return "here", "app-0", 80


@pytest.fixture
def platform(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> Definitions:
    """Components with endpoints and without, on a cluster that has a pod behind each."""
    definitions.chart()
    definitions.release(
        "app", title="The app", endpoints=[{"name": "web", "service": "a", "port": 80, "scheme": "http"}]
    )
    definitions.release("db", endpoints=[{"name": "sql", "service": "db", "port": 5432}])
    definitions.release("topics", needs=["app"])
    definitions.release("operator")
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    monkeypatch.setattr("carbon_platform.cli.open.open_session", session)
    monkeypatch.setattr("carbon_platform.cli.open.pod_behind", pod_behind)
    return definitions


def open_(name: str, *, endpoint: str | None = None, port: int = 0, json: bool = False) -> int:
    return run(name, endpoint=endpoint, port=port, browser=True, json=json)


def refused(name: str, endpoint: str | None = None, port: int = 0) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        open_(name, endpoint=endpoint, port=port)
    return caught.value


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("as_json", [True, False])
def test_its_address_is_told_once_it_serves_on_it(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = []

    def browse(url: str) -> None:
        opened.append(url)
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", browse)
    assert open_("app", json=as_json) == 0
    out, err = capsys.readouterr()
    people, scripts = (err, out) if as_json else (out, err)
    assert f"The app at {opened[0]} (Ctrl-C ends it)" in people
    assert [json.loads(line) for line in scripts.splitlines()] == (
        [{"component": "app", "endpoint": "web", "url": opened[0]}] if as_json else []
    )


def test_a_component_without_endpoints_is_told_as_one_with_those_that_it_needs(platform: Definitions) -> None:
    error = refused("topics")
    assert error.summary == "topics has no endpoints"
    assert error.cause == f"{platform.file('topics')} declares none"
    assert error.fix == "open what it needs: app"


@pytest.mark.usefixtures("platform")
def test_where_it_needs_none_that_has_some_all_that_have_are_named() -> None:
    assert refused("operator").fix == "open one that has some: app, db"
    assert refused("operator", "web").summary == "operator has no endpoints"


@pytest.mark.usefixtures("platform")
def test_an_endpoint_that_it_does_not_have_is_told_with_those_it_has() -> None:
    error = refused("app", "sql")
    assert (error.summary, error.cause) == ("app has no endpoint sql", "declared: web")


@pytest.mark.usefixtures("platform")
def test_a_taken_port_is_told_with_the_process_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        error = refused("app", port=port)
    assert error.summary == f"port {port} can't be used"
    assert error.cause.endswith(f"(process {os.getpid()}) has it")
    assert error.fix == "end that process, or choose another with --port"


def test_a_port_that_is_not_taken_but_refused_is_told_in_the_words_of_the_kernel() -> None:
    error = taken(80, PermissionError(errno.EACCES, "Permission denied"))
    assert (error.cause, error.fix) == ("[Errno 13] Permission denied", "choose another with --port")
