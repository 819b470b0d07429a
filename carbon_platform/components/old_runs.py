"""Sweeps leave a run behind each time; the old ones are removed."""

import datetime

import dagster as dg

_KEPT = datetime.timedelta(hours=6)
_REMOVED_AT_ONCE = 20


def forget_old_runs(instance: dg.DagsterInstance, job: str) -> None:
    """Remove runs of a job that are older than six hours, some at a time."""
    before = datetime.datetime.now(datetime.UTC) - _KEPT
    for run in instance.get_runs(dg.RunsFilter(job_name=job, created_before=before), limit=_REMOVED_AT_ONCE):
        instance.delete_run(run.run_id)
