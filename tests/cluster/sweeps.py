"""The sweeps in a test's own process, as Dagster runs them, and what it keeps of them."""

import dagster as dg

from carbon_platform.definitions import defs


def sweep(job: str, instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """What the run of a sweep's job told of each component; the run itself has to end well."""
    done = defs().resolve_job_def(job).execute_in_process(instance=instance)
    assert done.success
    return {one.asset_key.to_user_string(): one for one in done.get_asset_check_evaluations()}


def skipped(component: str, check: str, instance: dg.DagsterInstance) -> bool:
    """True when Dagster shows a check as skipped: planned once, in a run that ended well, and never evaluated."""
    key = dg.AssetCheckKey(dg.AssetKey(component), check)
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    run = instance.get_run_by_id(record.run_id)
    assert run is not None
    return (record.status.value, run.status) == ("PLANNED", dg.DagsterRunStatus.SUCCESS)
