"""The guard: which parts of a plan would touch data, and the exact word a person must give for each. Pure."""

import dataclasses
import shlex
from collections.abc import Collection, Iterable, Sequence

from carbon_platform.cluster.resources import ObjectName, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.content.base import ContentChange
from carbon_platform.errors import DataAtRisk
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.release.volumes import gone_or_going
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
    gone: str = ""
    """What is lost already, whether it is confirmed or not; empty when nothing is."""
    cost: str = ""
    """What is lost once it is confirmed and done; empty when nothing is."""


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
        cost = f"{name} was deleted, with the data that it held"
        yield Risk(f"delete:{place}", f"{name} holds data and would be deleted", cost=cost)
    elif change.action is Action.DELETE and name.group_kind == _STATEFUL_SET and stateful:
        yield Risk(f"delete:{place}", f"{name} would be deleted; its volumes would stay without an owner")
    elif change.action is Action.DELETE and stateful and is_custom(name.api_version, name.kind):
        cost = f"{name} was deleted, with what its operator kept for it"
        yield Risk(f"delete:{place}", f"{name} would be deleted, and with it what its operator keeps for it", cost=cost)
    if change.action is Action.REFUSED and name.group_kind == _STATEFUL_SET:
        yield Risk(f"recreate:{place}", f"{name} can only change by being created anew: {change.reason}")
    changed = change.action in {Action.UPDATE, Action.REFUSED}
    if stateful and changed and name.group_kind == "Secret" and any(field.drawn for field in change.fields):
        why = (
            f"{name} would get values that its chart draws anew; what the old ones protect could not be read with them"
        )
        cost = f"{name} got values that its chart drew anew; what the old ones protect can't be read with them"
        yield Risk(f"generate:{place}", why, cost=cost)
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


def mounts(name: ObjectName) -> bool:
    """True for a workload whose pods get empty volumes in place of lost ones when it is made again."""
    return name.group_kind in _MOUNTS


def _lost(plan: Plan, lost: Iterable[ObjectName], restarts: bool) -> Iterable[Risk]:
    """New pods get empty volumes in place of lost ones; one that was deleted under its pod goes when that pod ends."""
    written = {change.object for change in plan.changes if change.action in _WRITES}
    starts_pods = restarts or any(map(mounts, written))
    for claim in lost:
        if starts_pods or claim in written:
            why = f"{claim} is gone, and an empty volume would be made in its place"
            cost = f"{claim} with its data, in whose place an empty volume was made"
            yield Risk(word_for_empty(claim), why, gone_or_going(claim), cost)


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
            f"{', '.join(gone)} of {name}, which was generated",
            f"{', '.join(gone)} of {name}, which was generated anew; it can't read what the old value protects",
        )
        for name, gone in keys.items()
    ]


def content_risks(changes: Iterable[ContentChange], known: Collection[str]) -> list[Risk]:
    """What of content would be lost, or was there and would be made anew. `known`: what ever was there."""
    found: dict[str, Risk] = {}
    for change in changes:
        word = f"content:{change.object}"
        if change.creates and change.object in known:
            why = f"{change.object} was there and is gone, and would be made anew, empty"
            cost = f"{change.object} with what it held; it was made anew, empty"
            found[word] = Risk(word, why, f"{change.object}, which is gone with what it held", cost)
        elif change.destroys_data:
            risk, told = found.get(word), f"{change.object}: {change.change}"
            why, cost = (f"{risk.why}; {told}", f"{risk.cost}; {told}") if risk else (told, told)
            found[word] = Risk(word, why, risk.gone if risk else "", cost)
    return [*found.values()]


def command(component: str, words: Iterable[str], *, redeploy: bool = False) -> str:
    """What a person types to have a component deployed, giving these words."""
    given = [f"--confirm {shlex.quote(word)}" for word in words]
    return " ".join([f"carbon up {component}", *["--redeploy"] * redeploy, *given])


def words(change: Change, stateful: bool) -> list[str]:
    """The words without which one change is refused."""
    return [risk.word for risk in _of(change, stateful)]


def words_for(plan: Plan, stateful: bool, lost: Collection[ObjectName]) -> list[str]:
    """The words without which a plan is refused. `lost`: volumes it had."""
    return [risk.word for risk in (*risks(plan, stateful), *_lost(plan, lost, restarts=False))]


def refuse(
    component: str, found: Iterable[Risk], confirmed: Collection[str], *, redeploy: bool = False
) -> tuple[str, ...]:
    """What it costs to do what was confirmed.

    Raises DataAtRisk naming every risk that no word was given for, and the words to give.
    """
    every = list(found)
    unconfirmed = [risk for risk in every if risk.word not in confirmed]
    if unconfirmed:
        raise DataAtRisk(
            f"{component}: the plan would touch data, so nothing was changed",
            "; ".join(risk.why for risk in unconfirmed),
            f"if that is meant: {command(component, [risk.word for risk in unconfirmed], redeploy=redeploy)}",
            lost=[risk.gone for risk in every if risk.gone],
        )
    return tuple(risk.cost for risk in every if risk.cost)


def guard(
    plan: Plan,
    stateful: bool,
    confirmed: Collection[str],
    lost: Collection[ObjectName] = (),
    downgraded: Sequence[str] = (),
    *,
    restarts: bool = False,
    redeploy: bool = False,
) -> tuple[str, ...]:
    """What it costs to do what was confirmed. Raises DataAtRisk naming every unconfirmed risk and the word for each.

    `lost`: volumes it had. `downgraded`: what goes back to an older version. `restarts`: its pods start anew whatever
    the plan says; `redeploy`: because a person asked for that.
    """
    found = [*risks(plan, stateful, downgraded), *_lost(plan, lost, restarts or redeploy)]
    return refuse(plan.component, found, confirmed, redeploy=redeploy)
