"""Everything that runs is started, restarted and ended by supervisord, one for each cluster."""

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from carbon_platform.errors import CarbonError
from carbon_platform.local import processes
from carbon_platform.local.configuration import Program
from carbon_platform.local.layout import Layout

_END_SECONDS = 25.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Not the caller's: two shells must not mean two configurations."""
_DOWN = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
_FAILING = frozenset({"BACKOFF", "FATAL"})
"""Ended as soon as they were started. What ended later is started anew at once, and may do better then."""

_HEAD = """[supervisord]
logfile={logs}/supervisor.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={folder}/supervisor.pid
childlogdir={logs}

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
priority={priority}
environment={environment}
autorestart=true
startsecs=1
startretries=100
stopwaitsecs=10
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""


def configuration(layout: Layout, programs: Sequence[Program]) -> str:
    """The supervisor's configuration file. It changes for a program when a file that the program reads does."""
    text = _HEAD.format(logs=layout.logs, folder=layout.folder, socket=layout.supervisor_socket)
    for program in programs:
        environment = {"PATH": _PATH, "CARBON_FILES": digest(program.files), **program.environment}
        text += _PROGRAM.format(
            name=program.name,
            command=_literal(shlex.join(program.command)),
            priority=program.priority,
            environment=",".join(f'{name}="{_literal(value)}"' for name, value in environment.items()),
            logs=layout.logs,
        )
    return text


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def digest(files: Sequence[Path]) -> str:
    """What tells the contents of these files from others."""
    found = hashlib.sha256()
    for file in files:
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


@contextlib.contextmanager
def _remote(layout: Layout) -> Iterator[Any]:
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{layout.supervisor_socket}")
    with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
        yield proxy.supervisor


def states(layout: Layout) -> list[dict[str, Any]]:
    """What supervisord says of each program (name, statename, pid); empty when it does not run."""
    try:
        with _remote(layout) as supervisor:
            found: list[dict[str, Any]] = supervisor.getAllProcessInfo()
            return found
    except (OSError, ValueError):
        return []


def configured(layout: Layout, name: str) -> bool:
    """True when the program was part of the cluster when that was last brought up."""
    with contextlib.suppress(OSError):
        return f"[program:{name}]\n" in (layout.config / "supervisord.conf").read_text(encoding="utf-8")
    return False


def failing(layout: Layout) -> list[str]:
    """Programs that end as soon as they are started."""
    return [state["name"] for state in states(layout) if state["statename"] in _FAILING]


def adjust(layout: Layout, wanted: str) -> list[str]:
    """Make a supervisord that runs have this configuration; only what changed, or is down, is started anew.

    Returns the names of those programs. Expects that it runs.
    """
    (layout.config / "supervisord.conf").write_text(wanted, encoding="utf-8")
    with _remote(layout) as supervisor:
        ((added, changed, removed),) = supervisor.reloadConfig()
        for name in [*removed, *changed]:
            supervisor.stopProcessGroup(name)
            supervisor.removeProcessGroup(name)
        order = [line[len("[program:") : -1] for line in wanted.splitlines() if line.startswith("[program:")]
        new = sorted([*added, *changed], key=order.index)
        for name in new:
            supervisor.addProcessGroup(name)
        down = [s["name"] for s in supervisor.getAllProcessInfo() if s["statename"] in _DOWN and s["name"] not in new]
        for name in down:
            with contextlib.suppress(Fault):  # it may have been started again meanwhile
                supervisor.startProcess(name, False)
    return [*new, *down]


@contextlib.contextmanager
def away(layout: Layout, *names: str) -> Iterator[None]:
    """Programs are down meanwhile, as if their machine were; for tests of what happens then."""
    for name in names:
        kill(layout, name)
    try:
        yield
    finally:
        with _remote(layout) as supervisor:
            for name in names:
                supervisor.startProcess(name, False)


def kill(layout: Layout, name: str) -> None:
    """End a program at once: by itself it might wait for its clients to leave. It stays down."""
    with _remote(layout) as supervisor:
        pid = supervisor.getProcessInfo(name)["pid"]
        with contextlib.suppress(Fault):  # it may have ended by itself
            supervisor.stopProcess(name, False)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_SECONDS
        while supervisor.getProcessInfo(name)["statename"] not in _DOWN:
            if time.monotonic() > deadline:
                raise CarbonError(f"{name} does not end", "it was killed", f"see {layout.logs}/supervisor.log")
            time.sleep(0.05)


def start(layout: Layout, wanted: str) -> None:
    """Start supervisord with this configuration. Expects that nothing of the cluster runs."""
    file = layout.config / "supervisord.conf"
    file.write_text(wanted, encoding="utf-8")
    layout.supervisor_socket.unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CarbonError("the supervisor did not start", "; ".join(tail), f"see {layout.logs}/supervisor.log")


def stop(layout: Layout) -> None:
    """End supervisord and its programs; whatever a killed supervisor left behind too."""
    with contextlib.suppress(OSError, ValueError), _remote(layout) as supervisor:
        supervisor.shutdown()
    processes.end(lambda: ours(layout.folder), _END_SECONDS)


def ours(folder: Path) -> list[int]:
    """The supervisor of the cluster and its programs: a path of the cluster's folder is on their command line."""
    return processes.with_command(lambda command: is_ours(command, folder))


def folders() -> list[Path]:
    """The folder of every cluster whose supervisor runs on this machine."""
    found: list[Path] = []

    def configured_by(command: list[str]) -> bool:
        if "supervisor.supervisord" in command[:-2] and command[-2] == "-c":
            found.append(Path(command[-1]).parent.parent)
        return False

    processes.with_command(configured_by)
    return found


def is_ours(command: Sequence[str], folder: Path) -> bool:
    """True for the command line of a program of the cluster in this folder; pods and their shims are none."""
    known = command[0].rpartition("/")[2] in _PROGRAMS or "supervisor.supervisord" in command
    return known and any(f"{folder}/" in word for word in command)


_PROGRAMS = frozenset(
    {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy"}
    | {"kwok"}
)


def last_lines(layout: Layout, name: str, number: int = 3) -> list[str]:
    """The end of a program's log."""
    with contextlib.suppress(OSError), (layout.logs / f"{name}.log").open(encoding="utf-8", errors="replace") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - 65536))
        return [line.rstrip()[:300] for line in deque(log, number)]
    return []
