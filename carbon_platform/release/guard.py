"""The guard: which parts of a plan would touch data, and the exact word a person must give for each. Pure."""

import dataclasses
import shlex
from collections.abc import Collection, Iterable, Sequence

from carbon_platform.cluster.resources import ObjectName, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.content.base import ContentChange
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


def risks(plan: Plan, stateful: bool, downgraded: Sequence[str] = ()) -> list[Risk]:
    """What in the plan could cost data. `downgraded`: what goes back to an older version, each with both versions."""
    found = [risk for change in plan.changes for risk in _of(change, stateful)]
    if stateful and downgraded:
        why = f"{', '.join(downgraded)} is a downgrade of a component that keeps data"
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
    if change.action is Action.REFUSED and name.group_kind == _STATEFUL_SET:
        yield Risk(f"recreate:{place}", f"{name} can only change by being created anew: {change.reason}")
    changed = change.action in {Action.UPDATE, Action.REFUSED}
    if stateful and changed and name.group_kind == "Secret" and any(field.drawn for field in change.fields):
        why = (
            f"{name} would get values that its chart draws anew; what the old ones protect could not be read with them"
        )
        yield Risk(f"generate:{place}", why)
    if stateful and changed and name.group_kind == _STATEFUL_SET and change.live and change.desired:
        before = readable(change.live)["spec"].get("replicas", 1)
        # What the chart no longer says, the API server fills in: the dry run has told.
        would_be = {field.steps: field.desired for field in change.fields}.get(("spec", "replicas"), "")
        after = int(would_be) if would_be.isdecimal() else readable(change.desired)["spec"].get("replicas", before)
        if after < before:
            yield Risk(f"scale-down:{place}", f"{name} would shrink from {before} to {after} replicas")


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


def generated_anew(needed: Iterable[str], known: Collection[str]) -> list[Risk]:
    """Secrets that had a generated value which is gone. `needed`, `known`: keys as namespace/name/key.

    A new value is another one: what was encrypted with the old one, or knows it as its password, is lost to it.
    """
    keys: dict[ObjectName, list[str]] = {}
    for place in needed:
        if place in known:
            namespace, name, key = place.split("/")
            keys.setdefault(ObjectName("v1", "Secret", namespace, name), []).append(key)
    return [
        Risk(
            f"generate:{_place(name)}",
            f"{', '.join(gone)} of {name} was generated and is gone; a new value can't read what the old one protects",
        )
        for name, gone in keys.items()
    ]


def content_risks(changes: Iterable[ContentChange], known: Collection[str]) -> list[Risk]:
    """What of content would be lost, or was there and would be made anew. `known`: what ever was there."""
    found: dict[str, Risk] = {}
    for change in changes:
        word = f"content:{change.object}"
        if change.creates and change.object in known:
            found[word] = Risk(word, f"{change.object} was there and is gone, and would be made anew, empty")
        elif change.destroys_data:
            before = f"{found[word].why}; " if word in found else ""
            found[word] = Risk(word, f"{before}{change.object}: {change.change}")
    return [*found.values()]


def refuse(component: str, found: Iterable[Risk], confirmed: Collection[str], *, redeploy: bool = False) -> None:
    """Raise DataAtRisk naming every risk that no word was given for, and the words to give."""
    open_risks = [risk for risk in found if risk.word not in confirmed]
    if open_risks:
        words = [f"--confirm {shlex.quote(risk.word)}" for risk in open_risks]
        raise DataAtRisk(
            f"{component}: the plan would touch data, so nothing was changed",
            "; ".join(risk.why for risk in open_risks),
            f"if that is meant: carbon up {component} {' '.join(['--redeploy'] * redeploy + words)}",
        )


def guard(
    plan: Plan,
    stateful: bool,
    confirmed: Collection[str],
    lost: Collection[ObjectName] = (),
    downgraded: Sequence[str] = (),
    *,
    restarts: bool = False,
    redeploy: bool = False,
) -> None:
    """Raise DataAtRisk naming every unconfirmed risk and the word to give for each.

    `lost`: volumes it had. `downgraded`: what goes back to an older version. `restarts`: its pods start anew whatever
    the plan says; `redeploy`: because a person asked for that.
    """
    found = [*risks(plan, stateful, downgraded), *_lost(plan, lost, restarts or redeploy)]
    refuse(plan.component, found, confirmed, redeploy=redeploy)
