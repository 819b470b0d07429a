"""Ports that the cluster needs, and who has them."""

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from carbon_platform.errors import Conflict
from carbon_platform.local.processes import command_name

_LISTEN = "0A"
_RELEASE_SECONDS = 2.0
"""A port may stay taken for a moment after its process ended."""


def refuse_taken(ports: Sequence[tuple[str, int, str]]) -> None:
    """Raise Conflict, with the process that has it, when an address and port is taken; each comes with its program."""
    deadline = time.monotonic() + _RELEASE_SECONDS
    for address, port, program in ports:
        while not _free(address, port):
            listener = holder(port)
            if listener is None and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise Conflict(
                f"port {port} is in use, and {program} needs it",
                f"{listener or 'a process that this user can not see'} has it",
                "end that process"
                + (", or choose another port with CARBON_API_PORT" if program == "kube-apiserver" else ""),
            )


def free_ports(number: int) -> list[int]:
    """So many ports of loopback that nobody uses at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            # The address need not be there yet.
            probe.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_FREEBIND", 15), 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def holder(port: int) -> str | None:
    """The process that listens on a port: its name and id. None when no process does that this user can see."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            sockets |= listening(Path(f"/proc/net/{table}").read_text(encoding="ascii"), port)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str(fd.readlink()) in sockets for fd in (entry / "fd").iterdir()):
                    return f"{command_name(int(entry.name))} (process {entry.name})"
    return None


def listening(table: str, port: int) -> set[str]:
    """Sockets that listen on a port, named as the links of /proc/PID/fd are, from the text of /proc/net/tcp."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port}
