"""What to heal now, what to leave, and why. Pure: states, graph, history and clock in; decisions out.

The rules, in the order in which they are asked:

1. What Carbon does not answer for (never verified, its definition not deployed, quarantined) is left.
2. What needs something broken, or not yet proven to work again, is not healed: it waits for the lowest such thing.
3. What somebody is at work on is left; so is what has an attempt under way, or was not looked at since one ended.
4. What only waits for its node to speak again is left: nothing that Carbon may do brings a node back. What is only
   being deleted is left until it is gone, and told as stuck when that takes long.
5. Attempts that did not help are counted in their incident, and a spent budget quarantines. What breaks again for the
   same cause is flapping: attempts of any kind are counted for each cause over a window. Unrelated faults don't add up.
6. Between attempts lies a pause that doubles, in the incident and for the same cause, give or take a fifth.
7. The remedy is the first one that fits the symptoms and was not tried in this incident.
"""

import collections
import dataclasses
import enum
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence

from carbon_platform.healing.symptoms import DIFFERS, CauseKey, Sign, Symptom, first_cause, key_of, told_first
from carbon_platform.health.cause import ADMISSION, SCHEDULING, STORAGE, Kind
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.spec import graph
from carbon_platform.wording import counted

_SEEN_SECONDS = 5.0
"""Records are read at once; who is at work shows in the cluster, a moment later."""
_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 600.0
_DOUBLINGS = 10
"""More than the longest pause has; a number that never gets too large."""
_GOING_SECONDS = 60.0
"""A controller that serves a finalizer lets go within seconds; the cleanup of a cloud may take a minute."""
_LOOK_SECONDS = 1.0
_RESULT = 160
"""Characters of what an attempt came to, where several are told in one sentence."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """How often Carbon may try by itself."""

    budget: int
    """Attempts that did not help, per incident."""
    limit: int
    """Attempts of any kind for the same cause, per window."""
    window: float
    """Seconds."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One component as it is now."""

    symptoms: tuple[Symptom, ...]
    policy: Policy
    exempt: str = ""
    """Why Carbon does not heal it by itself; empty when it does."""
    busy: str = ""
    """Who is at work on it; empty when nobody is."""
    changed: float = 0.0
    """When something was last applied that is not verified yet; 0 when all is."""
    can_roll_back: bool = False
    """It keeps no data, and a revision other than the deployed one was proven to work."""
    need_recovered: bool = False
    """Something it needs was changed or healed after it was last verified itself."""
    reruns_jobs: bool = False
    """Its failed Jobs may run twice."""
    seen_at: float = math.inf
    """When the look at the cluster began that showed the symptoms."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One healing run."""

    component: str
    incident: str
    remedy: Remedy
    at: float
    """When it was decided, in seconds since the epoch, as all times here."""
    ended: float | None = None
    helped: bool = False
    cause: CauseKey | None = None
    """What its incident is about."""
    result: str = ""
    """What it came to, for people."""


@dataclasses.dataclass(frozen=True)
class OpenIncident:
    """What is not over: its id, and what it is about."""

    id: str
    cause: CauseKey


class Verdict(enum.StrEnum):
    """What becomes of a broken component now."""

    HEAL = "heal"
    WAIT = "wait"
    """For the lowest broken thing that it needs."""
    LEAVE = "leave"
    STUCK = "stuck"
    """Nothing that Carbon may do helps until somebody else acts; what comes after that is healed by itself."""
    QUARANTINE = "quarantine"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to do about one broken component."""

    component: str
    verdict: Verdict
    reason: str
    remedy: Remedy | None = None
    root: str = ""
    """What it waits for."""
    again_at: float | None = None
    """When the decision may be another though nothing has changed."""
    symptom: Symptom | None = None
    """What it rests on, for people; where something is healed, or given up."""


def decide(
    conditions: Mapping[str, Condition],
    needs: graph.Needs,
    attempts: Sequence[Attempt],
    open_incidents: Mapping[str, OpenIncident],
    now: float,
) -> list[Decision]:
    """One decision for each broken component, what is needed first.

    `attempts`: in the order in which they were made, which their times may not tell: a clock can be set back. Those of
    an incident that is open are all told, however old. `open_incidents`: by component; one that is open though nothing
    shows any more is not proven to be over.
    """
    by_component: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_component.setdefault(attempt.component, []).append(attempt)
    under_way = {attempt.component for attempt in attempts if attempt.ended is None}
    broken = {key for key, condition in conditions.items() if condition.symptoms}
    not_right = broken | under_way | set(open_incidents)
    order = graph.in_order(needs)
    decisions = []
    for key in (key for key in order if key in broken):
        below = graph.closure(needs, [key]) - {key}
        root = next((need for need in order if need in below & not_right), "")
        mine = by_component.get(key, [])
        decisions.append(_decide(key, conditions[key], root, mine, open_incidents.get(key), now))
    return decisions


def _decide(
    key: str, condition: Condition, root: str, attempts: Sequence[Attempt], incident: OpenIncident | None, now: float
) -> Decision:
    left = _left(key, condition, root, attempts, now)
    if left:
        return left
    policy, first = condition.policy, told_first(condition.symptoms)
    counted = [attempt for attempt in attempts if attempt.remedy is not Remedy.WAKE]
    own = [attempt for attempt in counted if incident and attempt.incident == incident.id]
    same = _of_the_same_cause(counted, incident, incident.cause if incident else key_of(condition.symptoms))
    recurring = [attempt for attempt in same if _since(attempt.at, now) < policy.window]
    spent = _spent(own, recurring, policy)
    if spent:
        return Decision(key, Verdict.QUARANTINE, f"{spent}: {first}", symptom=first)
    due = now + _wait(key, own, recurring, policy, now)
    if due > now:
        return Decision(key, Verdict.LEAVE, "pauses between attempts", again_at=due)
    remedy = choose(condition, [attempt.remedy for attempt in own])
    if remedy is None:
        return Decision(key, Verdict.QUARANTINE, _out_of_reach(condition), symptom=first)
    return Decision(key, Verdict.HEAL, str(first), remedy, symptom=first)


def _left(key: str, condition: Condition, root: str, attempts: Sequence[Attempt], now: float) -> Decision | None:
    """Why nothing is to be done about it now, whatever was tried before; None when something is."""
    if condition.exempt:
        return Decision(key, Verdict.LEAVE, condition.exempt)
    if root:
        return Decision(key, Verdict.WAIT, f"waits for {root}, which it needs", root=root)
    if any(attempt.ended is None for attempt in attempts):
        return Decision(key, Verdict.LEAVE, "an attempt is under way")
    if condition.busy:
        return Decision(key, Verdict.LEAVE, f"{condition.busy} is at work on it")
    if 0.0 <= now - condition.changed < _SEEN_SECONDS:
        seen = condition.changed + _SEEN_SECONDS
        return Decision(key, Verdict.LEAVE, "it was changed just now", again_at=seen)
    if attempts and not seen_since(condition, attempts[-1], now):
        return Decision(key, Verdict.LEAVE, "it was not looked at since its last attempt", again_at=now + _LOOK_SECONDS)
    silent = _silent_node(condition)
    if silent:
        return Decision(key, Verdict.LEAVE, silent)
    return _going(key, condition, now)


def seen_since(condition: Condition, attempt: Attempt, now: float) -> bool:
    """True when the symptoms were seen after this attempt had ended: only then do they tell whether it helped."""
    # An end that is to come tells that the clock was set back: then nobody can say.
    return attempt.ended is not None and (condition.seen_at >= attempt.ended or attempt.ended > now)


def _going(key: str, condition: Condition, now: float) -> Decision | None:
    """What to do while objects are being deleted and nothing else differs; None when none is, or something does.

    Nothing can be written in their place before they are gone, and Carbon lets go of nothing that a finalizer keeps.
    """
    going = [symptom for symptom in condition.symptoms if symptom.going]
    if not going or _differs(condition):
        return None
    due = min(min(symptom.since for symptom in going), now) + _GOING_SECONDS
    if now < due:
        return Decision(key, Verdict.LEAVE, f"waits for it to be gone: {going[0]}", again_at=due)
    fix = f"; {going[0].fix}" if going[0].fix else ""
    return Decision(key, Verdict.STUCK, f"{going[0]}{fix}", symptom=going[0])


def _of_the_same_cause(attempts: Sequence[Attempt], incident: OpenIncident | None, cause: CauseKey) -> list[Attempt]:
    return [
        attempt
        for attempt in attempts
        if (incident and attempt.incident == incident.id) or (attempt.cause and attempt.cause.same(cause))
    ]


def _silent_node(condition: Condition) -> str:
    """Why nothing can be said of it for now; empty when something is wrong that no node explains."""
    cause = first_cause(condition.symptoms)
    waits = {Sign.UNREADY, Sign.CHECK}.issuperset(symptom.sign for symptom in condition.symptoms)
    return str(cause) if cause and cause.kind is Kind.NODE and waits else ""


def _since(then: float, now: float) -> float:
    """Seconds between the two; none when the clock was set back in between."""
    return max(0.0, now - then)


def _spent(own: Sequence[Attempt], recurring: Sequence[Attempt], policy: Policy) -> str:
    failed = [attempt for attempt in own if not attempt.helped]
    if len(failed) >= policy.budget:
        return _did_not_help(failed) if failed else "it is left to people (budget 0)"
    if len(recurring) >= policy.limit:
        number, helped = len(recurring), sum(attempt.helped for attempt in recurring)
        within = f"within {policy.window:g} s, of which {helped} helped, and it breaks again for the same cause"
        return f"{number} attempts {within}"
    return ""


def _did_not_help(failed: Sequence[Attempt]) -> str:
    """How many attempts did not, which, and what each came to; what came to the same is told once."""
    same = collections.Counter((one.remedy, _short(one.result)) for one in failed)
    each = [
        f"{remedy}{f', {number} times' if number > 1 else ''}{f': {result}' if result else ''}"
        for (remedy, result), number in same.items()
    ]
    return f"{counted(len(failed), 'attempt')} did not help ({'; '.join(each)})"


def _short(result: str) -> str:
    first = next(iter(result.splitlines()), "")
    return first if len(first) <= _RESULT else f"{first[: _RESULT - 1]}…"


def _wait(key: str, own: Sequence[Attempt], recurring: Sequence[Attempt], policy: Policy, now: float) -> float:
    """Seconds until the next attempt. One after a success comes at once, until it gets to be many of them."""
    failed = len(list(itertools.takewhile(lambda attempt: not attempt.helped, reversed(own))))
    last = own[-1] if failed else recurring[-1] if recurring else None
    if last is None or last.ended is None:
        return 0.0
    doublings = failed - 1 if failed else len(recurring) - 1 - policy.limit // 2
    if doublings < 0:
        return 0.0
    if last.ended > now:
        return 0.0  # the clock was set back: how long ago that was can't be told, and the window still counts it
    pause = min(_PAUSE_SECONDS * 2.0 ** min(doublings, _DOUBLINGS), _LONGEST_PAUSE_SECONDS) * _jitter(key, last.at)
    return max(0.0, pause - (now - last.ended))


def _jitter(key: str, at: float) -> float:
    """Between 0.8 and 1.2, the same for the same attempt: so that not all that broke at once is tried at once."""
    digest = hashlib.sha256(f"{key} {at}".encode()).digest()
    return 0.8 + 0.4 * digest[0] / 255


_BEYOND_RESTARTS = SCHEDULING | STORAGE | ADMISSION | {Kind.IMAGE, Kind.COMMAND, Kind.OUT_OF_MEMORY}
"""Causes that a restart repeats; where no new pod can be made or placed, it would cost one that still runs as well."""


def choose(condition: Condition, tried: Sequence[Remedy]) -> Remedy | None:
    """The remedy to try next, or None when there is none that Carbon may use by itself."""
    signs, differs = {symptom.sign for symptom in condition.symptoms}, _differs(condition)
    if differs:
        return Remedy.REPOINT if differs == {Sign.ALIAS} and Remedy.REPOINT not in tried else Remedy.REAPPLY
    if signs & DIFFERS:
        return None  # what is being deleted: nothing can be put in its place yet
    if Sign.COPY in signs and (Remedy.RECOPY not in tried or signs == {Sign.COPY}):
        return Remedy.RECOPY
    ladder: list[Remedy] = []
    if Sign.JOB_FAILED in signs and condition.reruns_jobs:
        ladder.append(Remedy.RERUN_JOB)
    cause = first_cause(condition.symptoms)
    if signs & {Sign.UNREADY, Sign.CHECK} and (cause is None or cause.kind not in _BEYOND_RESTARTS):
        ladder += [Remedy.RESTART] if condition.need_recovered else [Remedy.VERIFY, Remedy.RESTART]
    if condition.can_roll_back and Sign.JOB_FAILED not in signs:  # it may have changed data half the way
        ladder.append(Remedy.ROLL_BACK)
    left = [remedy for remedy in ladder if remedy not in tried]
    return left[0] if left else Remedy.VERIFY if Remedy.RESTART in ladder else None


def _differs(condition: Condition) -> set[Sign]:
    """What writing can put right now."""
    return {symptom.sign for symptom in condition.symptoms if not symptom.going} & DIFFERS


def _out_of_reach(condition: Condition) -> str:
    cause = first_cause(condition.symptoms)
    fix = cause.fix if cause else condition.symptoms[0].fix
    return f"nothing is left that may be done by itself: {condition.symptoms[0]}" + (f"; {fix}" if fix else "")
