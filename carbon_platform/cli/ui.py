"""`carbon ui`: code server, web server and daemon as one supervised group, ended together."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import IO

from carbon_platform.cli.ask import ask
from carbon_platform.cli.present import console, errors, print_json_line
from carbon_platform.cli.taken import taken
from carbon_platform.errors import CarbonError, ConfigurationError, Unreachable
from carbon_platform.healing.healers import give_back, healers_before
from carbon_platform.instance import prepare_instance
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform

_READY_SECONDS = 90.0
_PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when its parent has ended (prctl(2))."""

_NICE = -5
"""Three times the weight of other processes: what heals must not wait for what it heals."""

_SUPERVISOR = """
[supervisord]
; no descriptor from 3 on is closed: its programs hold the claim of this state as long as they live
minfds=3
nodaemon=true
silent=true
logfile={logs}/supervisor.log
pidfile={run}/supervisor.pid
childlogdir={logs}

[group:carbon]
; one group: all are told to end at once. A sensor that holds does not see that, and is not waited for longer
programs=code,web,daemon

[program:code]
command={python} -m carbon_platform.code_server api grpc --module-name carbon_platform.definitions --location-name {location} --lazy-load-user-code --host 127.0.0.1 --port {code_port}
priority=1

[program:web]
command={python} -m dagster_webserver --workspace {workspace} --host 127.0.0.1 --port {port}
priority=2

[program:daemon]
command={python} -m carbon_platform.daemon {code_port} run --workspace {workspace}
priority=3
"""  # noqa: E501 - supervisor wants a command on one line

_EVERY_PROGRAM = """
autorestart=true
startsecs=2
startretries=20
stopasgroup=true
killasgroup=true
stopwaitsecs=10
redirect_stderr=true
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""

ENVIRONMENT = {
    "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "300",
    # glibc gives up to eight threads per core a heap of their own, and gives little of it back: memory that grows for
    # hours while nothing happens.
    "MALLOC_ARENA_MAX": "2",
}

_LOCATION = "carbon"
"""The code location of a platform that is no dg project."""


def run(port: int, *, yes: bool, json: bool) -> int:
    """Serves until interrupted, and tells where once it is ready; then nothing of it is left.

    Raises ConfigurationError when it is served already, or the cluster is another environment's.
    """
    platform = load_platform(settings())  # a wrong defs.yaml is told here, not in a log file
    others = asyncio.run(_other_healers(platform))
    environment = settings().environment
    if environment.confirm and not yes:
        ask(f"While it runs, healing changes what breaks in environment {environment.name!r} ({environment.cluster}).")
    settings().state.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_instance(settings())
    url = f"http://127.0.0.1:{port}"
    with _alone(settings().state / "ui.lock", url) as claim:
        _refuse_taken(port)
        _serve(port, url, claim, others, json)
    return 0


async def _other_healers(platform: Platform) -> list[str]:
    """Who heals it already. Raises ConfigurationError when the cluster is another environment's."""
    with contextlib.suppress(Unreachable):  # it may come back: what heals it waits for it
        async with open_session(settings()) as session:
            with contextlib.suppress(CarbonError):
                return await healers_before(settings(), platform, session.api)
    return []


def _serve(port: int, url: str, claim: IO[str], others: Sequence[str], json: bool) -> None:
    logs = settings().state / "logs"  # not below DAGSTER_HOME: Dagster takes a folder of that name there for its own
    logs.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="carbon-ui-") as folder,
        _started(_configuration(Path(folder), logs, port), claim),
    ):
        _await(port, logs)
        if json:
            print_json_line({"url": url, "logs": str(logs)})
        told = errors if json else console
        told.print(f"Dagster with Carbon's platform at {url} (Ctrl-C ends it; logs in {logs})")
        for other in others:
            told.print(f"{other} heals this platform already: healing from here begins when that has ended")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        told.print("ending; that takes up to a minute while something is deployed or checked")
    asyncio.run(_give_back())


async def _give_back() -> None:
    """Another healer need not wait until this one was silent for long enough."""
    with contextlib.suppress(CarbonError):
        async with open_session(settings()) as session:
            await give_back(settings(), session.api)


@contextlib.contextmanager
def _alone(file: Path, url: str) -> Iterator[IO[str]]:
    """The one who serves this state: two daemons would each start what the other starts as well.

    The lock goes with the last process that holds it, also when that is killed. Raises ConfigurationError naming who
    has it.
    """
    with file.open("a+", encoding="utf-8") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            claim.seek(0)
            told = claim.read().strip() or "another process"
            raise ConfigurationError(
                "carbon ui runs on this state already",
                told,
                "use that one, end it first, or set another CARBON_HOME",
            ) from error
        claim.truncate(0)
        claim.write(f"process {os.getpid()} serves it at {url}\n")
        claim.flush()
        yield claim


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise taken(port, error) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configuration(folder: Path, logs: Path, port: int) -> Path:
    code_port = _free_port()
    workspace = folder / "workspace.yaml"
    project = settings().project
    location = project.name if project else _LOCATION
    server = {"host": "127.0.0.1", "port": code_port, "location_name": location}
    workspace.write_text(dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    text = _SUPERVISOR.format(
        python=sys.executable,
        run=folder,
        logs=logs,
        port=port,
        code_port=code_port,
        workspace=workspace,
        # On a command line of supervisor's, in which a percent sign begins a variable.
        location=shlex.quote(location).replace("%", "%%"),
    )
    names = [f"stdout_logfile={logs}/{name}.log\n" for name in ("code", "web", "daemon")]
    head, *programs = text.split("\n[program:")
    file = folder / "supervisord.conf"
    parts = [f"\n[program:{p.rstrip()}{_EVERY_PROGRAM}{log}" for p, log in zip(programs, names, strict=True)]
    file.write_text(head + "".join(parts), encoding="utf-8")
    return file


@contextlib.contextmanager
def _started(configuration: Path, claim: IO[str]) -> Iterator[None]:
    environment = {**os.environ, **ENVIRONMENT}
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
    # A session of its own: Ctrl-C comes to us alone, and we end the group in order.
    # It ends with us, also when we are killed; until all of it has ended, the claim is held.
    supervisor = subprocess.Popen(
        command, env=environment, start_new_session=True, pass_fds=[claim.fileno()], preexec_fn=_settle_in
    )
    for ending in (signal.SIGINT, signal.SIGTERM):  # also where a shell has told its background jobs to ignore one
        signal.signal(ending, signal.default_int_handler)
    try:
        yield
    finally:
        supervisor.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(60)


def _settle_in() -> None:
    """In the new process: end with the parent, and come before what starts on this machine, where that is allowed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
        # Where Linux groups processes by session, only the group's own weight counts outside of it (sched(7)).
        Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")


_LOADED = """{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {
  __typename ... on PythonError {message causes {message}}
}}}}}"""


def _not_loaded(messages: Sequence[str], logs: Path) -> CarbonError:
    """Why Dagster can't load the platform: in Carbon's own words, or the innermost of the errors."""
    ours = f"{ConfigurationError.__module__}.{ConfigurationError.__qualname__}: "
    for message in messages:
        if message.startswith(ours):
            return ConfigurationError.read(message.removeprefix(ours))
    return CarbonError("Dagster can't load the platform", messages[-1].strip(), f"see {logs}")


def _await(port: int, logs: Path) -> None:
    """Return when the web server shows the platform. Raises CarbonError when it can't load it, or at the deadline."""
    import httpx2

    deadline = time.monotonic() + _READY_SECONDS
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError, KeyError, TypeError, ValueError):
                answer = client.post("/graphql", json={"query": _LOADED}).json()
                for entry in answer["data"]["workspaceOrError"]["locationEntries"]:
                    found = entry["locationOrLoadError"]
                    if found["__typename"] == "RepositoryLocation":
                        return
                    if "Could not reach" not in found["message"] and "UNAVAILABLE" not in found["message"]:
                        raise _not_loaded([found["message"], *(one["message"] for one in found["causes"])], logs)
            time.sleep(0.3)
    raise CarbonError(
        f"the web UI did not start within {_READY_SECONDS:g} s", f"see {logs}", "correct it, run it again"
    )
