"""Projects in a shell without any setting."""

import shutil
from pathlib import Path

import pytest

from tests.machine.projects import ROOT, SHOP, Project


@pytest.fixture
def here(tmp_path: Path) -> Project:
    return Project(ROOT, tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path / "shop", tmp_path, SHOP_CACHE_SIZE="64Mi")
