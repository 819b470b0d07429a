"""The condition of every component: what the cluster shows and what the checks last said, in one. Pure."""

import dataclasses
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence

from carbon_platform.healing.decide import Attempt, Condition, Policy
from carbon_platform.healing.symptoms import Sign, Symptom, of_record
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record
from carbon_platform.release.history import Revision, made_by_others
from carbon_platform.spec import graph
from carbon_platform.spec.platform import Component, Platform


@dataclasses.dataclass(frozen=True)
class Deployed:
    """The newest revision of a release."""

    number: int
    by_carbon: bool
    made: str
    """By which program, and when."""

    @classmethod
    def of(cls, revision: Revision) -> "Deployed":
        """What counts of a revision."""
        return cls(revision.number, revision.inputs is not None, revision.made)


def conditions(
    platform: Platform,
    shown: Mapping[str, Sequence[Symptom]],
    busy: Mapping[str, str],
    records: Mapping[str, Record],
    attempts: Sequence[Attempt],
    settled_at: str = "",
    seen_at: float = math.inf,
    now: float = math.inf,
    revisions: Mapping[str, Deployed] | None = None,
) -> dict[str, Condition]:
    """Every component's condition. `shown`: symptoms that the cluster showed at `seen_at`; `busy`: who is at work.

    What a check said before `settled_at`, or before the last attempt to heal its component was made, does not count:
    the next sweep asks again. `revisions`: the newest of each release that Helm has one of; None when that is
    not known.
    """
    made = _made(attempts, now)
    helped = [attempt for attempt in attempts if attempt.helped]
    found = {}
    for key, component in platform.components.items():
        record = records.get(key, Record(key))
        below = graph.closure(platform.needs, [key]) - {key}
        verified = seconds(record.verified_at)
        found[key] = Condition(
            symptoms=(*_to_heal(component, record, shown.get(key, ())), *_checks(component, record, settled_at, made)),
            policy=Policy(component.heal.budget, component.heal.limit, component.heal.window),
            exempt=_exempt(component, record, [records.get(need, Record(need)) for need in component.needs])
            or (_by_somebody_else(component, record, revisions) if revisions is not None else ""),
            busy=busy.get(key, ""),
            changed=changed if (changed := seconds(record.changed_at)) > verified else 0.0,
            can_roll_back=_can_roll_back(component, record),
            need_recovered=any(a.component in below and (a.ended or 0.0) > verified for a in helped),
            reruns_jobs=component.release is not None,
            seen_at=seen_at,
        )
    return found


def seconds(at: str) -> float:
    """A time of the records as seconds since the epoch; 0 for never."""
    return datetime.datetime.fromisoformat(at).timestamp() if at else 0.0


def _made(attempts: Iterable[Attempt], now: float) -> dict[str, float]:
    """When the last attempt on each component was made that is over; none that is to come: the clock was set back."""
    return {a.component: a.at for a in attempts if a.remedy is not Remedy.WAKE and a.ended is not None and a.at <= now}


def _checks(component: Component, record: Record, settled_at: str, made: Mapping[str, float]) -> list[Symptom]:
    after = made.get(component.key, 0.0)
    told = tuple(check for check in record.checks if seconds(check.at) >= after)
    return of_record(component, dataclasses.replace(record, checks=told), settled_at)


_OF_THE_DEFINITION = frozenset({Sign.MISSING, Sign.EDITED, Sign.ALIAS})
_EDITS = frozenset({Sign.EDITED, Sign.ALIAS})


def _to_heal(component: Component, record: Record, shown: Sequence[Symptom]) -> list[Symptom]:
    """Without what only says that another definition is deployed, and without edits that are to be reported only.

    Neither breaks anything, and nobody waits for it.
    """
    left = _OF_THE_DEFINITION if record.digest != component.digest else frozenset()
    if component.drift.policy == "report":
        left |= _EDITS
    return [symptom for symptom in shown if symptom.sign not in left]


def _exempt(component: Component, record: Record, needs: Iterable[Record]) -> str:
    if not record.verified_at:
        return "it was never verified: a person deploys it first"
    if record.quarantined:
        return f"quarantined: {record.quarantined}"
    if not component.heal.budget:
        return "its healing is left to people (budget 0)"
    if record.rolled_back == component.digest:
        return "it was rolled back, as its definition of now did not work; correct that and deploy it"
    if record.digest != component.digest:
        return "its definition has changed and is not deployed yet"
    # A need that was proven since may have been what it was blocked for.
    since = any(need.verified_at > record.failed_at for need in needs)
    if record.blocked and record.failed_at > record.verified_at and not since:
        return f"blocked: {record.failure.splitlines()[0]}"
    return ""


def _by_somebody_else(component: Component, record: Record, revisions: Mapping[str, Deployed]) -> str:
    """Why a release is a person's business: by a program of theirs it was changed or taken away on purpose."""
    if component.release is None:
        return ""
    now = revisions.get(component.key)
    if now is None:
        return "Helm has no revision of it any more: a person deploys it"
    if now.by_carbon or now.number == record.revision:
        return ""
    return f"{made_by_others(now.number, now.made)}; carbon up {component.key} puts its definition in place"


def _can_roll_back(component: Component, record: Record) -> bool:
    return bool(
        component.release
        and not component.release.stateful
        and record.verified_revision is not None
        and record.verified_revision != record.revision
    )
