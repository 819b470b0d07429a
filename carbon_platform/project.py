"""The dg project that one stands in: its definitions are the platform, where nobody says otherwise."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILES = {"dg.toml": (), "pyproject.toml": ("tool", "dg")}
"""Where a project says that it is one, and below which keys."""


def definitions_of(start: Path) -> Path | None:
    """The folder of definitions of the dg project that `start` is in; None when it is in none, or has none."""
    for folder in (start, *start.parents):
        for name, keys in _FILES.items():
            told = _read(folder / name, keys)
            if told.get("directory_type") == "project":
                return _defs_folder(folder, told.get("project") or {})
    return None


def _read(file: Path, keys: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or not for us to tell what is wrong with it
        return {}
    for key in keys:
        found = found.get(key) or {}
    return found if isinstance(found, Mapping) else {}


def _defs_folder(root: Path, told: Mapping[str, Any]) -> Path | None:
    """As dg finds it: the module `defs_module`, by default `<root_module>.defs`, below the root or its src/."""
    module = str(told.get("defs_module") or f"{told.get('root_module')}.defs")
    places = [root / "src", root]
    return next((found for place in places if (found := place.joinpath(*module.split("."))).is_dir()), None)
