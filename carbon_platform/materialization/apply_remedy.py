"""What a remedy does by itself, before the ordinary plan is applied."""

import dataclasses
import json
from collections.abc import Collection, Sequence

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.errors import Blocked
from carbon_platform.health.status import status
from carbon_platform.materialization.apply import restart
from carbon_platform.materialization.outcome import Steps
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record
from carbon_platform.release.copies import Copied, copies_read
from carbon_platform.release.desired import Desired
from carbon_platform.release.history import Revision, revisions
from carbon_platform.spec.platform import Component
from carbon_platform.spec.rules import NO_RULES, Rules

IDEMPOTENT = "carbon/idempotent"
"""Annotation with which a chart says of a Job that running it twice does no harm."""


async def treat(remedy: Remedy | None, component: Component, desired: Desired, api: Api, steps: Steps) -> list[str]:
    """What was done, each as a sentence's end; the release's lease is held."""
    if remedy is Remedy.RESTART:
        with steps.timed(Step.APPLY, "restarts its workloads, one pod after the other"):
            return [f"restarted {name}" for name in await restart(desired, api)]
    if remedy is Remedy.RERUN_JOB:
        with steps.timed(Step.APPLY, "runs its failed jobs again"):
            return [f"deleted {name}, to run again" for name in await _delete_failed_jobs(desired, api)]
    return []


async def restart_readers(
    copies: Collection[Copied], reading: Sequence[Object], desired: Desired, api: Api
) -> list[str]:
    """Restart who reads what was copied again; what was done."""
    if not copies:
        return []
    restarted = await restart(dataclasses.replace(desired, objects=tuple(reading)), api)
    await copies_read(copies, api)
    return [f"restarted {name}, which reads what was copied" for name in restarted]


async def _delete_failed_jobs(desired: Desired, api: Api) -> list[ObjectName]:
    failed = []
    for obj in desired.objects:
        if group_kind(obj) == "Job.batch" and may_run_again(obj, desired.rules):
            name = ObjectName.of(obj)
            live = await api.get(name)
            if live is not None and status(live).failed:
                await api.delete(name)
                failed.append(name)
    return failed


def may_run_again(job: Object, rules: Rules = NO_RULES) -> bool:
    """True when its chart, or its definition, says that running it twice does no harm."""
    annotations = readable(job)["metadata"].get("annotations", {})
    return annotations.get(IDEMPOTENT) == "true" or rules.may_run_twice(job)


async def roll_back_target(component: Component, record: Record, api: Api) -> Revision:
    """The revision to go back to. Raises Blocked when there is none, or going back could cost data."""
    release = component.release
    assert release is not None, "only releases have revisions"
    every = await revisions(api, release)
    found = [r for r in every if r.number == record.verified_revision]
    why = ""
    if release.stateful:
        why = "it keeps data, and an older program may not read what a newer one wrote"
    elif not found:
        why = "Helm no longer has a revision of it that was proven to work"
    elif every[-1].number == record.verified_revision:
        why = f"revision {record.verified_revision}, which is deployed, is the last that was proven to work"
    elif _jobs(every[-1]) - _jobs(found[0]):
        why = (
            f"revision {every[-1].number} has run jobs of its own, which may have changed data that older programs read"
        )
    if why:
        raise Blocked(f"{component.key} can't be rolled back; nothing was changed", why, "correct its definition")
    return found[0]


def _jobs(revision: Revision) -> set[str]:
    """Its Jobs, hooks among them, as text: a migration of another version is another text."""
    objects = [*revision.applied, *revision.hooks]
    return {json.dumps(obj, sort_keys=True) for obj in objects if group_kind(obj) == "Job.batch"}
