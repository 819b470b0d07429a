"""The health sweep as a check of Dagster; what it finds is tested with the sweep itself."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.components import sweep
from carbon_platform.healing.sweep import Swept
from tests.definitions import Definitions


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the sweep on a cluster where every component is healthy; the components that it found so."""
    definitions = Definitions(tmp_path)
    definitions.chart()
    for key in ("one", "two"):
        definitions.release(key)
    swept = sweep.health_sweep(definitions.load())

    @contextlib.asynccontextmanager
    async def no_session(_settings: object) -> AsyncIterator[None]:
        yield

    async def healthy(_platform: object, keys: list[str], *_: object) -> list[Swept]:
        return [Swept(key) for key in keys]

    monkeypatch.setattr(sweep, "shared_session", no_session)
    monkeypatch.setattr(sweep, "sweep", healthy)

    def run() -> list[str]:
        result = swept.resolve_job_def("health").execute_in_process()
        return sorted(e.asset_key.to_user_string() for e in result.get_asset_check_evaluations() if e.passed)

    return run


def test_the_sweep_tells_of_every_component(found: Any) -> None:
    assert found() == ["one", "two"]
