"""What all tests share: property tests that are the same every time, and platforms written by a test."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.definitions import Definitions

settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=50,
    deadline=None,
    database=None,
    # How long examples take to make says something of the machine alone.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

E2E = "tests/e2e/"
"""Where the tests are that share one platform."""


class AroundOnePlatform(LoadScopeScheduling):
    """What works on the platform goes one after the other, on one worker; other files are handed out beside that.

    `--dist loadgroup` is no way to say so: it renames tests, which pytest 9 does not let it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return E2E if nodeid.startswith(E2E) else nodeid.split("::", 1)[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> AroundOnePlatform | None:
    """Takes the place of `--dist loadfile`."""
    return AroundOnePlatform(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    """An empty platform, for the test to fill."""
    return Definitions(tmp_path)
