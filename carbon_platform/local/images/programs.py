"""Go programs as the builds of images want them: identified, and in a folder of their own."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from carbon_platform.errors import ConfigurationError
from carbon_platform.local import build, catalogue, programs


def program_digest(name: str) -> str:
    """What identifies a program before it is built: its package, its version, how it is linked, its files.

    Raises ConfigurationError when the catalogue of programs does not have it.
    """
    source = catalogue.SOURCES.get(name)
    if source is None:
        raise ConfigurationError(f"there is no program `{name}`", "a recipe names it", "correct its image.yaml")
    made_of = f"{source.package} {source.version} {source.ldflags}" + (f" {source.files}" if source.files else "")
    return hashlib.sha256(made_of.encode()).hexdigest()


async def program_folder(names: Sequence[str], cache: Path, work: Path, report: Callable[[str], None]) -> Path:
    """A folder below `work` that holds each program as go/bin/NAME, built first where it is not cached.

    The files that a program's catalogue entry names are in go/share/NAME, as its pinned module has them.
    """
    built = await asyncio.to_thread(programs.ensure, names, cache, report)
    folder = work / f"program-{'-'.join(names)}"
    (folder / "go" / "bin").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy2(built[name], folder / "go" / "bin" / name)
        source = catalogue.SOURCES[name]
        if source.files:
            module = await asyncio.to_thread(build.module_folder, source, cache, report)
            shutil.copytree(module / source.files, folder / "go" / "share" / name, dirs_exist_ok=True)
    return folder
