"""Symptoms: what shows that a component is not as it should be. Pure."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.health.cause import Cause, Kind, rank, root
from carbon_platform.health.deletion import being_deleted, deleted_since
from carbon_platform.health.status import status
from carbon_platform.records import OUTDATED_COPIES, CheckResult, Record
from carbon_platform.release.desired import Desired
from carbon_platform.release.edited import EditedField, edited_fields
from carbon_platform.release.guard import command, words
from carbon_platform.release.plan import Action, Change
from carbon_platform.release.vanished import vanishes
from carbon_platform.spec.platform import Component


class Sign(enum.StrEnum):
    """What sort of symptom."""

    MISSING = "missing"
    EDITED = "edited"
    ALIAS = "alias edited"
    COPY = "copied secret differs"
    UNREADY = "not ready"
    JOB_FAILED = "job failed"
    CHECK = "check failed"
    CONTENT = "content differs"


DIFFERS = frozenset({Sign.MISSING, Sign.EDITED, Sign.ALIAS, Sign.CONTENT})
"""Live is not as declared: only what writes can put that right."""


@dataclasses.dataclass(frozen=True)
class Symptom:
    """One thing that is wrong with a component."""

    sign: Sign
    object: str
    """The object, or the name of the check."""
    text: str
    """One sentence, without the object."""
    cause: Cause | None = None
    """Why, where the cluster tells; filled in only for what is not ready, or being deleted."""
    fix: str = ""
    since: float = 0.0
    """When it began, in seconds since the epoch; told only of what is being deleted."""
    edits: tuple[EditedField, ...] = ()
    """What somebody changed of the object."""

    @property
    def going(self) -> bool:
        """True of an object that is being deleted and still there: nothing can be written in its place."""
        return self.sign is Sign.MISSING and self.cause is not None and self.cause.kind is Kind.FINALIZER

    def __str__(self) -> str:
        return f"{self.object}: {self.cause.why if self.cause else self.text}"


Find = Callable[[ObjectName], Object | None]
"""A live object by name, or None when it is not there."""
Edits = Mapping[ObjectName, Change]
"""Objects that somebody edited, with what would put them back."""
_DETAILS = 3
_WAITS_FOR_OTHERS = frozenset({"Job.batch", "Service"})
"""A Job that runs, a Service that waits for its address: not broken, and nothing for healing to do."""


def of_release(desired: Desired, find: Find, edits: Edits, key: str = "", *, stateful: bool = False) -> list[Symptom]:
    """What is wrong with the objects of a release, those that are gone first.

    `key`: of the component, which keeps data where it is `stateful`: what puts back what was changed names it.
    """
    found: list[Symptom] = []
    for obj in desired.everything:
        name = ObjectName.of(obj)
        live = find(name)
        if live is None and vanishes(obj):
            continue
        if live is None:
            found.append(Symptom(Sign.MISSING, str(name), "it was deleted", fix=command(key, ()) if key else ""))
            continue
        going = being_deleted(live)
        if going:
            since = deleted_since(live)
            found.append(Symptom(Sign.MISSING, str(name), going.why, going, going.fix, since=since))
            continue
        if name in edits:
            alias = group_kind(obj) == "Service" and readable(obj)["spec"].get("type") == "ExternalName"
            sign, fields = Sign.ALIAS if alias else Sign.EDITED, edits_of(edits[name])
            fix = command(key, words(edits[name], stateful)) if key else ""
            found.append(Symptom(sign, str(name), _edited(fields), fix=fix, edits=fields))
        now = status(live, desired.rules)
        if group_kind(obj) == "Job.batch" and now.failed:
            found.append(Symptom(Sign.JOB_FAILED, str(name), now.message))
        elif not now.ready and group_kind(obj) not in _WAITS_FOR_OTHERS:
            found.append(Symptom(Sign.UNREADY, str(name), now.message))
    return [*in_order(found)]


def edit_of(found: Change | str | None) -> Change | None:
    """What a comparison found, where that is an edit that can be put back."""
    return found if isinstance(found, Change) and edits_of(found) else None


def edits_of(found: Change) -> tuple[EditedField, ...]:
    """The fields in which a live object is not as desired, with who changed them; as drift tells them."""
    if found.action in {Action.OWNED, Action.INVALID}:
        return ()  # told by a plan and by drift: it is somebody else's, or nothing that is applied could mend it
    if found.action is Action.REFUSED:
        return (EditedField("spec", "(can't be changed in place)", found.reason),)
    return edited_fields(found)


def _edited(fields: Sequence[EditedField]) -> str:
    told = "; ".join(one.head for one in fields[:_DETAILS])
    return told + (f"; and {len(fields) - _DETAILS} more fields" if len(fields) > _DETAILS else "")


def of_record(component: Component, record: Record, since: str = "") -> list[Symptom]:
    """What the checks of a component last said, when they were about what is deployed, and not before `since`."""
    if record.checks_digest != component.checks_digest:
        return []
    return [
        Symptom(_sign(check), check.name, check.detail, fix=check.fix)
        for check in record.checks
        if check.failed and (check.name != "ready" or OUTDATED_COPIES in check.evidence) and check.at >= since
    ]


def _sign(check: CheckResult) -> Sign:
    if OUTDATED_COPIES in check.evidence:
        return Sign.COPY
    # Content that could not be compared is not known to differ.
    return Sign.CONTENT if "differences" in check.evidence else Sign.CHECK


@dataclasses.dataclass(frozen=True)
class CauseKey:
    """What makes two incidents of one component the same one again. Words, as they are stored."""

    sign: str
    object: str
    kind: str = ""
    """Of the cause; empty when it was never told."""

    def same(self, other: "CauseKey") -> bool:
        """True when both may be one fault: a cause that was not told could be either."""
        unlike = self.kind and other.kind and self.kind != other.kind
        return (self.sign, self.object) == (other.sign, other.object) and not unlike


def told_first(symptoms: Sequence[Symptom]) -> Symptom:
    """The one that an incident is about: what can be healed now comes before what is still being deleted."""
    return next((symptom for symptom in symptoms if not symptom.going), symptoms[0])


def told_cause(symptoms: Sequence[Symptom]) -> Symptom:
    """The one that says why. What somebody changed is the cause itself, whatever the pods say meanwhile."""
    first = told_first(symptoms)
    return first if first.sign in DIFFERS else next((symptom for symptom in symptoms if symptom.cause), first)


def key_of(symptoms: Sequence[Symptom]) -> CauseKey:
    """What an incident with these symptoms would be known by."""
    first, cause = told_first(symptoms), told_cause(symptoms).cause
    return CauseKey(first.sign.value, first.object, cause.kind.value if cause else "")


def first_cause(symptoms: Iterable[Symptom]) -> Cause | None:
    """The cause that the cluster tells for one of them, or None."""
    return root(symptom.cause for symptom in symptoms if symptom.cause)


def in_order(symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
    """By sign; among those of one sign, what the others may wait for first."""

    def place(symptom: Symptom) -> tuple[int, int]:
        follows = len(Kind) if symptom.cause is None else rank(symptom.cause.kind)
        return list(Sign).index(symptom.sign), follows

    return tuple(sorted(symptoms, key=place))
