"""Unit tests see no settings of whoever runs them."""

import os
from collections.abc import Iterator

import pytest

from carbon_platform.settings import settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [n for n in os.environ if n.startswith("CARBON_") or n == "KUBERNETES_SERVICE_HOST"]:
        monkeypatch.delenv(name)
    settings.cache_clear()
    yield
    settings.cache_clear()
    for name in [n for n in os.environ if n.startswith("CARBON_")]:  # what the command line passes on to its children
        del os.environ[name]
