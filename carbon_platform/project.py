"""dg projects: the definitions of the one that one stands in are the platform, where nobody says otherwise."""

import dataclasses
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILES = {"dg.toml": (), "pyproject.toml": ("tool", "dg")}
"""Where a project says that it is one, and below which keys."""


@dataclasses.dataclass(frozen=True)
class Project:
    """A dg project, as its configuration says and dg takes it."""

    root: Path
    name: str
    """Of its code location."""
    module: str
    """What Dagster loads of it."""
    source: Path
    """The folder in which its modules are found."""
    definitions: Path | None
    """Its folder of definitions; None when there is none."""

    @property
    def file(self) -> Path:
        """Where its module should be."""
        return self.source.joinpath(*self.module.split(".")).with_suffix(".py")

    def make_importable(self) -> None:
        """Its modules come before others of their name, as for dg; also when it is not installed."""
        if str(self.source) not in sys.path:
            sys.path.insert(0, str(self.source))


def project_of(start: Path) -> Project | None:
    """The dg project that `start` is in; None when it is in none."""
    for folder in (start, *start.parents):
        for name, keys in _FILES.items():
            told = _read(folder / name, keys)
            if told.get("directory_type") == "project":
                return _project(folder, told.get("project") or {})
    return None


def project_with(definitions: Path) -> Project | None:
    """The dg project whose definitions are in this very folder; None when it is not such a folder."""
    found = project_of(definitions.absolute())
    ours = found is not None and found.definitions is not None and found.definitions.resolve() == definitions.resolve()
    return found if ours else None


def _read(file: Path, keys: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or not for us to tell what is wrong with it
        return {}
    for key in keys:
        found = found.get(key) or {}
    return found if isinstance(found, Mapping) else {}


def _project(root: Path, told: Mapping[str, Any]) -> Project:
    """As dg reads it: `defs_module` is by default `<root_module>.defs`, and the code is below src/ or the root."""
    package = str(told.get("root_module"))
    defs = str(told.get("defs_module") or f"{package}.defs").split(".")
    source = next((place for place in (root / "src", root) if place.joinpath(*defs).is_dir()), root)
    folder = source.joinpath(*defs)
    return Project(
        root,
        str(told.get("code_location_name") or root.name),
        str(told.get("code_location_target_module") or f"{package}.definitions"),
        source,
        folder if folder.is_dir() else None,
    )
