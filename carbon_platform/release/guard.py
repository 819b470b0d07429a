"""The guard: which parts of a plan would touch data, and the exact word a person must give for each. Pure."""

import dataclasses
from collections.abc import Collection, Iterable

from carbon_platform.errors import DataAtRisk
from carbon_platform.release.plan import Action, Change, Plan

_HOLDS_DATA = frozenset({"PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition"})


@dataclasses.dataclass(frozen=True)
class Risk:
    """A change that could cost data, and the word that confirms it for that one object."""

    word: str
    why: str


def risks(plan: Plan, stateful: bool, chart_version: str | None) -> list[Risk]:
    """What in the plan could cost data. `chart_version` is the desired one; None when it is not known."""
    found = [risk for change in plan.changes for risk in _of(change, stateful)]
    if stateful and chart_version and plan.revision is not None and plan.revision.status == "deployed":
        before = plan.revision.chart_version()
        if _version(chart_version) < _version(before):
            why = f"chart version {before} → {chart_version} is a downgrade of a component that keeps data"
            found.append(Risk(f"downgrade:{plan.component}", why))
    return found


def _of(change: Change, stateful: bool) -> Iterable[Risk]:
    name = change.object
    place = f"{name.kind}/{name.namespace}/{name.name}" if name.namespace else f"{name.kind}/{name.name}"
    if change.action is Action.DELETE and name.kind in _HOLDS_DATA:
        yield Risk(f"delete:{place}", f"{name} holds data and would be deleted")
    elif change.action is Action.DELETE and name.kind == "StatefulSet" and stateful:
        yield Risk(f"delete:{place}", f"{name} would be deleted; its volumes would stay without an owner")
    if change.action is Action.REFUSED and name.kind in {"StatefulSet", *_HOLDS_DATA}:
        yield Risk(f"recreate:{place}", f"{name} can only change by being created anew: {change.reason}")
    changed = change.action in {Action.UPDATE, Action.REFUSED}
    if stateful and changed and name.kind == "StatefulSet" and change.live and change.desired:
        before = change.live["spec"].get("replicas", 1)
        after = change.desired["spec"].get("replicas", before)
        if after < before:
            yield Risk(f"scale-down:{place}", f"{name} would shrink from {before} to {after} replicas")


def _version(text: str) -> tuple[int, ...]:
    core = text.lstrip("v").partition("+")[0].partition("-")[0]
    return tuple(int(part) for part in core.split(".") if part.isdigit())


def guard(plan: Plan, stateful: bool, chart_version: str | None, confirmed: Collection[str]) -> None:
    """Raise DataAtRisk naming every unconfirmed risk and the word to give for each."""
    open_risks = [risk for risk in risks(plan, stateful, chart_version) if risk.word not in confirmed]
    if open_risks:
        words = " ".join(f"--confirm {risk.word}" for risk in open_risks)
        raise DataAtRisk(
            f"{plan.component}: the plan would touch data, so nothing was changed",
            "; ".join(risk.why for risk in open_risks),
            f"if that is meant: carbon up {plan.component} {words}",
        )
