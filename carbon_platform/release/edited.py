"""Which fields of a live object somebody changed, who, and when: what drift, incidents and the doctor tell. Pure."""

import dataclasses

from carbon_platform.release.difference import FieldChange, FieldDifference
from carbon_platform.release.managed_fields import Owners, owner, owners
from carbon_platform.release.plan import Change


@dataclasses.dataclass(frozen=True)
class EditedField(FieldDifference):
    """One field that is live otherwise than it was deployed."""

    by: str = ""
    """The field manager that set it; empty when nobody knows, as of what was removed."""
    at: str = ""
    """When (RFC 3339)."""

    @property
    def note(self) -> str:
        """Who set it and when, where that is known."""
        return f"by {self.by}{f' at {self.at}' if self.at else ''}" if self.by else ""


def edited_fields(change: Change) -> tuple[EditedField, ...]:
    """The fields in which a live object is not as it was deployed, each with who set it."""
    owned = owners(change.live) if change.live and change.fields else {}
    return tuple(_field(field, owned) for field in change.fields)


def _field(changed: FieldChange, owned: Owners) -> EditedField:
    who = owner(owned, changed.steps)
    by, at = ("", "") if who is None or who.ours else (who.manager, who.at)
    return EditedField(changed.path, changed.live, changed.desired, by, at, texts=changed.texts)
