"""The throw-away folder that images are made in, and how it is taken down whatever state it was left in."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.process import full_disk_told

END_SECONDS = 10.0


@contextlib.asynccontextmanager
async def workplace(folder: Path) -> AsyncIterator[Path]:
    """An empty folder that is gone afterwards, with all that was mounted in it and every process that lives in it.

    One that a killed process left behind is taken down first. Raises CarbonError when that is not possible.
    """
    work = await asyncio.to_thread(_anew, folder)
    try:
        yield work
    finally:
        await asyncio.shield(asyncio.to_thread(dismantle, work))


def _anew(folder: Path) -> Path:
    dismantle(folder)
    with full_disk_told(folder):
        temporary(folder).mkdir(parents=True)
    return folder.resolve()


def dismantle(folder: Path) -> None:
    """End what lives in the folder, unmount what is mounted in it, remove it.

    Nothing is removed while anything is still mounted there: it could be a folder of the host.
    Raises CarbonError naming the mount that could not be taken away.
    """
    if not folder.exists():
        return
    root = folder.resolve()
    _end_inhabitants(root, time.monotonic() + END_SECONDS)
    # Innermost first, as a mount below another keeps that one busy.
    for mount in sorted(mounts_below(root, _mount_table()), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    left = mounts_below(root, _mount_table())
    if left:
        raise CarbonError(f"{root} can't be cleaned up", f"{left[0]} is still mounted", f"unmount it: umount {left[0]}")
    shutil.rmtree(root)


def mounts_below(root: Path, table: str) -> list[str]:
    """The mount points at or below `root`, from the text of a mountinfo file (proc(5))."""
    points = [line.split()[4].replace("\\040", " ") for line in table.splitlines() if line]
    return [point for point in points if Path(point).is_relative_to(root)]


def _mount_table() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _end_inhabitants(root: Path, deadline: float) -> None:
    while living := list(_inhabitants(root)):
        if time.monotonic() > deadline:
            raise CarbonError(
                f"{root} can't be cleaned up", f"process {living[0]} does not end", f"end it: kill -KILL {living[0]}"
            )
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def _inhabitants(root: Path) -> Iterator[int]:
    """Processes that work in the folder: their temporary files go there, or it holds their root directory.

    These are the programs and the steps of builds whose parent was killed.
    """
    mark = f"TMPDIR={temporary(root)}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes().split(b"\0")
                if mark in environment or (entry / "root").readlink().is_relative_to(root):
                    yield int(entry.name)


def temporary(work: Path) -> Path:
    """Where programs that run in a workplace put their temporary files; each has to be told so by TMPDIR."""
    return work / "tmp"
