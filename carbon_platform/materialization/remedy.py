"""The remedies: what healing may force, and which objects each may touch. Pure."""

import enum
from collections.abc import Iterable, Mapping, Sequence

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked, Conflict, DataAtRisk, Overtaken
from carbon_platform.records import Record
from carbon_platform.release.history import Revision
from carbon_platform.release.plan import Action, Plan
from carbon_platform.release.volumes import gone_or_going
from carbon_platform.spec.platform import Component


class Remedy(enum.StrEnum):
    """What a healing run does beyond an ordinary materialization."""

    VERIFY = "verify"
    """Nothing: wait until it is ready, and prove that it works."""
    REAPPLY = "re-apply"
    """Put back what was deleted, and undo what was edited."""
    REPOINT = "repoint alias"
    """Put back where an alias leads."""
    RESTART = "restart"
    """A rolling restart of its workloads: for clients that did not survive what they depend on."""
    RECOPY = "copy secret again"
    """Copy what differs from the Secret that it was copied from, and restart who reads it."""
    RERUN_JOB = "re-run job"
    """Delete its failed Jobs that may run twice, and run them again."""
    WAKE = "wake"
    """Nothing to the component itself: what depends on it, and was broken or changed with it, is proven anew."""
    ROLL_BACK = "roll back"
    """Go back to the last revision that was proven to work; only where no data is kept."""


_RESTARTED = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"})
_WORKLOADS = _RESTARTED | {"Job.batch", "CronJob.batch"}
_DATA = frozenset({"PersistentVolumeClaim", "PersistentVolume", "Namespace"})
TOUCHES: Mapping[Remedy, frozenset[str]] = {
    Remedy.VERIFY: frozenset(),
    Remedy.WAKE: frozenset(),
    Remedy.REPOINT: frozenset({"Service"}),
    Remedy.RESTART: _RESTARTED,
    Remedy.RECOPY: frozenset({"Secret"}) | _RESTARTED,
    Remedy.RERUN_JOB: frozenset({"Job.batch"}),
}
"""The kinds that a remedy may write; one that is not named may write whatever its release declares, but data."""


def check_touches(remedy: Remedy, plan: Plan) -> None:
    """Raise DataAtRisk when the plan would write what no remedy may, Conflict when it would what this one may not.

    No remedy makes a volume, a namespace or a workload anew, and none deletes what a release declared before. What
    only this one may not write has changed since it was chosen: the next decision is about that.
    """
    allowed = TOUCHES.get(remedy)
    refused, beyond = [], []
    for change in plan.changes:
        kind = change.object.group_kind
        if change.action is Action.DEFERRED:
            continue
        if kind in _DATA or change.action is Action.DELETE:
            refused.append(f"{change.action} {change.object}")
        elif change.action is Action.REFUSED and kind in _WORKLOADS - {"Job.batch"}:
            refused.append(f"create {change.object} anew ({change.reason})")
        elif allowed is not None and kind not in allowed:
            beyond.append(f"{change.action} {change.object}")
    if refused:
        raise DataAtRisk(
            f"{plan.component}: healing by {remedy!s} would go too far, so nothing was changed",
            f"it may not {'; '.join(refused)}",
            f"if you want that: carbon up {plan.component}; carbon plan {plan.component} shows it before",
        )
    if beyond:
        raise Conflict(
            f"{plan.component}: more differs now than healing by {remedy!s} may change, so nothing was changed",
            f"it would {'; '.join(beyond)}",
            f"carbon up {plan.component} makes all of it; carbon plan {plan.component} shows it before",
        )


def check_wanted(
    component: Component, remedy: Remedy | None, record: Record, revisions: Iterable[Revision | None]
) -> None:
    """Raise Overtaken or Blocked when somebody took down what was to be healed: healing does not bring it back."""
    if remedy is None:
        return
    if not record.verified_at:
        raise Overtaken(
            f"{component.key}: it was taken down, so nothing was changed",
            "what healing was to repair has changed since it looked",
            f"carbon up {component.key} deploys it again",
        )
    if any(revision is None or revision.status.startswith("uninstall") for revision in revisions):
        raise Blocked(
            f"{component.key} was uninstalled, so healing leaves it",
            "Helm has no deployed revision of it any more: somebody uninstalled it, or deleted its history",
            f"if it is to be there: carbon up {component.key}",
        )


def check_volumes(component: Component, remedy: Remedy, lost: Sequence[ObjectName]) -> None:
    """Raise DataAtRisk when pods that start anew would find empty volumes. `lost`: claims gone, or about to go."""
    if lost and remedy in {Remedy.RESTART, Remedy.RECOPY, Remedy.ROLL_BACK}:
        raise DataAtRisk(
            f"{component.key}: healing by {remedy!s} could cost data, so nothing was changed",
            "; ".join(f"{claim} is gone, or goes when its pod ends" for claim in lost),
            f"bring the volumes back first; carbon up {component.key} --redeploy asks for your word on each",
            lost=[gone_or_going(claim) for claim in lost],
        )
