"""The files that a platform is made of, and whether one of them has changed."""

import os
from collections.abc import Iterable
from pathlib import Path

from carbon_platform.spec.platform import Platform


def taken_in_by(platform: Platform) -> set[Path]:
    """Chart folders, and files that definitions take in."""
    releases = [one.release for one in platform.components.values() if one.release]
    return {path for one in releases for path in (one.chart.folder, *one.files) if path}


def files_below(folders: Iterable[Path]) -> Iterable[Path]:
    """All files below; linked folders (a vendored library chart) are followed. With a file, its folder: others come."""
    for folder in folders:
        if folder.is_file():
            yield from (folder, folder.parent)
        for place, _, names in os.walk(folder, followlinks=True):
            yield from (Path(place, name) for name in names)


def stamp(files: Iterable[Path]) -> tuple[tuple[str, int], ...]:
    """Changes when a file does, comes or goes."""
    return tuple(sorted((str(file), file.stat().st_mtime_ns) for file in files))
