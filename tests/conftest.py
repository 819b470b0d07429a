"""What all tests share: property tests that are the same every time, and platforms written by a test."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.definitions import Definitions

settings.register_profile("repeatable", derandomize=True, max_examples=50, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    """An empty platform, for the test to fill."""
    return Definitions(tmp_path)
