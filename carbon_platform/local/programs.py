"""Programs of the local cluster: from the cache, else the official download, else built from Go modules."""

import contextlib
import dataclasses
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.local import build, download
from carbon_platform.local.catalogue import SOURCES, Source
from carbon_platform.local.packages import Report


def ensure(names: Sequence[str], cache: Path, report: Report) -> dict[str, Path]:
    """Path of each program; those that are not in the cache are brought there.

    Several processes may ask at once: one works, the others wait for it. Raises Blocked when a program can be had
    in no way, CarbonError when a build failed (the disk is full, most often), with nothing half-done left behind.
    """
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise ConfigurationError(
            f"there is no program {', '.join(unknown)}", "the catalogue does not have it", "correct the name"
        )
    if not all(cached(SOURCES[name], cache) for name in names):
        with _only_one(cache, report):
            # In the catalogue's order: what shares most is built together.
            todo = [source for source in SOURCES.values() if source.name in names and not cached(source, cache)]
            for number, source in enumerate(todo, 1):
                _bring(source, cache, report, f"{number} of {len(todo)}")
    return {name: path(SOURCES[name], cache) for name in names}


def path(source: Source, cache: Path) -> Path:
    """Where a program is in the cache."""
    return cache / "programs" / source.name / source.version / source.name


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What is known of a program in the cache: written beside it once it is complete."""

    recipe: str
    size: int
    sha256: str
    modified: int
    """When the file was last changed (ns): as long as that is so, its checksum need not be computed again."""

    @classmethod
    def read(cls, file: Path) -> "_Origin":
        recipe, size, sha256, *modified = file.read_text(encoding="ascii").split()
        return cls(recipe, int(size), sha256, int(modified[0]) if modified else 0)

    def write(self, file: Path) -> None:
        part = file.with_suffix(".part")
        part.write_text(f"{self.recipe} {self.size} {self.sha256} {self.modified}\n", encoding="ascii")
        part.replace(file)


def cached(source: Source, cache: Path) -> bool:
    """True when the program is there, made by today's recipe, and what it was when it was put there."""
    program = path(source, cache)
    try:
        origin, status = _Origin.read(program.with_suffix(".origin")), program.stat()
        if origin.recipe != build.recipe(source) or origin.size != status.st_size:
            return False
        if origin.modified != status.st_mtime_ns:
            if origin.sha256 != _checksum(program):
                return False
            with contextlib.suppress(OSError):  # a cache that can't be written is still one to read from
                dataclasses.replace(origin, modified=status.st_mtime_ns).write(program.with_suffix(".origin"))
    except (OSError, ValueError):
        return False
    return True


def _checksum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextlib.contextmanager
def _only_one(cache: Path, report: Report) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "programs.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that brings programs")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bring(source: Source, cache: Path, report: Report, position: str) -> None:
    target = path(source, cache)
    origin = target.with_suffix(".origin")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _forget_unfinished(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as folder:
            made = Path(folder) / source.name
            if not download.fetch(source, made, report):
                build.build(source, made, cache, report, position)
            made.chmod(0o755)
            known = _Origin(build.recipe(source), made.stat().st_size, _checksum(made), made.stat().st_mtime_ns)
            origin.unlink(missing_ok=True)
            made.replace(target)
            known.write(origin)
    except OSError as error:
        raise CarbonError(f"{source.name} can't be stored", str(error), f"make room for {target.parent}") from error


_UNFINISHED = "unfinished-"


def _forget_unfinished(folder: Path) -> None:
    """Remove what a killed process left; the lock is ours, so nobody works there."""
    for left in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
