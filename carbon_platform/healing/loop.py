"""The loop: what was seen → a decision → an attempt in the book → a run to be started. Knows nothing of Dagster."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from carbon_platform.healing.conditions import conditions, seconds
from carbon_platform.healing.decide import Attempt, Condition, Decision, OpenIncident, Verdict, decide, seen_since
from carbon_platform.healing.ending import REMOVED, Deed, deeds, ending, meanwhile
from carbon_platform.healing.incident import Edit, Ended, Incident, Tried
from carbon_platform.healing.incidents import Book, book_of
from carbon_platform.healing.result import Result
from carbon_platform.healing.symptoms import DIFFERS, key_of, told_cause
from carbon_platform.healing.view import View
from carbon_platform.healing.watcher import Watcher
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record, Records
from carbon_platform.release.lease import Writer, dead, this_process
from carbon_platform.session import platform_key
from carbon_platform.settings import Settings
from carbon_platform.spec import graph
from carbon_platform.spec.platform import Platform

_UNSTARTED_SECONDS = 4.0
"""A run that has not begun by then is asked for again, and so on; asking twice starts it once."""
_SILENT_SECONDS = 60.0
"""Who lives asks again for what it asked for; another asks in its place only after so long."""
_LOST_SECONDS = 1800.0
"""An attempt of which nothing was heard for so long has failed."""
_LOOK_SECONDS = 1.0
"""Records are a file: whether it changed is looked at this often."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A run to be started."""

    incident: str
    number: int
    components: tuple[str, ...]
    remedy: Remedy
    cause: str

    @property
    def key(self) -> str:
        """The same for the same attempt, however often it is asked for."""
        return f"{self.incident}:{self.number}"


@dataclasses.dataclass(frozen=True)
class Step:
    """What one look at everything led to."""

    requests: tuple[Request, ...] = ()
    broken: tuple[Decision, ...] = ()
    """Decisions that people should see: something is healed now, was quarantined, or is stuck."""
    again_at: float | None = None


class Healer:
    """Decides, for as long as its process lives. `clock` gives seconds since the epoch."""

    def __init__(self, settings: Settings, watcher: Watcher, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._watcher, self._clock = settings, watcher, clock

    def hold(self, seconds_: float) -> Step:
        """Return as soon as a run is to be started or something was quarantined; an empty step after `seconds_`."""
        ends = time.monotonic() + seconds_
        seen: tuple[View | None, tuple[int, int]] = (None, (0, 0))
        again_at: float | None = None
        while True:
            view = self._watcher.view()
            version = self._records(view).version()
            due = again_at is not None and self._clock() >= again_at
            if view != seen[0] or version != seen[1] or due:
                seen = (view, version)
                step = self.step(view)
                if step.requests or step.broken:
                    return step
                again_at = step.again_at
            left = ends - time.monotonic()
            if left <= 0:
                return Step()
            self._watcher.wait(min(left, _LOOK_SECONDS))

    def left_to(self) -> str:
        """Who else heals something of the platform now, which is left to them; empty when nobody does."""
        return self._watcher.view().left_to

    def _records(self, view: View) -> Records:
        return Records(self._settings.state / "records.db", platform_key(view.cluster_id, self._settings))

    def step(self, view: View) -> Step:
        """One look at everything. What can't be seen is left alone: unreachable is not broken."""
        if view.unreachable or view.platform is None:
            return Step()
        now, platform = self._clock(), view.platform
        records, book = self._records(view), book_of(self._settings, view.cluster_id)
        known = records.all()
        window = max((component.heal.window for component in platform.components.values()), default=0.0)
        asked_again = self._settle(book, book.attempts_since(now - window), known, now)
        attempts = _that_count(book.attempts_since(now - window))
        now_like = conditions(
            platform, view.symptoms, view.busy, known, attempts, view.settled_at, view.at, now, view.revisions
        )
        self._judge(book.incidents(only_open=True), now_like, book, now)
        woken = self._end(book.incidents(only_open=True), now_like, known, view, book, now)
        # What was closed or woken just now counts: what waited for it is proven first, and healed only after that.
        attempts = _that_count(book.attempts_since(now - window))
        open_now = {incident.component: incident for incident in book.incidents(only_open=True)}
        about = {key: OpenIncident(incident.id, incident.key) for key, incident in open_now.items()}
        decisions = decide(now_like, platform.needs, attempts, about, now)
        incidents = {key: incident.id for key, incident in open_now.items()}
        requests: list[Request] = [*asked_again, *woken]
        broken = []
        for decision in decisions:
            key = decision.component
            if decision.symptom:
                done = _done(key, known, view)
                incidents[key] = self._opened(decision, now_like[key], done, book, now)
            if decision.verdict is Verdict.HEAL:
                request = self._heal(decision, incidents[key], book, now)
                if request:
                    requests.append(request)
                    broken.append(decision)
            elif decision.verdict is Verdict.QUARANTINE:
                self._quarantine(decision, known.get(key, Record(key)), records)
                broken.append(_with_fix(decision, open_now.get(key)))
            elif decision.verdict is Verdict.STUCK and not _told(decision, open_now.get(key)):
                broken.append(decision)
            elif decision.verdict is Verdict.WAIT and decision.root in incidents:
                book.wait(incidents[decision.root], [key])
        # An attempt that somebody else made in this very moment is under way as well, and its asker may be gone.
        heals = any(decision.verdict is Verdict.HEAL for decision in decisions)
        under_way = bool(requests) or heals or any(attempt.ended is None for attempt in attempts)
        return Step(tuple(requests), tuple(broken), self._again(decisions, under_way, now))

    @staticmethod
    def _again(decisions: Sequence[Decision], under_way: bool, now: float) -> float | None:
        times = [decision.again_at for decision in decisions if decision.again_at]
        if under_way:
            times.append(now + _LOOK_SECONDS)  # that its run, or the process of it, has ended is told by nobody
        return min(times, default=None)

    def _heal(self, decision: Decision, incident: str, book: Book, now: float) -> Request | None:
        assert decision.remedy is not None, "a decision to heal says how"
        attempt = book.claim(incident, decision.component, decision.remedy, now)
        if attempt is None or not self._asks(incident, attempt.number, book, now):
            return None
        return Request(incident, attempt.number, (decision.component,), decision.remedy, decision.reason)

    @staticmethod
    def _opened(decision: Decision, condition: Condition, done: Sequence[Deed], book: Book, now: float) -> str:
        told, before = told_cause(condition.symptoms), [deed.told for deed in done]
        fix = told.cause.fix if told.cause else told.fix
        identity = book.open(decision.component, key_of(condition.symptoms), str(told), fix, now, before)
        if told.cause:
            book.explain(identity, told.cause.kind.value, str(told), fix)
        book.edited(identity, [Edit(seen.object, field) for seen in condition.symptoms for field in seen.edits])
        return identity

    @staticmethod
    def _quarantine(decision: Decision, known: Record, records: Records) -> None:
        def quarantined(record: Record) -> Record:
            # One that was verified meanwhile is not what the decision was about.
            same = record.verified_at == known.verified_at
            return dataclasses.replace(record, quarantined=decision.reason) if same else record

        records.update(decision.component, quarantined)

    @staticmethod
    def _judge(open_incidents: Sequence[Incident], now_like: Mapping[str, Condition], book: Book, now: float) -> None:
        """An attempt after which its incident's symptom is still there did not help, whatever it changed."""
        for incident in open_incidents:
            last, condition = next(reversed(incident.attempts), None), now_like.get(incident.component)
            # What is woken was seen without its symptom before: one that shows since then is another time.
            if condition is None or last is None or not last.helped or last.remedy is Remedy.WAKE:
                continue
            same = [s for s in condition.symptoms if (s.sign, s.object) == (incident.sign, incident.object)]
            if same and seen_since(condition, last.for_decision(), now):
                book.did_not_help(incident.id, last.number, f"{last.result}, and still {same[0]}")

    def _settle(self, book: Book, tried: Sequence[Tried], records: Mapping[str, Record], now: float) -> list[Request]:
        """End the attempts whose process is no more; ask again for runs that never began."""
        again = []
        for attempt in (attempt for attempt in tried if attempt.ended_at is None):
            writer = Writer.parse(attempt.writer)
            if dead(writer, this_process()):
                wake = attempt.remedy is Remedy.WAKE
                # Its process may have ended between proving that it helped and saying so.
                verified = seconds(records.get(attempt.component, Record(attempt.component)).verified_at)
                helped = wake or (attempt.started_at is not None and verified >= attempt.started_at)
                ended = Result(helped, "" if wake else "its process ended")
                book.ended(attempt.incident, attempt.number, ended, now)
            elif now - attempt.at > _LOST_SECONDS:
                ended = Result(False, "nothing was heard of its run")
                book.ended(attempt.incident, attempt.number, ended, now)
            elif not attempt.writer and self._asks(attempt.incident, attempt.number, book, now):
                again.append(
                    Request(attempt.incident, attempt.number, attempt.of, attempt.remedy, "its run has not begun yet")
                )
        return again

    @staticmethod
    def _asks(incident: str, number: int, book: Book, now: float) -> bool:
        """True when this process is to ask for the run: two daemons that did would start two."""
        me = this_process()

        def may(by: str, at: float) -> bool:
            asker = Writer.parse(by)
            after = _UNSTARTED_SECONDS if asker == me or dead(asker, me) else _SILENT_SECONDS
            # A look may have begun a moment before another process asked; a clock that was set back tells nothing.
            return not -_UNSTARTED_SECONDS <= now - at <= after

        return book.ask(incident, number, str(me), now, may)

    def _end(
        self,
        open_incidents: Sequence[Incident],
        now_like: Mapping[str, Condition],
        records: Mapping[str, Record],
        view: View,
        book: Book,
        now: float,
    ) -> list[Request]:
        """Close what is over; before that, have proven what depends on it and was broken, or changed, with it."""
        platform, requests = view.platform, []
        assert platform is not None, "what can't be seen is left alone"
        for incident in open_incidents:
            key = incident.component
            if key not in platform.components:
                book.close(incident.id, Ended(REMOVED), now)
                continue
            under_way = any(attempt.ended_at is None for attempt in incident.attempts)
            own = [attempt for attempt in incident.attempts if attempt.remedy is not Remedy.WAKE]
            last = max([incident.opened_at, *(attempt.at for attempt in own)])
            proven = seconds(records.get(key, Record(key)).verified_at) >= last
            if under_way or not proven:
                continue
            end = ending(own, meanwhile(incident, _done(key, records, view)))
            if now_like[key].symptoms:
                if _is_another(incident, now_like[key], records.get(key, Record(key)), now):
                    book.close(incident.id, end, now)
                continue
            dependents = (
                self._to_wake(key, incident, records, platform, now_like) if own == [*incident.attempts] else ()
            )
            if dependents:
                attempt = book.claim(incident.id, key, Remedy.WAKE, now, dependents)
                if attempt and self._asks(incident.id, attempt.number, book, now):
                    requests.append(Request(incident.id, attempt.number, dependents, Remedy.WAKE, incident.cause))
                continue
            book.close(incident.id, end, now)
        return requests

    @staticmethod
    def _to_wake(
        key: str,
        incident: Incident,
        records: Mapping[str, Record],
        platform: Platform,
        now_like: Mapping[str, Condition],
    ) -> tuple[str, ...]:
        """What waited for it, and what was verified before it changed; what is needed first comes first.

        Not what differs from its declaration, and what needs that: it can't be proven before it is healed itself.
        """
        above = graph.dependents(platform.needs, [key]) - {key}
        changed = records.get(key, Record(key)).changed_at
        wanted = set(incident.waiting) & above
        wanted |= {one for one in above if one in records and records[one].verified_at < changed}
        differ = [one for one in above if any(symptom.sign in DIFFERS for symptom in now_like[one].symptoms)]
        wanted -= graph.dependents(platform.needs, differ)
        return tuple(one for one in platform.order if one in wanted and _answers_for(one, records, platform))


def _done(key: str, records: Mapping[str, Record], view: View) -> tuple[Deed, ...]:
    """What is known now to have been done by others than healing."""
    return deeds(records.get(key, Record(key)), view.writes.get(key, ()), (view.revisions or {}).get(key))


def _is_another(incident: Incident, condition: Condition, record: Record, now: float) -> bool:
    """True when what shows now is not this incident any more: it was over, and something broke since.

    It was over when what depends on it was woken, and when somebody else proved since that it works; but an edit, or
    what was deleted, fails no check: of these only a deployment tells so.
    """
    last = next(reversed(incident.attempts), None)
    if last is None or last.ended_at is None:
        return False
    if last.remedy is Remedy.WAKE:
        return True
    verified, changed = seconds(record.verified_at), seconds(record.changed_at)
    # A look, or a check, from before that tells nothing of what is so since.
    since = last.ended_at < verified <= now and verified < condition.seen_at
    return since and (incident.sign not in DIFFERS or changed > last.ended_at)


def _told(decision: Decision, incident: Incident | None) -> bool:
    """True when people were told of it before, in the same words."""
    return incident is not None and incident.cause == str(decision.symptom)


def _with_fix(decision: Decision, incident: Incident | None) -> Decision:
    """The decision with the fix of what its attempts failed for, where that is known."""
    symptom, fix = decision.symptom, incident.mend if incident else ""
    if symptom is None or not fix:
        return decision
    return dataclasses.replace(decision, symptom=dataclasses.replace(symptom, fix=fix))


def _that_count(tried: Sequence[Tried]) -> list[Attempt]:
    return [attempt.for_decision() for attempt in tried if not attempt.cut_short]


def _answers_for(key: str, records: Mapping[str, Record], platform: Platform) -> bool:
    """True when what is deployed of it is its definition of now, was proven to work, and is not left to people."""
    record = records.get(key, Record(key))
    return bool(record.verified_at and not record.quarantined and record.digest == platform.components[key].digest)
