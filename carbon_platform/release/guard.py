"""The guard: which parts of a plan would touch data, and the exact word a person must give for each. Pure."""

import dataclasses
from collections.abc import Collection, Iterable

from carbon_platform.cluster.resources import ObjectName, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.errors import DataAtRisk
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.spec.platform import Release

_WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.REFUSED})
_STATEFUL_SET = "StatefulSet.apps"
_MOUNTS = frozenset({_STATEFUL_SET, "Deployment.apps", "DaemonSet.apps"})
_HOLDS_DATA = frozenset(
    {"PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition.apiextensions.k8s.io"}
)


@dataclasses.dataclass(frozen=True)
class Risk:
    """A change that could cost data, and the word that confirms it for that one object."""

    word: str
    why: str


def risks(plan: Plan, stateful: bool, chart_version: str | None) -> list[Risk]:
    """What in the plan could cost data. `chart_version` is the desired one; None when it is not known."""
    found = [risk for change in plan.changes for risk in _of(change, stateful)]
    if stateful and chart_version and plan.revision is not None:
        before = plan.revision.chart_version()
        if _version(chart_version) < _version(before):
            why = f"chart version {before} → {chart_version} is a downgrade of a component that keeps data"
            found.append(Risk(f"downgrade:{plan.component}", why))
    return found


def holds_data(name: ObjectName, release: Release) -> bool:
    """True when deleting it may delete data: also a custom resource for which an operator keeps some."""
    return name.group_kind in _HOLDS_DATA or (release.stateful and is_custom(name.api_version, name.kind))


def _place(name: ObjectName) -> str:
    return f"{name.kind}/{name.namespace}/{name.name}" if name.namespace else f"{name.kind}/{name.name}"


def _of(change: Change, stateful: bool) -> Iterable[Risk]:
    name, place = change.object, _place(change.object)
    if change.action is Action.DELETE and name.group_kind in _HOLDS_DATA:
        yield Risk(f"delete:{place}", f"{name} holds data and would be deleted")
    elif change.action is Action.DELETE and name.group_kind == _STATEFUL_SET and stateful:
        yield Risk(f"delete:{place}", f"{name} would be deleted; its volumes would stay without an owner")
    elif change.action is Action.DELETE and stateful and is_custom(name.api_version, name.kind):
        yield Risk(f"delete:{place}", f"{name} would be deleted, and with it what its operator keeps for it")
    if change.action is Action.REFUSED and name.group_kind in {_STATEFUL_SET, *_HOLDS_DATA}:
        yield Risk(f"recreate:{place}", f"{name} can only change by being created anew: {change.reason}")
    changed = change.action in {Action.UPDATE, Action.REFUSED}
    if stateful and changed and name.group_kind == _STATEFUL_SET and change.live and change.desired:
        before = readable(change.live)["spec"].get("replicas", 1)
        # What the chart no longer says, the API server fills in: the dry run has told.
        would_be = {field.steps: field.desired for field in change.fields}.get(("spec", "replicas"), "")
        after = int(would_be) if would_be.isdecimal() else readable(change.desired)["spec"].get("replicas", before)
        if after < before:
            yield Risk(f"scale-down:{place}", f"{name} would shrink from {before} to {after} replicas")


def _version(text: str) -> tuple[int, ...]:
    core = text.lstrip("v").partition("+")[0].partition("-")[0]
    return tuple(int(part) for part in core.split(".") if part.isdigit())


def word_for_empty(claim: ObjectName) -> str:
    """The word with which a person accepts an empty volume in a lost one's place."""
    return f"empty:{_place(claim)}"


def _lost(plan: Plan, lost: Iterable[ObjectName], restarts: bool) -> Iterable[Risk]:
    """New pods get empty volumes in place of lost ones; one that was deleted under its pod goes when that pod ends."""
    written = {change.object for change in plan.changes if change.action in _WRITES}
    starts_pods = restarts or any(name.group_kind in _MOUNTS for name in written)
    for claim in lost:
        if starts_pods or claim in written:
            yield Risk(word_for_empty(claim), f"{claim} is gone, and an empty volume would be made in its place")


def guard_made_anew(component: str, gone: Collection[ObjectName], confirmed: Collection[str]) -> None:
    """Raise DataAtRisk unless a person gave the word for each generated Secret that was there and is gone.

    A new value is another one: what was encrypted with the old one, or knows it as its password, is lost to it.
    """
    words = [word for name in gone if (word := f"generate:{_place(name)}") not in confirmed]
    if words:
        raise DataAtRisk(
            f"{component}: {', '.join(map(str, gone))} was deployed and is gone, so nothing was changed",
            "new values would be generated, and what the old ones protect could not be read with them",
            f"restore it; if new values are meant: carbon up {component} {' '.join(f'--confirm {w}' for w in words)}",
        )


def guard(
    plan: Plan,
    stateful: bool,
    chart_version: str | None,
    confirmed: Collection[str],
    lost: Collection[ObjectName] = (),
    *,
    restarts: bool = False,
) -> None:
    """Raise DataAtRisk naming every unconfirmed risk and the word to give for each.

    `lost`: volumes it had. `restarts`: its pods start anew whatever the plan says.
    """
    found = [*risks(plan, stateful, chart_version), *_lost(plan, lost, restarts)]
    open_risks = [risk for risk in found if risk.word not in confirmed]
    if open_risks:
        words = " ".join(["--redeploy"] * restarts + [f"--confirm {risk.word}" for risk in open_risks])
        raise DataAtRisk(
            f"{plan.component}: the plan would touch data, so nothing was changed",
            "; ".join(risk.why for risk in open_risks),
            f"if that is meant: carbon up {plan.component} {words}",
        )
