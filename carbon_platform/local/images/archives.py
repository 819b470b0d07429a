"""The cache of image archives: one OCI archive an image, named after what it was made from."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

from carbon_platform.errors import Conflict
from carbon_platform.local.images.process import full_disk_told

LOCK_SECONDS = 1800.0
POLL_SECONDS = 0.5
_DIGITS = 16


class Archives:
    """Archives in one folder. An archive that is there is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, reference: str, digest: str) -> Path:
        """Where the archive of an image made from `digest` is, or would be."""
        return self.folder / f"{_file_name(reference)}.{digest[:_DIGITS]}.tar"

    def find(self, reference: str, digest: str) -> Path | None:
        """The archive of an image made from `digest`, if there is one."""
        path = self.path(reference, digest)
        return path if path.is_file() else None

    @contextlib.contextmanager
    def place(self, reference: str, digest: str) -> Iterator[Path]:
        """A path to write an archive to; it takes its name only when the block ends without an exception.

        Archives of the same reference made from something else are then removed.
        """
        path = self.path(reference, digest)
        part = path.with_suffix(".part")
        try:
            yield part
            with full_disk_told(self.folder):
                _flush(part)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        for other in self.folder.glob(f"{_file_name(reference)}.{'?' * _DIGITS}.tar"):
            if other != path:
                other.unlink(missing_ok=True)

    def discard_if_damaged(self, path: Path) -> bool:
        """Remove an archive that is not what it was when it was made; whether it was removed.

        For an archive that could not be used: the reason may as well lie with who wanted to use it.
        """
        if intact(path):
            return False
        path.unlink(missing_ok=True)
        return True

    @contextlib.asynccontextmanager
    async def claim(self, on_wait: Callable[[], None], seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
        """Hold the folder for writing; another process that does is waited for, `on_wait` being told once.

        Raises Conflict when that takes longer than `seconds`.
        """
        with full_disk_told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            await _lock(lock, on_wait, seconds)
            for part in self.folder.glob("*.part"):
                part.unlink()
            yield


def intact(path: Path) -> bool:
    """Whether every blob of an OCI archive is what its name, its SHA-256, says (image-layout specification)."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                content = archive.extractfile(member) if folder == "blobs/sha256" else None
                if content and _sha256(content) != name:
                    return False
            return "index.json" in archive.getnames()
    except (OSError, tarfile.TarError):
        return False


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


async def _lock(lock: IO[str], on_wait: Callable[[], None], seconds: float) -> None:
    told = False
    try:
        async with asyncio.timeout(seconds):
            while not _try_lock(lock):
                if not told:
                    on_wait()
                    told = True
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise Conflict(
            "images can't be made",
            f"another process has been making images for more than {seconds:.0f} s",
            f"wait for it or end it; it holds {lock.name}",
        ) from None


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flush(path: Path) -> None:
    """Bytes before name: after a power cut a name must not stand for an archive that never reached the disk."""
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _file_name(reference: str) -> str:
    """A reference as a file name; the local prefix, which all recipes share, is left out."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", reference.removeprefix("localhost/carbon/"))
