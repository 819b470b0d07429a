"""What makes images: the interface, and buildah behind it. Nothing it keeps outlives its workplace."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from carbon_platform.errors import Blocked
from carbon_platform.local.images import trust
from carbon_platform.local.images.distribution import bootstrap_command
from carbon_platform.local.images.process import ProgramFailed, run
from carbon_platform.local.images.workplace import temporary

BUILD_SECONDS = 1200.0
PULL_SECONDS = 900.0
COPY_SECONDS = 300.0
DRIVERS = ("overlay", "vfs")
"""Storage drivers by preference: the second copies whole layers, and works on any file system."""

# /mnt is in every image, so mounting there leaves no trace in what is built.
MOUNTED = "/mnt"
_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP (\d+/\d+): (\w+)")

OnStep = Callable[[str], None]


class Engine(Protocol):
    """A store of images that can pull, build and save. Each call raises ProgramFailed, or DiskFull."""

    async def pull(self, reference: str, as_reference: str) -> None:
        """Fetch an image from its registry and give it another name here."""

    async def load(self, archive: Path) -> None:
        """Take an archive in, under the reference it was saved as."""

    async def bootstrap(self, release: str, as_reference: str) -> None:
        """Make a minimal image of a Debian release out of its packages."""

    async def build(
        self,
        folder: Path,
        as_reference: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        contexts: Mapping[str, Path],
        on_step: OnStep,
    ) -> None:
        """Build a folder's Containerfile. Only images that are here already can be built on."""

    async def save(self, reference: str, archive: Path) -> None:
        """Write an image to an archive."""


class Buildah:
    """buildah in a workplace of its own: storage, temporary files and mounts are all in there."""

    def __init__(self, work: Path, logs: Path, driver: str) -> None:
        self._work = work
        self._logs = logs
        self._program = [
            "buildah",
            *("--root", str(work / "storage")),
            *("--runroot", str(work / "run")),
            *("--storage-driver", driver),
        ]
        self._environment = {"TMPDIR": str(temporary(work))}
        self._arguments: dict[str, str] = {}

    @classmethod
    async def start(cls, work: Path, logs: Path) -> "Buildah":
        """Buildah with the first storage driver that works in this workplace."""
        _clear(logs)
        engine = cls(work, logs, await _driver(work, logs))
        engine.mount_folder()
        return engine

    def mount_folder(self) -> None:
        """Prepare the folder that every build sees: shared downloads, and the host's own CA bundle if it has one."""
        shared = self._work / "shared"
        (shared / "maven").mkdir(parents=True)
        bundle = trust.own_bundle()
        if bundle:
            trust.write_trust(bundle, shared)
        self._arguments = trust.build_arguments(MOUNTED, trusted=bundle is not None)

    async def pull(self, reference: str, as_reference: str) -> None:
        """Fetch an image from its registry and give it another name here."""
        await self._buildah(as_reference, PULL_SECONDS, "pull", "--quiet", "--retry", "1", reference)
        await self._buildah(as_reference, COPY_SECONDS, "tag", reference, as_reference)

    async def load(self, archive: Path) -> None:
        """Take an archive in, under the reference it was saved as."""
        await self._buildah(archive.stem, COPY_SECONDS, "pull", "--quiet", f"oci-archive:{archive}")

    async def bootstrap(self, release: str, as_reference: str) -> None:
        """Make a minimal image of a Debian release out of its packages."""
        context = self._work / f"distribution-{release}"
        context.mkdir()
        command = bootstrap_command(release, context / "root.tar")
        await run(command, self._log(as_reference), BUILD_SECONDS, self._environment)
        (context / "Containerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["bash"]\n', encoding="utf-8")
        await self._bud(as_reference, context, [], None)
        shutil.rmtree(context)

    async def build(
        self,
        folder: Path,
        as_reference: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        contexts: Mapping[str, Path],
        on_step: OnStep,
    ) -> None:
        """Build a folder's Containerfile. Only images that are here already can be built on."""
        options = ["--volume", f"{self._work / 'shared'}:{MOUNTED}"]
        for name, value in {**self._arguments, **arguments}.items():
            options += ["--build-arg", f"{name}={value}"]
        for name, value in labels.items():
            options += ["--label", f"{name}={value}"]
        for name, path in contexts.items():
            options += ["--build-context", f"{name}={path}"]
        await self._bud(as_reference, folder, options, on_step)

    async def save(self, reference: str, archive: Path) -> None:
        """Write an image to an archive."""
        # zstd: as small as gzip here, and unpacked by the node in two thirds of the time.
        options = ["--quiet", "--format", "oci", "--compression-format", "zstd"]
        await self._buildah(reference, COPY_SECONDS, "push", *options, reference, f"oci-archive:{archive}:{reference}")

    async def _bud(self, reference: str, folder: Path, options: list[str], on_step: OnStep | None) -> None:
        # chroot isolation needs no engine, no runtime and no network set-up; the host's name service serves.
        fixed = ["--isolation", "chroot", "--format", "oci", "--pull=never", "--layers=false", "--tag", reference]
        on_line = None if on_step is None else lambda line: _tell_step(line, on_step)
        await self._buildah(reference, BUILD_SECONDS, "bud", *fixed, *options, str(folder), on_line=on_line)

    async def _buildah(
        self, about: str, deadline: float, *arguments: str, on_line: Callable[[str], None] | None = None
    ) -> None:
        await run([*self._program, *arguments], self._log(about), deadline, self._environment, on_line)

    def _log(self, about: str) -> Path:
        return self._logs / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', about)}.log"


def _clear(logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for log in logs.glob("*.log"):
        log.unlink()


def _tell_step(line: str, on_step: OnStep) -> None:
    if match := _STEP.match(line):
        on_step(f"step {match[1]}: {match[2]}")


async def _driver(work: Path, logs: Path) -> str:
    failures: list[str] = []
    for driver in DRIVERS:
        probe = ["buildah", "--root", str(work / driver), "--runroot", str(work / "run"), "--storage-driver", driver]
        try:
            await run([*probe, "info"], logs / "storage.log", COPY_SECONDS, {"TMPDIR": str(temporary(work))})
        except ProgramFailed as failure:
            failures.append(f"{driver}: {failure.cause}")
        else:
            return driver
    raise Blocked(
        "images can't be built",
        "buildah can store nothing in its folder",
        "set CARBON_CACHE to a folder on a local disk",
        failures,
    )
