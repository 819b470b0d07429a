"""Symptoms: what shows that a component is not as it should be. Pure."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.health.cause import Cause, Kind, rank, root
from carbon_platform.health.status import status
from carbon_platform.records import Record
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.plan import Action, Change
from carbon_platform.release.render import Desired
from carbon_platform.release.vanished import vanishes
from carbon_platform.spec.platform import Component


class Sign(enum.StrEnum):
    """What sort of symptom."""

    MISSING = "missing"
    EDITED = "edited"
    ALIAS = "alias edited"
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
    """Why, where the cluster tells; filled in only for what is not ready."""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.object}: {self.cause.why if self.cause else self.text}"


Find = Callable[[ObjectName], Object | None]
"""A live object by name, or None when it is not there."""
Edits = Mapping[ObjectName, Sequence[FieldChange]]
"""Objects that are not as desired, with the fields in which they differ."""
_DETAILS = 3
_WAITS_FOR_OTHERS = frozenset({"Job.batch", "Service"})
"""A Job that runs, a Service that waits for its address: not broken, and nothing for healing to do."""


def of_release(desired: Desired, find: Find, edits: Edits) -> list[Symptom]:
    """What is wrong with the objects of a release, those that are gone first."""
    found: list[Symptom] = []
    for obj in (*desired.crds, *desired.objects):
        name = ObjectName.of(obj)
        live = find(name)
        if live is None and vanishes(obj):
            continue
        if live is None or live["metadata"].get("deletionTimestamp"):
            found.append(Symptom(Sign.MISSING, str(name), "it was deleted" if live is None else "is being deleted"))
            continue
        if edits.get(name):
            alias = group_kind(obj) == "Service" and readable(obj)["spec"].get("type") == "ExternalName"
            sign = Sign.ALIAS if alias else Sign.EDITED
            found.append(Symptom(sign, str(name), _edited(edits[name])))
        now = status(live)
        if group_kind(obj) == "Job.batch" and now.failed:
            found.append(Symptom(Sign.JOB_FAILED, str(name), now.message))
        elif not now.ready and group_kind(obj) not in _WAITS_FOR_OTHERS:
            found.append(Symptom(Sign.UNREADY, str(name), now.message))
    return [*in_order(found)]


def edits_of(found: Change | str | None) -> tuple[FieldChange, ...]:
    """The fields in which a live object is not as desired, of what a comparison found."""
    if not isinstance(found, Change):
        return ()
    if found.action in {Action.REFUSED, Action.INVALID}:
        return (FieldChange("spec", "(can't be changed in place)", found.reason),)
    return found.fields


def _edited(fields: Sequence[FieldChange]) -> str:
    told = "; ".join(f"{one.path} is {one.live}, declared is {one.desired}" for one in fields[:_DETAILS])
    return told + (f"; and {len(fields) - _DETAILS} more fields" if len(fields) > _DETAILS else "")


def of_record(component: Component, record: Record, since: str = "") -> list[Symptom]:
    """What the checks of a component last said, when they were about what is deployed, and not before `since`."""
    if record.checks_digest != component.checks_digest:
        return []
    return [
        # Content that could not be compared is not known to differ.
        Symptom(
            Sign.CONTENT if "differences" in check.evidence else Sign.CHECK, check.name, check.detail, fix=check.fix
        )
        for check in record.checks
        if not check.passed and check.name != "ready" and check.at >= since
    ]


def first_cause(symptoms: Iterable[Symptom]) -> Cause | None:
    """The cause that the cluster tells for one of them, or None."""
    return root(symptom.cause for symptom in symptoms if symptom.cause)


def in_order(symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
    """By sign; among those of one sign, what the others may wait for first."""

    def place(symptom: Symptom) -> tuple[int, int]:
        follows = len(Kind) if symptom.cause is None else rank(symptom.cause.kind)
        return list(Sign).index(symptom.sign), follows

    return tuple(sorted(symptoms, key=place))
