"""How an incident ended, by whom, and how that is known: decided from what was seen while it was open. Pure."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.incident import Came, Ended, Incident, Tried
from carbon_platform.healing.symptoms import Sign
from carbon_platform.healing.view import Write
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Materialization, Record
from carbon_platform.release.history import made_by_others
from carbon_platform.wording import counted

HEALED = "healed"
MENDED = "mended by others"
RECOVERED = "recovered"
REMOVED = "removed from the platform"


@dataclasses.dataclass(frozen=True)
class Deed:
    """What somebody else did to a component, as the cluster or the records tell it."""

    told: str
    """Who, what and when, in a clause: it tells one from another."""
    mends: bool = True
    """False of what changed nothing."""
    object: str = ""
    """The one that was written; empty of what was done to the component as a whole."""
    lost: tuple[str, ...] = ()


def deeds(record: Record, writes: Iterable[Write] = (), revision: Deployed | None = None) -> tuple[Deed, ...]:
    """All that is known to have been done by others than healing. `writes`: to its objects.

    `revision`: the newest of its release.
    """
    found = [Deed(str(write), object=write.object) for write in writes]
    if revision is not None and not revision.by_carbon and revision.number != record.revision:
        found.append(Deed(made_by_others(revision.number, revision.made)))
    for one in record.materialized:
        run = f" (run {one.run_id})" if one.run_id else ""
        found.append(Deed(f"{one.by}{run} {_did(one)} at {one.at}", one.changed, lost=one.lost))
    return tuple(found)


def _did(one: Materialization) -> str:
    if one.failure:
        return "deployed it and was not verified" if one.changed else "failed and changed nothing"
    return "deployed it" if one.changed else "proved it and changed nothing"


def meanwhile(incident: Incident, now: Iterable[Deed]) -> tuple[Deed, ...] | None:
    """What was done while the incident was open; None where nobody knows what was done before.

    A write mends what is at fault: the incident's object, or one that was edited; any, where a check failed.
    """
    before = incident.before
    if before is None:
        return None
    at_fault = {incident.object, *(edit.object for edit in incident.edits), ""}
    any_ = incident.sign in _ABOUT_NO_OBJECT
    new = [deed for deed in now if deed.told not in before]
    return tuple(dataclasses.replace(one, mends=one.mends and (any_ or one.object in at_fault)) for one in new)


_ABOUT_NO_OBJECT = frozenset({Sign.CHECK.value, Sign.CONTENT.value})


def ending(attempts: Sequence[Tried], done: Sequence[Deed] | None) -> Ended:
    """How an incident ended whose component works again.

    `attempts`: its own. `done`: by others, while it was open; None when that is not known.

    An attempt that changed something and helped has healed it. Else whoever changed something has mended it. Else one
    that found it well proves what attempts before it wrote, such as one whose process was killed. When none of these
    is known, it recovered, and what is not known is said.
    """
    own = [attempt for attempt in attempts if attempt.remedy is not Remedy.WAKE]
    healing = next((attempt for attempt in own if attempt.came is Came.HELPED), None)
    lost = tuple(dict.fromkeys(text for deed in done or () for text in deed.lost))
    mended = "; ".join(deed.told for deed in done or () if deed.mends)
    if healing is not None:
        beside = f"; meanwhile {mended}" if mended else ""
        return Ended(HEALED, f"attempt {healing.number}, {healing.remedy}, healed it{beside}", lost)
    if mended:
        return Ended(MENDED, mended, lost)
    proven = _proven(own)
    if proven:
        return Ended(HEALED, proven, lost)
    edits = "whether somebody edited it is not known" if done is None else "no edit seen"
    if any(deed.object for deed in done or ()):
        edits = "no edit of what was at fault seen"
    looked = [deed.told for deed in done or ()]
    return Ended(RECOVERED, "; ".join([f"it recovered {_tried(own)} and {edits}", *looked]), lost)


def _proven(own: Sequence[Tried]) -> str:
    """Which attempt found well what an earlier one had written; empty when none did."""
    for before, attempt in itertools.pairwise(own):
        if attempt.came is Came.FOUND_WELL and before.may_have_changed:
            told = f"attempt {before.number}, {before.remedy}, wrote what attempt {attempt.number} found well"
            return f"{told}; no edit seen"
    return ""


_MANNER: Mapping[Came, str] = {
    Came.DID_NOT_HELP: "that did not help",
    Came.FOUND_WELL: "that found it well and changed nothing",
    Came.CUT_SHORT: "cut short",
}


def _tried(own: Sequence[Tried]) -> str:
    """With which attempts of Carbon's."""
    parts = []
    for came, how in _MANNER.items():
        number = sum(attempt.came is came for attempt in own)
        if number:
            parts.append(f"{counted(number, 'attempt')} {how}")
    return f"with {', '.join(parts)}," if parts else "with no attempt of Carbon's"
