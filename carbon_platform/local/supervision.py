"""Everything that runs is started, restarted and ended by supervisord, one for each cluster."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from carbon_platform.errors import CarbonError
from carbon_platform.local.configuration import Program
from carbon_platform.local.layout import Layout

_END_SECONDS = 25.0

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
environment=GOMAXPROCS="2",PATH="{path}"
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
    """The supervisor's configuration file."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    text = _HEAD.format(logs=layout.logs, folder=layout.folder, socket=layout.supervisor_socket)
    for program in programs:
        command = " ".join(part.replace("%", "%%") for part in program.command)
        text += _PROGRAM.format(
            name=program.name, command=command, priority=program.priority, path=path, logs=layout.logs
        )
    return text


@contextlib.contextmanager
def _remote(layout: Layout) -> Iterator[Any]:
    from xmlrpc.client import ServerProxy

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


def running(layout: Layout, wanted: str) -> bool:
    """True when supervisord runs with this very configuration, and every program under it."""
    file = layout.config / "supervisord.conf"
    if not file.is_file() or file.read_text(encoding="utf-8") != wanted:
        return False
    found = states(layout)
    return bool(found) and all(state["statename"] == "RUNNING" for state in found)


def start(layout: Layout, wanted: str) -> None:
    """Start supervisord with this configuration. Expects that nothing of the cluster runs."""
    file = layout.config / "supervisord.conf"
    file.write_text(wanted, encoding="utf-8")
    layout.supervisor_socket.unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise CarbonError("the supervisor did not start", done.stderr.strip(), f"see {layout.logs}/supervisor.log")


def stop(layout: Layout) -> None:
    """End supervisord and its programs; whatever a killed supervisor left behind too."""
    with contextlib.suppress(OSError, ValueError), _remote(layout) as supervisor:
        supervisor.shutdown()
    end(lambda: ours(layout.folder), _END_SECONDS)


def ours(folder: Path) -> list[int]:
    """Processes that were started with a path of the cluster's folder on their command line, pods' shims left out."""
    mark, found = f"{folder}/".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                program = command.split(b"\0", 1)[0].rpartition(b"/")[2]
                if mark in command and (program in _PROGRAMS or b"supervisor.supervisord" in command):
                    found.append(int(entry.name))
    return found


_PROGRAMS = frozenset(
    {b"etcd", b"kube-apiserver", b"kube-controller-manager", b"kube-scheduler"}
    | {b"containerd", b"kubelet", b"kube-proxy", b"kwok"}
)


def end(find: Any, seconds: float) -> None:
    """Ask processes to end, and kill those that still run after so long. `find` returns their ids."""
    deadline = time.monotonic() + seconds
    for pid in find():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    while left := find():
        if time.monotonic() > deadline:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
