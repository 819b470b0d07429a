"""The health sweep as one check of all components, and the schedule that runs it."""

import datetime
from typing import Any

import dagster as dg
from dagster_async_executor import async_executor

from carbon_platform.components.old_runs import forget_old_runs
from carbon_platform.errors import Unreachable
from carbon_platform.healing.sweep import Swept, sweep
from carbon_platform.session import shared_session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

HEALTHY = "healthy"
_JOB = "health"
_UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_LONGEST = datetime.timedelta(minutes=5)
"""A sweep that is not over by then was killed, or hangs: another may begin."""
_SETTLE_SECONDS = 4.0
"""A check that fails is tried again for so long: what one packet lost is no finding."""


def health_sweep(platform: Platform) -> dg.Definitions:
    """The check `healthy` of every component, made by one operation; its job; its schedule."""

    @dg.multi_asset_check(
        name="health_sweep",
        specs=[
            dg.AssetCheckSpec(HEALTHY, asset=key, description="Every one of its checks passes now.")
            for key in platform.order
        ],
        can_subset=True,
    )
    async def check(context: dg.AssetCheckExecutionContext):  # type: ignore[no-untyped-def]
        wanted = [key.asset_key.to_user_string() for key in context.selected_asset_check_keys]
        try:
            async with shared_session(settings()) as session:
                swept = await sweep(platform, wanted, session, _SETTLE_SECONDS)
        except Unreachable as error:
            swept = [Swept(key, unknown=error.summary) for key in wanted]
        for one in swept:
            if one.unknown:
                # No evaluation: Dagster then shows the check as skipped, and what was known of it stays.
                context.log.info(f"{one.component} is unknown: {one.unknown}")
            else:
                yield _result(one)
        # One run a minute would fill the disk and the list of runs.
        forget_old_runs(context.instance, _JOB)

    job = dg.define_asset_job(
        _JOB,
        selection=dg.AssetSelection.checks(check),
        description="Runs every check of every component.",
        executor_def=async_executor,
        # A check that hangs in a thread keeps its process alive, and with it a place among the runs.
        tags={"dagster/max_runtime": str(int(_LONGEST.total_seconds()))},
    )

    @dg.schedule(
        name=f"{_JOB}_schedule",
        job=job,
        cron_schedule="* * * * *",
        description="Every minute, unless the sweep before still runs.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        lately = datetime.datetime.now(datetime.UTC) - _LONGEST
        unfinished = dg.RunsFilter(job_name=_JOB, statuses=_UNFINISHED, created_after=lately)
        if context.instance.get_run_ids(unfinished, limit=1):
            return dg.SkipReason("the sweep before still runs")
        return dg.RunRequest()

    return dg.Definitions(asset_checks=[check], jobs=[job], schedules=[schedule])


def _result(swept: Swept) -> dg.AssetCheckResult:
    failed = [check for check in swept.checks if check.failed]
    lines = [f"{check.name}: {check.detail}" for check in failed]
    metadata: dict[str, Any] = {
        "checks_passed": len(swept.checks) - len(failed),
        "checks": len(swept.checks),
        **{f"seconds_{check.name}": round(check.seconds, 3) for check in swept.checks},
    }
    if failed:
        metadata["cause"] = "\n".join(lines)
        metadata["fix"] = next((check.fix for check in failed if check.fix), "")
        told = [f"{check.name}: {name} {value}" for check in failed for name, value in check.evidence.items()]
        metadata |= {"evidence": "\n".join(told)} if told else {}
    return dg.AssetCheckResult(
        passed=swept.healthy,
        asset_key=swept.component,
        check_name=HEALTHY,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(lines) or f"all {len(swept.checks)} checks passed",
        metadata=metadata,
    )
