"""Schedules that verify components when their defs.yaml says so."""

import dagster as dg
from dagster_async_executor import async_executor

from carbon_platform.components.asset import check_names
from carbon_platform.spec.platform import Platform

_WORDS = str.maketrans({"*": "all", ",": "and", "-": "to", "/": "by", "#": "nth", "?": "any"})
"""What a name can't hold of a cron line, in words: two schedules never get one name."""


def verification_schedules(platform: Platform) -> list[dg.ScheduleDefinition]:
    """One schedule for each cron line in use; it runs the checks of the components that have it."""
    by_cron: dict[str, list[str]] = {}
    for key in platform.order:
        cron = platform.components[key].cron
        if cron:
            by_cron.setdefault(cron, []).append(key)
    return [_schedule(cron, keys, platform) for cron, keys in sorted(by_cron.items())]


def _schedule(cron: str, keys: list[str], platform: Platform) -> dg.ScheduleDefinition:
    name = "verify_" + "_".join(part.lower().translate(_WORDS) for part in cron.split())
    checks = [
        dg.AssetCheckKey(dg.AssetKey(key), check) for key in keys for check in check_names(platform.components[key])
    ]
    job = dg.define_asset_job(name, selection=dg.AssetSelection.checks(*checks), executor_def=async_executor)
    return dg.ScheduleDefinition(
        name=f"{name}_schedule",
        job=job,
        cron_schedule=cron,
        description=f"Verifies {', '.join(keys)}.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
