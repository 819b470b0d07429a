"""The drift sweep: an `in_sync` check for every release, all compared at once, on a schedule."""

from typing import Any

import dagster as dg
from dagster_async_executor import async_executor

from carbon_platform.components.old_runs import forget_old_runs
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Drift, ObjectDrift, Verdict
from carbon_platform.errors import Unreachable
from carbon_platform.release.edited import EditedField
from carbon_platform.session import shared_session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

CHECK = "in_sync"
_JOB = "drift"
_TOLD = {Verdict.IN_SYNC, Verdict.DRIFTED, Verdict.FAILED}
"""Nothing is recorded of a component that is not installed, that somebody is deploying, or whose cluster can't be
reached: Dagster then shows the check as skipped, which is neither a pass nor a failure."""


def drift_sweep(platform: Platform) -> dg.Definitions:
    """The check `in_sync` of every release, made by one operation; its job; its schedule.

    Content compares itself, in its own asset. Any of the checks can be selected alone.
    """
    releases = [key for key in platform.order if platform.components[key].release]

    @dg.multi_asset_check(
        name="drift_sweep",
        specs=[
            dg.AssetCheckSpec(CHECK, asset=key, description="Live is as it was deployed: nobody changed it since.")
            for key in releases
        ],
        can_subset=True,
    )
    async def check(context: dg.AssetCheckExecutionContext):  # type: ignore[no-untyped-def]
        wanted = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        try:
            async with shared_session(settings()) as session:
                found = await compare([platform.components[key] for key in releases if key in wanted], session)
        except Unreachable as error:
            context.log.warning(f"nothing was compared: {error}")
            found = []
        for drift in found:
            if drift.verdict in _TOLD:
                yield _result(drift)
            else:
                context.log.info(f"{drift.component.key} was not compared: {drift.reason}")
        forget_old_runs(context.instance, _JOB)

    job = dg.define_asset_job(
        _JOB,
        selection=dg.AssetSelection.checks(check),
        description="Compares every release with what was deployed.",
        executor_def=async_executor,
    )
    schedule = dg.ScheduleDefinition(
        name=f"{_JOB}_schedule",
        job=job,
        cron_schedule="*/10 * * * *",
        description="Every ten minutes.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(asset_checks=[check], jobs=[job], schedules=[schedule])


def _result(drift: Drift) -> dg.AssetCheckResult:
    corrects = drift.component.drift.policy == "correct"
    return dg.AssetCheckResult(
        passed=drift.verdict is Verdict.IN_SYNC,
        asset_key=drift.component.key,
        check_name=CHECK,
        severity=dg.AssetCheckSeverity.ERROR if corrects else dg.AssetCheckSeverity.WARN,
        description=str(drift.error or drift.reason),
        metadata=_metadata(drift),
    )


def _metadata(drift: Drift) -> dict[str, Any]:
    if drift.error:
        return {"cause": drift.error.cause, "fix": drift.error.fix}
    metadata: dict[str, Any] = {"differences": drift.differences}
    records = [_row(one, field) for one in drift.objects for field in one.fields or (EditedField("", "", one.reason),)]
    if records:
        metadata["drift"] = dg.MetadataValue.table(records)
    return metadata


def _row(one: ObjectDrift, field: EditedField) -> dg.TableRecord:
    cells = {"field": field.path, "live": field.live, "desired": field.desired, "by": field.by, "at": field.at}
    return dg.TableRecord({"object": one.object, "was": one.deed.value, **cells})
