"""Bringing the stand-in's image onto the local node, by Carbon's own way of making images."""

import asyncio
import shutil
from pathlib import Path

from carbon_platform.local.images.provision import ensure
from carbon_platform.local.images.recipes import default_folder

REFERENCE = "localhost/carbon/dolphinscheduler-stand-in:3.4.2"
_BASE = "base-bookworm"


def provide_image(folder: Path) -> None:
    """Have the image on the node; `folder` is an empty one for the recipe beside its base, without compiled files."""
    (folder / _BASE).symlink_to(default_folder() / _BASE)
    recipe = folder / "dolphinscheduler-stand-in"
    shutil.copytree(Path(__file__).parent, recipe, ignore=shutil.ignore_patterns("__pycache__", "image.py"))
    asyncio.run(ensure([REFERENCE], lambda *_: None, folder=folder))
