"""Go programs as the builds of images want them: identified, and in a folder of their own."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from carbon_platform.errors import ConfigurationError
from carbon_platform.local import catalogue, programs


def program_digest(name: str) -> str:
    """What identifies a program before it is built: its package, its version and how it is linked.

    Raises ConfigurationError when the catalogue of programs does not have it.
    """
    source = catalogue.SOURCES.get(name)
    if source is None:
        raise ConfigurationError(f"there is no program `{name}`", "a recipe names it", "correct its image.yaml")
    return hashlib.sha256(f"{source.package} {source.version} {source.ldflags}".encode()).hexdigest()


async def program_folder(name: str, cache: Path, work: Path, report: Callable[[str], None]) -> Path:
    """A folder below `work` that holds the program as go/bin/NAME; it is built first where it is not cached."""
    built = await asyncio.to_thread(programs.ensure, [name], cache, report)
    folder = work / f"program-{name}"
    target = folder / "go" / "bin" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(built[name], target)
    return folder
