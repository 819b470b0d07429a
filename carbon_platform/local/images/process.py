"""Running one program of the distribution: logged, with a deadline, and gone when it is no longer wanted."""

import asyncio
import contextlib
import errno
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError

GRACE_SECONDS = 5.0
TAIL_LINES = 15
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
) -> list[str]:
    """Run a program to its end, its output appended to `log`; returns its last lines.

    `deadline` is in seconds. The program and all it started are ended when the deadline passes or the caller is
    cancelled. Raises DiskFull when that was the reason, else ProgramFailed.
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
    try:
        with full_disk_told(log.parent):
            async with asyncio.timeout(deadline):
                await _follow(process, log, tail, on_line)
                code = await process.wait()
    except TimeoutError:
        raise ProgramFailed(
            f"{argv[0]} did not end within {deadline:.0f} s", "it was stopped at its deadline", evidence=tail
        ) from None
    finally:
        await _end(process)
    if code == 0:
        return list(tail)
    full = next((line for line in tail if _DISK_FULL.search(line)), None)
    if full:
        raise DiskFull(f"{argv[0]} ran out of disk", full, "free some space", tail)
    raise ProgramFailed(f"{argv[0]} failed", tail[-1] if tail else f"exit code {code}, no output", evidence=tail)


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
    tail.append(line)
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
