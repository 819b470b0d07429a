"""What the drift of a component is, and how a planned change becomes one. Pure."""

import dataclasses
import enum
from collections.abc import Iterable

from carbon_platform.content.base import ContentChange
from carbon_platform.errors import CarbonError
from carbon_platform.release.difference import ABSENT_TEXT
from carbon_platform.release.edited import EditedField, edited_fields
from carbon_platform.release.history import Revision, made_by_others
from carbon_platform.release.plan import Action, Change
from carbon_platform.release.vanished import vanishes
from carbon_platform.spec.platform import Component


class Verdict(enum.StrEnum):
    """How a component compares."""

    IN_SYNC = "in_sync"
    DRIFTED = "drifted"
    ABSENT = "absent"
    """Not installed: there is nothing to compare."""
    DEPLOYING = "deploying"
    """Somebody is at work on it: what differs now is not drift."""
    FAILED = "failed"
    """It could not be compared; the error says why."""
    UNKNOWN = "unknown"
    """The API server can't be reached."""


class Deed(enum.StrEnum):
    """What was done to an object."""

    DELETED = "deleted"
    EDITED = "edited"
    ADDED = "added to"
    """Only fields that nobody declared were added."""
    REVISED = "revised"
    """Somebody installed, upgraded or rolled back the release with Helm itself."""
    OWNED = "owned by another"
    """Somebody else's program has it."""


@dataclasses.dataclass(frozen=True)
class ObjectDrift:
    """One object that is not as it was deployed."""

    deed: Deed
    object: str
    fields: tuple[EditedField, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Drift:
    """One component, compared."""

    component: Component
    verdict: Verdict
    objects: tuple[ObjectDrift, ...] = ()
    reason: str = ""
    """In a sentence, for a person."""
    error: CarbonError | None = None
    blocked: str = ""
    """Why the component is blocked, as `carbon status` tells it; empty when it is not."""

    @property
    def differences(self) -> int:
        """Fields that differ; an object that is gone, or not told field by field, counts as one."""
        return sum(len(one.fields) or 1 for one in self.objects)


def of_release(component: Component, changes: Iterable[Change], foreign: Revision | None = None) -> Drift:
    """The drift that the plan of an applied release is. `foreign`: its newest revision, when Carbon did not make it."""
    objects = [_of_change(change) for change in changes if not _gone_as_declared(change)]
    if foreign is not None:
        why = made_by_others(foreign.number, foreign.made)
        objects.insert(0, ObjectDrift(Deed.REVISED, f"release {component.release_name}", (), why))
    return _drift(component, tuple(objects))


def _gone_as_declared(change: Change) -> bool:
    return change.action is Action.CREATE and change.desired is not None and vanishes(change.desired)


def of_content(component: Component, changes: Iterable[ContentChange]) -> Drift:
    """The drift that the plan of applied content is. Nobody notes down who changed content."""
    deeds = ((Deed.DELETED if change.creates else Deed.EDITED, change) for change in changes)
    return _drift(component, tuple(ObjectDrift(deed, change.object, (), change.change) for deed, change in deeds))


def _drift(component: Component, objects: tuple[ObjectDrift, ...]) -> Drift:
    if not objects:
        return Drift(component, Verdict.IN_SYNC, reason="live is as deployed")
    told = ", ".join(
        f"{one.object} {one.deed}" + (f" ({one.reason})" if one.deed in {Deed.REVISED, Deed.OWNED} else "")
        for one in objects
    )
    return Drift(component, Verdict.DRIFTED, objects, told)


def _of_change(change: Change) -> ObjectDrift:
    if change.action is Action.OWNED:
        return ObjectDrift(Deed.OWNED, str(change.object), (), change.reason)
    fields = edited_fields(change)
    if change.action in {Action.CREATE, Action.DEFERRED}:
        deed = Deed.DELETED
    elif change.removed and all(field.desired == ABSENT_TEXT for field in fields):
        deed = Deed.ADDED
    else:
        deed = Deed.EDITED
    return ObjectDrift(deed, str(change.object), fields, change.reason)
