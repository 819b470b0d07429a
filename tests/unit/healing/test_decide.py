"""What to heal now: over any platform, any history and any clock, one heal on a path, and never a storm."""

import collections
import dataclasses
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.decide import (
    Attempt,
    Condition,
    Decision,
    OpenIncident,
    Policy,
    Verdict,
    choose,
    decide,
)
from carbon_platform.healing.symptoms import CauseKey, Sign, Symptom
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.spec import graph

NOW = 1_000_000.0
POLICY = Policy(budget=3, limit=9, window=3600.0)
LONGEST = 600.0 * 1.2
KEYS = ["a", "b", "c", "d", "e", "f"]
QUERY = CauseKey("check failed", "query")
"""What an incident is about unless a test says otherwise."""


def symptom(sign: Sign = Sign.CHECK, kind: Kind | None = None) -> Symptom:
    cause = Cause(kind, ObjectName("v1", "Pod", "here", "app-0"), str(kind), f"mend {kind}") if kind else None
    return Symptom(sign, "query", "no answer", cause)


def condition(*symptoms: Symptom, **changed: object) -> Condition:
    return dataclasses.replace(Condition(symptoms or (symptom(),), POLICY), **changed)


def attempt(component: str = "a", *, at: float = NOW - 100, took: float | None = 10, **changed: object) -> Attempt:
    ended = None if took is None else at + took
    made = Attempt(component, f"{component}-1", Remedy.VERIFY, at, ended, cause=QUERY)
    return dataclasses.replace(made, **changed)


def going(since: float = NOW - 5, *, name: str = "held") -> Symptom:
    """An object that is being deleted."""
    held = ObjectName("v1", "ConfigMap", "here", name)
    cause = Cause(Kind.FINALIZER, held, "it is being deleted, and kept by its finalizer carbon.test/hold", "let it go")
    return Symptom(Sign.MISSING, str(held), cause.why, cause, cause.fix, since)


def one(
    now_like: Condition, attempts: Sequence[Attempt] = (), incident: str | None = "a-1", now: float = NOW
) -> Decision:
    """The decision about a component that stands alone."""
    about = {"a": OpenIncident(incident, QUERY)} if incident else {}
    (made,) = decide({"a": now_like}, {"a": ()}, attempts, about, now)
    return made


# Any platform: each component may need those before it.
NEEDS = st.fixed_dictionaries({key: st.sets(st.sampled_from(KEYS[:i])) for i, key in enumerate(KEYS) if i}).map(
    lambda needs: {"a": (), **{key: tuple(sorted(wanted)) for key, wanted in needs.items()}}
)
CONDITIONS = st.fixed_dictionaries(
    {
        key: st.builds(
            Condition,
            symptoms=st.lists(
                st.builds(symptom, st.sampled_from(Sign), st.none() | st.sampled_from(Kind))
                | st.builds(going, st.floats(NOW - 7200, NOW + 3600)),
                max_size=2,
            ).map(tuple),
            policy=st.builds(Policy, st.integers(0, 3), st.integers(1, 5), st.sampled_from([60.0, 3600.0])),
            exempt=st.sampled_from(["", "", "", "never verified"]),
            busy=st.sampled_from(["", "", "", "host_1"]),
            can_roll_back=st.booleans(),
            need_recovered=st.booleans(),
            reruns_jobs=st.booleans(),
            seen_at=st.just(math.inf) | st.floats(NOW - 600, NOW),
        )
        for key in KEYS
    }
)
CAUSES = st.builds(
    CauseKey, st.sampled_from(["missing", "check failed"]), st.sampled_from(["query", "write"]), st.just("")
)
ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.sampled_from(KEYS),
        at=st.floats(NOW - 7200, NOW + 3600),
        took=st.none() | st.floats(0, 600),
        helped=st.booleans(),
        remedy=st.sampled_from(Remedy),
        incident=st.sampled_from(["a-1", "b-1", "a-0", "another"]),
        cause=st.none() | CAUSES,
    ),
    max_size=12,
)
INCIDENTS = st.dictionaries(st.sampled_from(KEYS), CAUSES).map(
    lambda about: {key: OpenIncident(f"{key}-1", cause) for key, cause in about.items()}
)
everything = given(CONDITIONS, NEEDS, ATTEMPTS, INCIDENTS)


@everything
def test_two_on_one_path_are_never_healed_at_once(
    conditions: dict[str, Condition], needs: graph.Needs, attempts: list[Attempt], incidents: dict[str, OpenIncident]
) -> None:
    decisions = decide(conditions, needs, attempts, incidents, NOW)
    healed = {made.component for made in decisions if made.verdict is Verdict.HEAL}
    under_way = {made.component for made in attempts if made.ended is None}
    for key in healed:
        below = graph.closure(needs, [key]) - {key}
        assert not below & healed
        assert not below & under_way
        assert not {need for need in below if conditions[need].symptoms}


@everything
def test_every_broken_component_gets_one_decision_and_only_what_may_be_healed_is(
    conditions: dict[str, Condition], needs: graph.Needs, attempts: list[Attempt], incidents: dict[str, OpenIncident]
) -> None:
    decisions = decide(conditions, needs, attempts, incidents, NOW)
    assert sorted(made.component for made in decisions) == sorted(k for k, c in conditions.items() if c.symptoms)
    for made in decisions:
        assert made.reason
        assert (made.remedy is not None) == (made.verdict is Verdict.HEAL)
        if made.verdict in {Verdict.HEAL, Verdict.QUARANTINE}:
            assert not conditions[made.component].exempt
            assert not conditions[made.component].busy
            assert not [a for a in attempts if a.component == made.component and a.ended is None]


@everything
def test_what_waits_waits_for_the_lowest_that_is_not_right(
    conditions: dict[str, Condition], needs: graph.Needs, attempts: list[Attempt], incidents: dict[str, OpenIncident]
) -> None:
    wrong = {key for key, found in conditions.items() if found.symptoms} | set(incidents)
    wrong |= {made.component for made in attempts if made.ended is None}
    for made in decide(conditions, needs, attempts, incidents, NOW):
        if made.verdict is Verdict.WAIT:
            assert made.root in graph.closure(needs, [made.component]) - {made.component}
            assert made.root in wrong
            assert not (graph.closure(needs, [made.root]) - {made.root}) & wrong


@everything
def test_the_same_gives_the_same(
    conditions: dict[str, Condition], needs: graph.Needs, attempts: list[Attempt], incidents: dict[str, OpenIncident]
) -> None:
    again = dict(reversed(conditions.items())), {key: tuple(reversed(needs[key])) for key in reversed(needs)}
    assert decide(*again, attempts, incidents, NOW) == decide(conditions, needs, attempts, incidents, NOW)


@dataclasses.dataclass
class World:
    """One component that breaks, is healed and breaks again; its clock may be set, time itself may not."""

    policy: Policy
    chance: random.Random
    helps: float
    """Chance that an attempt helps."""
    stays: float
    """Chance that what works still works a second later."""
    jumps: dict[int, float] = dataclasses.field(default_factory=dict)
    """At which second the clock is set forward or back, by how many seconds."""
    causes: int = 1
    """Of so many causes, each time one."""
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    made_at: list[tuple[float, Attempt]] = dataclasses.field(default_factory=list)
    """True time of each attempt, and how it ended."""
    longest: float = 0.0
    """Seconds that a broken component was left to itself though it was not quarantined."""
    quarantined: bool = False

    def live(self, seconds: int) -> None:
        """So much of its life. An incident is over when an attempt helped; what breaks then is another."""
        clock, broken, ends, left = NOW, True, -1, 0.0
        number, incident = 0, self._incident(0)
        for second in range(seconds):
            clock += 1 + self.jumps.get(second, 0.0)
            if second == ends:
                helped = self.chance.random() < self.helps
                self.attempts[-1] = dataclasses.replace(self.attempts[-1], ended=clock, helped=helped)
                self.made_at[-1] = (self.made_at[-1][0], self.attempts[-1])
                broken = not helped
                if helped:
                    number += 1
                    incident = self._incident(number)
            broken = broken or self.chance.random() > self.stays
            left = left + 1 if broken and second > ends else 0.0
            self.longest = max(self.longest, left)
            now_like = Condition(
                (Symptom(Sign.CHECK, incident.cause.object, "no answer"),) if broken else (), self.policy
            )
            for made in decide({"a": now_like}, {"a": ()}, self.attempts, {"a": incident}, clock):
                if made.verdict is Verdict.QUARANTINE:
                    self.quarantined = True
                    return
                if made.verdict is Verdict.HEAL:
                    assert made.remedy is not None
                    self.attempts.append(Attempt("a", incident.id, made.remedy, clock, cause=incident.cause))
                    self.made_at.append((second, self.attempts[-1]))
                    ends = second + self.chance.randint(1, 40)

    def _incident(self, number: int) -> OpenIncident:
        return OpenIncident(f"a-{number}", CauseKey("check failed", f"query-{self.chance.randrange(self.causes)}"))

    def most_of_one_cause(self, window: float) -> int:
        """The most attempts for one cause that fell into any window of true time."""
        return max(
            (
                sum(first <= at < first + window for at, made in self.made_at if made.cause == cause)
                for first, of in self.made_at
                for cause in [of.cause]
            ),
            default=0,
        )

    def most_failed(self) -> int:
        """The most attempts of one incident that did not help."""
        failed = collections.Counter(made.incident for _, made in self.made_at if not made.helped)
        return max(failed.values(), default=0)


HALF_AN_HOUR = 1800
WORLDS = st.builds(
    World,
    st.builds(Policy, st.integers(1, 4), st.integers(1, 9), st.sampled_from([120.0, 600.0, 3600.0])),
    st.randoms(use_true_random=False),
    helps=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    stays=st.sampled_from([0.5, 0.95, 0.99]),
    causes=st.integers(1, 3),
)


@given(WORLDS)
def test_half_an_hour_of_a_flapping_check_is_no_storm(world: World) -> None:
    world.live(HALF_AN_HOUR)
    assert world.made_at, "a component that breaks is healed at first"
    assert world.most_of_one_cause(world.policy.window) <= world.policy.limit
    assert world.most_failed() <= world.policy.budget
    assert world.longest <= LONGEST


def test_a_check_that_flaps_all_the_time_though_every_attempt_helps_is_given_up_at_its_limit() -> None:
    world = World(POLICY, random.Random(254), helps=1.0, stays=0.0)
    world.live(HALF_AN_HOUR)
    assert world.quarantined
    assert len(world.made_at) == POLICY.limit
    again = condition(Symptom(Sign.CHECK, "query-0", "no answer"))
    made = one(again, world.attempts, incident=None, now=world.attempts[-1].at + 1)
    assert made.verdict is Verdict.QUARANTINE
    assert "9 attempts within 3600 s, of which 9 helped, and it breaks again for the same cause" in made.reason


@given(
    WORLDS, st.dictionaries(st.integers(0, HALF_AN_HOUR), st.sampled_from([3600.0, -3600.0]), min_size=1, max_size=3)
)
def test_a_clock_that_jumps_by_an_hour_causes_neither_a_storm_nor_a_longer_pause(
    world: World, jumps: dict[int, float]
) -> None:
    """Each jump forward may make an hour's window forget once; a jump back makes nothing forget."""
    world.jumps = jumps
    world.live(HALF_AN_HOUR)
    forgets = 1 + sum(jump > 0 for jump in jumps.values())
    assert world.most_of_one_cause(world.policy.window) <= world.policy.limit * forgets
    assert world.most_failed() <= world.policy.budget, "however the clock is set"
    assert world.longest <= LONGEST


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_pause_is_at_most_cut_short_by_a_jump_of_the_clock(jump: float) -> None:
    failed = attempt(at=NOW - 11, took=10)
    assert one(condition(), [failed]).again_at is not None
    assert one(condition(), [failed], now=NOW + jump).verdict is Verdict.HEAL


def test_an_attempt_under_way_is_seen_also_when_the_clock_was_set_back_before_it() -> None:
    attempts = [attempt(at=NOW + 3600), attempt(at=NOW - 1, took=None)]
    assert one(condition(), attempts).reason == "an attempt is under way"


@pytest.mark.parametrize("failed", [1, 2, 3, 4, 5])
def test_pauses_double_give_or_take_a_fifth(failed: int) -> None:
    policy, jitters = Policy(budget=99, limit=99, window=36_000), set()
    for start in range(50):
        attempts = [attempt(at=NOW + start - 5 * (failed - i), took=1) for i in range(failed)]
        now = attempts[-1].at + 1
        due = one(condition(policy=policy), attempts, now=now).again_at
        assert due is not None
        jitters.add(due - now)
    pause = 10 * 2 ** (failed - 1)
    assert all(0.8 * pause <= jitter <= 1.2 * pause for jitter in jitters)
    assert len(jitters) > 10, "what broke at once is not tried at once"
    assert max(jitters) - min(jitters) > 0.2 * pause


@given(st.integers(1, 400))
def test_no_pause_is_longer_than_the_longest_however_many_attempts_failed(failed: int) -> None:
    policy = Policy(budget=10_000, limit=10_000, window=1e9)
    made = one(condition(policy=policy), [attempt() for _ in range(failed)], now=NOW - 90)
    assert made.again_at is not None
    assert made.again_at - (NOW - 90) <= LONGEST


def test_after_a_pause_it_goes_on() -> None:
    due = one(condition(), [attempt(at=NOW - 2, took=1)]).again_at
    assert due is not None
    assert one(condition(), [attempt(at=NOW - 2, took=1)], now=due).verdict is Verdict.HEAL


def test_one_that_helped_makes_no_pause() -> None:
    assert one(condition(), [attempt(at=NOW - 2, took=1, helped=True)]).verdict is Verdict.HEAL


def test_a_spent_budget_quarantines_and_says_so() -> None:
    made = one(condition(), [attempt()] * 3)
    assert made.verdict is Verdict.QUARANTINE
    assert made.reason == "3 attempts did not help (verify, 3 times): query: no answer"


def test_a_budget_is_of_its_incident_however_long_that_lasts() -> None:
    assert one(condition(), [attempt(at=NOW - 7200)] * 3).verdict is Verdict.QUARANTINE


def test_three_small_mishaps_that_are_over_leave_a_fourth_its_whole_budget() -> None:
    earlier = [
        attempt(at=NOW - 300 + number, incident=f"a-{number}", cause=CauseKey("not ready", f"Deployment here/{number}"))
        for number in range(3)
    ]
    made = one(condition(), earlier, incident=None)
    assert (made.verdict, made.remedy) == (Verdict.HEAL, Remedy.VERIFY)


def test_attempts_before_the_window_and_those_that_woke_others_do_not_count_as_flapping() -> None:
    old = [attempt(at=NOW - 3601, incident="a-0")] * 9
    woke = [attempt(remedy=Remedy.WAKE)] * 9
    assert one(condition(), [*old, *woke]).verdict is Verdict.HEAL


def test_what_breaks_again_for_the_same_cause_pauses_and_then_ends_at_its_limit() -> None:
    def healed(times: int, cause: CauseKey = QUERY) -> list[Attempt]:
        return [attempt(at=NOW - 3 - n, took=1, helped=True, incident=f"a0{n}", cause=cause) for n in range(times)]

    assert one(condition(), healed(4), incident=None).verdict is Verdict.HEAL, "at once"
    assert one(condition(), healed(6), incident=None).reason == "pauses between attempts"
    assert one(condition(), healed(9), incident=None).verdict is Verdict.QUARANTINE
    another = CauseKey("check failed", "write")
    assert one(condition(), [*healed(4), *healed(8, another)], incident=None).verdict is Verdict.HEAL


def test_a_cause_that_was_not_told_may_be_any_and_one_that_was_is_no_other() -> None:
    plain, image = CauseKey("not ready", "Deployment here/a"), CauseKey("not ready", "Deployment here/a", "image")
    assert plain.same(image)
    assert image.same(plain)
    assert not image.same(dataclasses.replace(image, kind="crash loop"))
    assert not image.same(dataclasses.replace(image, object="Deployment here/b"))
    assert not image.same(dataclasses.replace(image, sign="missing"))


def test_what_was_seen_before_the_last_attempt_ended_decides_nothing() -> None:
    ended = attempt(at=NOW - 10, took=8, helped=True)
    stale = one(condition(seen_at=NOW - 3), [ended])
    assert (stale.verdict, stale.again_at) == (Verdict.LEAVE, NOW + 1)
    assert one(condition(seen_at=NOW - 2), [ended]).verdict is Verdict.HEAL
    set_back = one(condition(seen_at=NOW - 100), [attempt(at=NOW + 3000, took=8, helped=True)])
    assert set_back.verdict is Verdict.HEAL, "a clock that was set back keeps nothing from being healed"


def test_what_is_being_deleted_is_left_until_it_is_gone_then_told_as_stuck_and_never_applied() -> None:
    early = one(condition(going(NOW - 5)))
    assert (early.verdict, early.again_at) == (Verdict.LEAVE, NOW + 55)
    stuck = one(condition(going(NOW - 3600), going(NOW - 2, name="young")), [attempt()] * 5)
    assert stuck.verdict is Verdict.STUCK
    assert stuck.symptom is not None
    assert "kept by its finalizer carbon.test/hold; let it go" in stuck.reason
    gone = one(condition(Symptom(Sign.MISSING, "ConfigMap here/held", "it was deleted")))
    assert gone.remedy is Remedy.REAPPLY


def test_what_differs_beside_what_is_being_deleted_is_healed_and_the_incident_is_about_that() -> None:
    made = one(condition(going(NOW - 3600), symptom(Sign.EDITED)))
    assert (made.verdict, made.remedy) == (Verdict.HEAL, Remedy.REAPPLY)
    assert made.symptom == symptom(Sign.EDITED)


@everything
def test_what_was_tried_for_other_causes_in_incidents_that_are_over_changes_no_decision(
    conditions: dict[str, Condition],
    needs: graph.Needs,
    attempts: list[Attempt],
    incidents: dict[str, OpenIncident],
) -> None:
    looked = {key: dataclasses.replace(found, seen_at=math.inf) for key, found in conditions.items()}
    other = CauseKey("alias edited", "Service here/other")
    over = [dataclasses.replace(made, incident="over", cause=other, ended=made.ended or made.at) for made in attempts]
    expected = decide(looked, needs, attempts, incidents, NOW)
    assert decide(looked, needs, [*over, *attempts], incidents, NOW) == expected


@everything
def test_no_incident_gets_more_attempts_that_did_not_help_than_its_budget(
    conditions: dict[str, Condition],
    needs: graph.Needs,
    attempts: list[Attempt],
    incidents: dict[str, OpenIncident],
) -> None:
    for made in decide(conditions, needs, attempts, incidents, NOW):
        incident = incidents.get(made.component)
        if made.verdict is Verdict.HEAL and incident:
            own = [one for one in attempts if (one.component, one.incident) == (made.component, incident.id)]
            failed = [one for one in own if not one.helped and one.remedy is not Remedy.WAKE]
            assert len(failed) < conditions[made.component].policy.budget


def test_a_thousand_attempts_of_one_incident_are_no_number_too_large() -> None:
    policy = Policy(budget=10_000, limit=10_000, window=1e9)
    assert one(condition(policy=policy), [attempt()] * 2000, now=NOW - 90).again_at is not None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"exempt": "never verified"}, "never verified"), ({"busy": "host_1"}, "host_1 is at work on it")],
)
def test_what_is_not_carbons_to_heal_is_left_with_the_reason(changed: dict[str, str], reason: str) -> None:
    made = one(condition(**changed))
    assert (made.verdict, made.reason) == (Verdict.LEAVE, reason)


@pytest.mark.parametrize(
    ("since", "verdict"), [(0, Verdict.LEAVE), (4, Verdict.LEAVE), (6, Verdict.HEAL), (-3600, Verdict.HEAL)]
)
def test_what_is_being_changed_is_left_before_its_writer_shows(since: float, verdict: Verdict) -> None:
    decision = one(condition(changed=NOW - since))
    assert decision.verdict is verdict
    assert decision.again_at == (NOW - since + 5 if verdict is Verdict.LEAVE else None)


def test_what_needs_something_whose_incident_is_still_open_waits_for_it_though_it_shows_nothing() -> None:
    """It recovered a moment ago, and is not proven to work yet."""
    conditions = {"db": condition(symptoms=()), "app": condition()}
    (made,) = decide(conditions, {"db": (), "app": ("db",)}, [], {"db": OpenIncident("db-1", QUERY)}, NOW)
    assert (made.component, made.verdict, made.root) == ("app", Verdict.WAIT, "db")


BEYOND = [
    Kind.IMAGE,
    Kind.COMMAND,
    Kind.OUT_OF_MEMORY,
    Kind.CPU,
    Kind.MEMORY,
    Kind.TAINT,
    Kind.CORDON,
    Kind.HOST_PORT,
    Kind.UNSCHEDULABLE,
    Kind.VOLUME,
    Kind.STORAGE_CLASS,
    Kind.VOLUME_LOST,
    Kind.MOUNT,
    Kind.QUOTA,
    Kind.POD_SECURITY,
    Kind.SERVICE_ACCOUNT,
    Kind.POLICY,
    Kind.WEBHOOK,
]
UNREADY = symptom(Sign.UNREADY)
FIRST = {
    "an alias that leads elsewhere is repointed": (condition(symptom(Sign.ALIAS)), (), Remedy.REPOINT),
    "an alias that could not be is re-applied": (condition(symptom(Sign.ALIAS)), (Remedy.REPOINT,), Remedy.REAPPLY),
    "what was deleted is put back": (condition(symptom(Sign.MISSING)), (), Remedy.REAPPLY),
    "a deleted CRD is put back as its chart has it": (condition(symptom(Sign.MISSING), UNREADY), (), Remedy.REAPPLY),
    "what was edited is put back": (condition(symptom(Sign.EDITED)), (), Remedy.REAPPLY),
    "an alias among other edits is put back with them": (
        condition(symptom(Sign.ALIAS), symptom(Sign.EDITED)), (), Remedy.REAPPLY
    ),
    "content that differs is applied": (condition(symptom(Sign.CONTENT)), (), Remedy.REAPPLY),
    "a secret that no longer follows its original is copied again": (condition(symptom(Sign.COPY)), (), Remedy.RECOPY),
    "and before its reader, which crashes, is tried otherwise": (
        condition(symptom(Sign.COPY), symptom(Sign.UNREADY, Kind.CRASH_LOOP)), (), Remedy.RECOPY
    ),
    "once copied, its reader is proven and restarted": (
        condition(symptom(Sign.COPY), UNREADY), (Remedy.RECOPY, Remedy.VERIFY), Remedy.RESTART
    ),
    "what was deleted comes before a copy": (condition(symptom(Sign.COPY), symptom(Sign.MISSING)), (), Remedy.REAPPLY),
    "a failed job is run again": (condition(symptom(Sign.JOB_FAILED), reruns_jobs=True), (), Remedy.RERUN_JOB),
    "once": (condition(symptom(Sign.JOB_FAILED), reruns_jobs=True), (Remedy.RERUN_JOB,), None),
    "a failed job of what can't run it again is reported": (condition(symptom(Sign.JOB_FAILED)), (), None),
    "nor does it go back to what was before that job": (
        condition(symptom(Sign.JOB_FAILED), can_roll_back=True),
        (),
        None,
    ),
    "a client whose need recovered is restarted": (condition(need_recovered=True), (), Remedy.RESTART),
    "a check that fails is first proven anew": (condition(), (), Remedy.VERIFY),
    "then its workloads are restarted": (condition(), (Remedy.VERIFY,), Remedy.RESTART),
    "then it goes back to what was proven": (
        condition(can_roll_back=True), (Remedy.VERIFY, Remedy.RESTART), Remedy.ROLL_BACK
    ),
    "a crash loop is restarted": (
        condition(symptom(Sign.UNREADY, Kind.CRASH_LOOP)), (Remedy.VERIFY,), Remedy.RESTART
    ),
    "a stuck rollout is finished": (condition(symptom(Sign.UNREADY, Kind.ROLLOUT)), (), Remedy.VERIFY),
    "a missing Secret is made by materializing": (condition(symptom(Sign.UNREADY, Kind.SECRET)), (), Remedy.VERIFY),
    "a liveness probe that fails is no reason to restart at once": (
        condition(symptom(Sign.UNREADY, Kind.LIVENESS)), (), Remedy.VERIFY
    ),
    **{
        f"{kind}: a restart would repeat it": (condition(symptom(Sign.UNREADY, kind)), (), None) for kind in BEYOND
    },
    **{
        f"{kind} of a new definition: the old one comes back": (
            condition(symptom(Sign.UNREADY, kind), can_roll_back=True), (), Remedy.ROLL_BACK
        )
        for kind in BEYOND
    },
}  # fmt: skip


@pytest.mark.parametrize(("now_like", "tried", "remedy"), FIRST.values(), ids=FIRST.keys())
def test_the_remedy_fits_what_is_seen(now_like: Condition, tried: tuple[Remedy, ...], remedy: Remedy | None) -> None:
    assert choose(now_like, tried) is remedy


@pytest.mark.parametrize("kind", BEYOND)
def test_what_no_restart_mends_is_quarantined_at_once_with_its_cause_and_fix(kind: Kind) -> None:
    made = one(condition(symptom(Sign.UNREADY, kind)))
    assert made.verdict is Verdict.QUARANTINE
    assert str(kind) in made.reason
    assert f"mend {kind}" in made.reason


@given(CONDITIONS, st.lists(st.sampled_from(Remedy), max_size=4))
def test_only_what_may_be_rolled_back_is_and_nothing_is_tried_twice_that_changes_more_than_was_edited(
    conditions: dict[str, Condition], tried: list[Remedy]
) -> None:
    for now_like in conditions.values():
        remedy = choose(now_like, tried)
        if remedy is Remedy.ROLL_BACK:
            assert now_like.can_roll_back
        if remedy in {Remedy.RESTART, Remedy.RERUN_JOB, Remedy.ROLL_BACK}:
            assert remedy not in tried
        assert remedy is not Remedy.WAKE


@pytest.mark.parametrize("also", [(), (symptom(Sign.CHECK),)], ids=["alone", "and a check fails with it"])
def test_what_only_waits_for_its_node_is_left_and_what_needs_it_waits(also: tuple[Symptom, ...]) -> None:
    silent = condition(symptom(Sign.UNREADY, Kind.NODE), *also)
    needs = {"a": (), "b": ("a",)}
    made = decide({"a": silent, "b": condition()}, needs, [], {}, NOW)
    assert [(one.component, one.verdict) for one in made] == [("a", Verdict.LEAVE), ("b", Verdict.WAIT)]
    assert str(Kind.NODE) in made[0].reason


@pytest.mark.parametrize(
    "worse", [symptom(Sign.EDITED), symptom(Sign.MISSING), symptom(Sign.UNREADY, Kind.CRASH_LOOP)], ids=str
)
def test_what_is_wrong_beside_a_silent_node_is_healed(worse: Symptom) -> None:
    assert one(condition(symptom(Sign.UNREADY, Kind.NODE), worse)).verdict is Verdict.HEAL
