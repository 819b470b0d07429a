"""Running one program of the distribution: logged, with a deadline, and gone when it is no longer wanted."""

import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError

GRACE_SECONDS = 5.0
TAIL_LINES = 15
LINE_LENGTH = 300
FULL_BYTES = 64 << 20
"""A disk with less than this left is full: a program stops before the last byte."""
MEASURE_SECONDS = 0.1
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


class ProgramFailed(CarbonError):
    """A program ended with an error, or not before its deadline; the evidence is its last lines."""


class DiskFull(CarbonError):
    """There is no room left where images are made or kept."""


@contextlib.contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn the system's "no space left" into DiskFull, for work that writes below `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"no room left in {folder}", str(error), "free some space") from error


async def run(
    argv: Sequence[str],
    log: Path,
    deadline: float,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a program to its end, its output appended to `log`.

    `deadline` is in seconds. The program and all it started are ended when the deadline passes or the caller is
    cancelled. Raises DiskFull when the disk of `log` filled up meanwhile, else ProgramFailed.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    room = _Room(log.parent)
    measuring = asyncio.create_task(room.measure())
    try:
        with full_disk_told(log.parent):
            async with asyncio.timeout(deadline):
                await _follow(process, log, tail, on_line)
                code = await process.wait()
    except TimeoutError:
        cause = f"{argv[0]} did not end within {deadline:.0f} s"
        raise ProgramFailed(f"{argv[0]} was stopped", cause, f"see {log}", tail) from None
    finally:
        measuring.cancel()
        await _end(process)
    if code != 0:
        raise _failure(argv[0], code, list(tail), log, room.lowest)


def _failure(program: str, code: int, tail: list[str], log: Path, lowest: int) -> CarbonError:
    # buildah does not always pass the reason on: its copying ends with "closed pipe" on a full disk.
    if lowest < FULL_BYTES or any(_DISK_FULL.search(line) for line in tail):
        cause = f"no space left on device: {lowest >> 20} MiB in {log.parent}"
        return DiskFull(f"{program} ran out of disk", cause, "free some space", tail[-1:])
    cause = tail[-1] if tail else f"exit code {code}, no output"
    return ProgramFailed(f"{program} failed", cause, f"see {log}", tail)


def _shortened(line: str) -> str:
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}…"


class _Room:
    """The least room that a folder's disk had, in bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lowest = self._free()

    async def measure(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            self.lowest = min(self.lowest, self._free())

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free


async def _follow(
    process: asyncio.subprocess.Process, log: Path, tail: deque[str], on_line: Callable[[str], None] | None
) -> None:
    assert process.stdout
    with log.open("a", encoding="utf-8") as written:
        pending = b""
        # Read in blocks: a progress line without an end may be longer than a stream reader's limit.
        while block := await process.stdout.read(65536):
            *lines, pending = (pending + block).replace(b"\r", b"\n").split(b"\n")
            for raw in lines:
                _keep(raw, written.write, tail, on_line)
        if pending:
            _keep(pending, written.write, tail, on_line)


def _keep(raw: bytes, write: Callable[[str], object], tail: deque[str], on_line: Callable[[str], None] | None) -> None:
    line = _CONTROL.sub("", raw.decode(errors="replace")).rstrip()
    if not line:
        return
    write(line + "\n")
    tail.append(_shortened(line))
    if on_line:
        on_line(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program's whole group, politely first: builds unmount what they mounted."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
    # What the program left behind in its group is of no use without it.
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
