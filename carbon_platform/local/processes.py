"""Finding and ending the processes of a cluster."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from carbon_platform.errors import CarbonError

_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
"""A killed process is gone at once, unless the kernel waits for a disk."""


def with_command(fits: Callable[[list[str]], bool]) -> list[int]:
    """Processes whose command line fits; never this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
                if fits(command):
                    found.append(int(entry.name))
    return found


def end(find: Callable[[], Iterable[int]], seconds: float) -> None:
    """Ask the processes that `find` returns to end, and kill those that still run after so long.

    Raises CarbonError when one does not even end then.
    """
    began = time.monotonic()
    asked: set[int] = set()
    while left := set(find()):
        waited = time.monotonic() - began
        if waited > seconds + _KILL_SECONDS:
            pid = min(left)
            raise CarbonError(
                f"process {pid} ({command_name(pid)}) can't be ended",
                "it was killed and is still there: the kernel waits for a disk or a network filesystem",
                "see what it waits for, or restart the machine",
            )
        # A process that appears later (a shim's, a restarted program's) is asked as well.
        _signal(left, signal.SIGKILL) if waited > seconds else _signal(left - asked, signal.SIGTERM)
        asked |= left
        time.sleep(_POLL_SECONDS)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def command_name(pid: int) -> str:
    """Name of a process; "?" when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return "?"


def resident_bytes(pid: int) -> int:
    """Memory of a process; 0 when it is gone."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
