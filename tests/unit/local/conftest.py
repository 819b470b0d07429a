"""What tests of the local cluster share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder whose path is short enough for a cluster's sockets, however the tests are run."""
    return tmp_path_factory.mktemp("c")
