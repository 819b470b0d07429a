"""The sweeps in a test's own process, and what Dagster keeps of them."""

import asyncio

import dagster as dg

from carbon_platform.components import drift, sweep
from carbon_platform.components.definition import platform

_LOOKS = {"healthy": sweep.look, "in_sync": drift.look}


def swept(check: str, instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """What the sweep that makes this check tells of each component now, of which nothing was told before."""
    before = {key: len(history(key, check, instance)) for key in platform().components}
    asyncio.run(_LOOKS[check](instance))
    assert instance.get_runs() == [], "a sweep leaves no run"
    now = {key: history(key, check, instance) for key in platform().components}
    return {key: told[0] for key, told in now.items() if len(told) > before[key]}


def history(component: str, check: str, instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """What was ever told, the newest first. Nothing is planned: it would be shown as not passed meanwhile."""
    key = dg.AssetCheckKey(dg.AssetKey(component), check)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    told = [record.evaluation for record in records if record.evaluation]
    assert all(isinstance(one, dg.AssetCheckEvaluation) for one in told)
    return told
