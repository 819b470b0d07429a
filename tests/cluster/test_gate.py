"""A data asset runs while what it needs is verified, and says what is wrong while it is not."""

import asyncio

import dagster as dg
import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.components import gate, require_verified
from carbon_platform.errors import ConfigurationError
from carbon_platform.session import Session
from tests.cluster.platform import Platform


@dg.asset(deps=["app"])
@require_verified("app")
def orders() -> int:
    """Blocks its thread, as most do."""
    return 1


@dg.asset
@require_verified("app")
async def prices(context: dg.AssetExecutionContext) -> str:
    """Runs in a loop, and takes what Dagster gives."""
    return context.asset_key.to_user_string()


@pytest.fixture
def gated(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    platform.define()
    monkeypatch.setattr(gate, "settings", platform.settings)
    monkeypatch.setattr(gate, "platform", platform.load)
    return platform


def failures(done: dg.ExecuteInProcessResult) -> dict[str, dg.Failure]:
    """What each failed step raised."""
    events = [event for event in done.all_events if event.is_step_failure]
    return {str(e.step_key): e.step_failure_data.user_failure_data for e in events}  # type: ignore[misc]


async def test_a_data_asset_runs_while_what_it_needs_is_verified(gated: Platform, session: Session, api: Api) -> None:
    def run() -> dg.ExecuteInProcessResult:
        return dg.materialize([orders, prices], raise_on_error=False)

    done = await asyncio.to_thread(run)
    told = failures(done)
    assert set(told) == {"orders", "prices"}
    assert told["orders"].description == "app is absent, not verified: not installed"
    metadata = told["orders"].metadata
    assert metadata["component"] == dg.MetadataValue.asset(dg.AssetKey("app"))
    assert metadata["fix"].value == "carbon doctor app"

    assert (await gated.up(session)).verified
    done = await asyncio.to_thread(run)
    assert done.success
    assert done.output_for_node("prices") == "prices"

    await api.delete(gated.name("Deployment", "app"))
    told = failures(await asyncio.to_thread(run))
    assert "app is degraded, not verified: " in str(told["prices"].description)
    assert "Deployment app is gone" in str(told["prices"].description)

    assert (await gated.up(session)).verified
    assert (await asyncio.to_thread(run)).success


async def test_a_component_that_there_is_not_is_told_with_those_there_are(gated: Platform) -> None:
    @dg.asset
    @require_verified("ap")
    def mistaken() -> None: ...

    with pytest.raises(ConfigurationError, match="ap is required to be verified, and is no component"):
        await asyncio.to_thread(dg.materialize, [mistaken])


def test_nothing_required_is_a_mistake_in_the_code() -> None:
    with pytest.raises(TypeError, match="name what is required"):
        require_verified()
