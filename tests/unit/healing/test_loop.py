"""From what is seen to runs: the whole story of an incident, on a clock of the test's own and without a cluster."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from carbon_platform.healing.decide import Decision, Verdict, decide
from carbon_platform.healing.incidents import Book, Incident, book_of
from carbon_platform.healing.loop import Healer, Request, Step
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.watcher import View
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.materialization.session import platform_key
from carbon_platform.records import CheckResult, Record, Records
from carbon_platform.release.lease import Writer, this_process
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Platform
from tests.definitions import Definitions

CLIENTS = ["airflow", "catalog", "flow", "metadata", "tracking"]
"""They need the database; `portal` needs one of them, `cache` needs nothing."""
LIVING = str(this_process())
ELSEWHERE = str(dataclasses.replace(this_process(), host="elsewhere"))
DEAD = str(dataclasses.replace(this_process(), pid=4_000_000, started="1"))


class InMemoryWatcher:
    """Stands in for the Watcher: a test says what is seen."""

    def __init__(self) -> None:
        self.seen = View()
        self.waited: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Nothing is to be started."""

    def view(self) -> View:
        """What the test said last."""
        return self.seen

    def wait(self, seconds: float) -> bool:
        """What happens meanwhile, happens; no time passes."""
        self.waited.append(seconds)
        self.meanwhile()
        return True


class World:
    """A deployed and proven platform, what is seen of it, and a clock."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self.platform, self.settings = platform, settings
        self.now = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC).timestamp()
        self.watcher = InMemoryWatcher()
        self.healer = self.daemon()
        self.records = Records(settings.home / "records.db", platform_key("cluster", settings))
        self.book: Book = book_of(settings, "cluster")
        self.shown: dict[str, tuple[Symptom, ...]] = {}
        self.busy: dict[str, str] = {}
        self.unreachable = self.settled_at = ""
        for key, component in platform.components.items():
            record = Record(key, component.digest, component.checks_digest, 1, changed_at=self.iso())
            self.records.put(dataclasses.replace(record, verified_at=self.iso(), verified_revision=1))
        self.now += 600

    def daemon(self) -> Healer:
        """Another process that heals this platform."""
        return Healer(self.settings, self.watcher, lambda: self.now)  # type: ignore[arg-type]

    def iso(self) -> str:
        """The time as records have it."""
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC).isoformat(timespec="milliseconds")

    def step(self, seconds: float = 1, by: Healer | None = None) -> Step:
        """A look at everything, so many seconds later."""
        self.now += seconds
        self.watcher.seen = View(
            self.platform, "cluster", self.unreachable, dict(self.shown), dict(self.busy), self.settled_at
        )
        return (by or self.healer).step(self.watcher.seen)

    def loses(self, key: str) -> None:
        """One of its objects is deleted."""
        self.shown[key] = (Symptom(Sign.MISSING, f"Deployment here/{key}", "it was deleted"),)

    def fails(self, *keys: str) -> None:
        """A check of theirs says so."""
        check = CheckResult("query", False, "connection refused", self.iso())
        for key in keys:
            self.records.update(key, lambda record: dataclasses.replace(record, checks=(check,)))

    def verifies(self, *keys: str, changed: bool = False) -> None:
        """All their checks pass, and nothing shows; after a change that was applied, if so."""
        for key in keys:
            self.shown.pop(key, None)
            check = CheckResult("query", True, "fine", self.iso())
            told = {"checks": (check,), "verified_at": self.iso(), "quarantined": "", "failure": ""}
            told |= {"changed_at": self.iso()} if changed else {}
            self.records.update(key, lambda record, told=told: dataclasses.replace(record, **told))

    def begins(self, request: Request, writer: str = LIVING) -> None:
        """Dagster starts the run that was asked for."""
        self.book.started(request.incident, request.number, writer, "run", self.now)

    def ends(self, request: Request, *, helped: bool, result: str = "") -> None:
        """The run says how it ended."""
        self.book.ended(request.incident, request.number, helped, result, self.now)

    def heals(self, request: Request) -> None:
        """A run from its beginning to a good end."""
        self.begins(request)
        self.now += 5
        for key in request.components:
            self.verifies(key, changed=True)
        self.ends(request, helped=True)

    def incident(self, component: str = "db") -> Incident:
        """The newest of a component."""
        return next(incident for incident in self.book.incidents() if incident.component == component)


@pytest.fixture
def world(definitions: Definitions) -> World:
    """A database, five components that need it, one above, one apart."""
    definitions.chart()
    definitions.release("db", stateful=True)
    for key in CLIENTS:
        definitions.release(key, needs=["db"])
    definitions.release("portal", needs=["flow"])
    definitions.release("cache")
    return World(definitions.load(), definitions.settings())


def one(step: Step) -> Request:
    """The one run that a step asks for."""
    (request,) = step.requests
    return request


def test_a_platform_that_is_well_is_left_alone(world: World) -> None:
    assert world.step() == Step()
    assert world.book.incidents() == []


def test_a_cluster_that_is_away_is_not_broken(world: World) -> None:
    world.fails("db")
    world.unreachable = "the API server can't be reached"
    assert world.step() == Step()
    assert world.healer.step(View()) == Step(), "nor is what was not looked at yet"
    assert world.book.incidents() == []


def test_what_a_check_said_before_the_cluster_had_settled_waits_for_the_next_sweep(world: World) -> None:
    world.fails("db")
    world.now += 10
    world.settled_at = world.iso()
    assert world.step() == Step()
    world.loses("cache")
    assert one(world.step()).components == ("cache",), "what the cluster shows is no matter of checks"
    world.fails("db")
    assert one(world.step()).components == ("db",)


def test_the_database_dies_and_five_fail_one_heal_then_all_are_proven_in_one_run(world: World) -> None:
    world.loses("db")
    world.fails(*CLIENTS)
    step = world.step()
    request = one(step)
    assert (request.components, request.remedy) == (("db",), Remedy.REAPPLY)
    assert [made.component for made in step.broken] == ["db"]
    assert world.incident().waiting == tuple(sorted(CLIENTS)), "told with the first look"
    assert world.step().requests == ()

    world.begins(request)
    assert world.step(5).requests == ()
    world.verifies("db", changed=True)
    assert world.step().requests == (), "its attempt is still under way"
    world.ends(request, helped=True)

    wake = one(world.step())
    assert (wake.remedy, set(wake.components)) == (Remedy.WAKE, {*CLIENTS, "portal"})
    assert wake.components.index("flow") < wake.components.index("portal")
    assert wake.key != request.key
    assert world.step().requests == (), "while they are proven, none of them is healed"

    world.begins(wake)
    world.verifies(*(set(wake.components) - {"catalog"}))
    assert world.step().requests == ()
    world.begins(wake, DEAD)
    last = one(world.step())
    assert (last.components, last.remedy) == (("catalog",), Remedy.RESTART), "still broken then"
    assert world.incident().outcome == "healed"
    assert [attempt.helped for attempt in world.incident().attempts] == [True, True]
    world.heals(last)
    assert world.step() == Step()
    assert {incident.outcome for incident in world.book.incidents()} == {"healed"}


def test_what_recovers_by_itself_is_proven_before_what_needs_it_is_healed(world: World) -> None:
    world.loses("db")
    world.busy["db"] = "a person"  # so that no run is asked for at once
    assert world.step().requests == ()
    world.busy.clear()
    request = one(world.step())
    world.begins(request)
    world.fails("flow")
    world.shown.clear()
    world.ends(request, helped=False, result="its run was ended")
    assert world.step().requests == (), "nothing shows of the database, and nothing proves it either"
    assert world.incident().waiting == ("flow",)
    world.verifies("db")
    wake = one(world.step())
    assert (wake.remedy, wake.components) == (Remedy.WAKE, ("flow",))
    world.heals(wake)
    world.begins(wake, DEAD)
    world.step()
    assert world.incident().outcome == "recovered by itself"


def test_what_is_rolled_back_quarantined_or_another_definition_is_not_woken(world: World) -> None:
    world.fails("flow", "catalog", "tracking", "metadata")
    world.records.update("flow", lambda r: dataclasses.replace(r, digest="", rolled_back=r.digest))
    world.records.update("catalog", lambda r: dataclasses.replace(r, digest="another"))
    world.records.update("tracking", lambda r: dataclasses.replace(r, quarantined="too often"))
    world.loses("db")
    world.heals(one(world.step()))
    assert set(one(world.step()).components) == {"airflow", "metadata", "portal"}


def test_everything_broken_at_once_is_healed_from_the_bottom_up(world: World) -> None:
    for key in world.platform.components:
        world.loses(key)
    step = world.step()
    assert sorted(request.components for request in step.requests) == [("cache",), ("db",)]
    for request in step.requests:
        world.heals(request)
    step = world.step()
    assert sorted(request.components for request in step.requests) == [(key,) for key in CLIENTS], "nothing is woken"
    for request in step.requests:
        world.heals(request)
    (last,) = world.step().requests
    assert last.components == ("portal",)
    world.heals(last)
    assert world.step().requests == ()
    assert {attempt.remedy for attempt in world.book.attempts_since(0)} == {Remedy.REAPPLY}
    assert not world.shown


def test_a_removed_component_closes_its_incident_and_its_attempt(world: World) -> None:
    world.loses("cache")
    request = one(world.step())
    world.begins(request)
    kept = {key: component for key, component in world.platform.components.items() if key != "cache"}
    world.platform = dataclasses.replace(world.platform, components=kept)
    assert world.step().requests == ()
    told = world.incident("cache")
    assert told.outcome == "removed from the platform"
    assert told.attempts[0].ended_at is not None


def test_an_empty_platform_is_nothing_to_heal(world: World) -> None:
    world.platform = dataclasses.replace(world.platform, components={})
    assert world.step() == Step()


def test_an_attempt_whose_process_died_is_ended_and_another_made_after_a_pause(world: World) -> None:
    world.loses("cache")
    first = one(world.step())
    world.begins(first, LIVING)
    assert world.step().requests == ()
    world.begins(first, DEAD)
    step = world.step()
    assert step.requests == ()
    attempt = world.incident("cache").attempts[0]
    assert (attempt.helped, attempt.result) == (False, "its process ended")
    assert step.again_at is not None
    assert 8 <= step.again_at - world.now <= 12
    second = one(world.step(12))
    assert (second.incident, second.number) == (first.incident, 2)


def test_a_run_that_never_began_is_asked_for_again_by_the_same_key(world: World) -> None:
    """The daemon was killed between the decision and the run; Dagster starts one run for one key."""
    world.loses("cache")
    first = one(world.step())
    assert world.step(3).requests == ()
    again = one(world.step(2, world.daemon()))
    assert again.key == first.key
    assert world.step(3).requests == (), "and not all the time"
    assert one(world.step(-3600)).key == first.key, "also when the clock was set back"
    assert (again.components, again.remedy) == (first.components, first.remedy)
    assert len(world.incident("cache").attempts) == 1
    world.begins(again)
    assert world.step(100).requests == ()


def test_an_attempt_of_which_nothing_is_heard_for_long_has_failed(world: World) -> None:
    world.loses("cache")
    world.begins(one(world.step()), "another-machine_abcdef12_7_1")
    assert world.step(1700).requests == ()
    world.step(200)
    assert world.incident("cache").attempts[0].result == "nothing was heard of its run"


def test_two_daemons_ask_for_one_run(world: World) -> None:
    world.loses("cache")
    steps = [world.step(0, world.daemon()) for _ in range(2)]
    assert [len(step.requests) for step in steps] == [1, 0]
    assert len(world.incident("cache").attempts) == 1


def test_who_comes_second_looks_again_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may have asked for a daemon that was killed meanwhile: its answer goes nowhere."""
    world.loses("cache")
    first: list[Request] = []
    with monkeypatch.context() as patch:

        def decided_twice(*given: Any) -> list[Decision]:
            patch.undo()
            first.append(one(world.step(0, world.daemon())))
            return decide(*given)

        patch.setattr("carbon_platform.healing.loop.decide", decided_twice)
        second = world.step(0)
    assert (second.requests, second.again_at) == ((), world.now + 1)
    assert one(world.step(5)).key == first[0].key


def test_while_the_daemon_that_asked_lives_no_other_asks_in_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run key means another run to a daemon that loaded the platform under another name."""
    world.loses("cache")
    with monkeypatch.context() as patch:
        patch.setattr("carbon_platform.healing.loop.this_process", lambda: Writer.parse(ELSEWHERE))
        first = one(world.step(0, world.daemon()))
    assert world.step(20).requests == ()
    assert one(world.step(50)).key == first.key, "it is silent for too long"


def test_what_a_daemon_asked_for_that_is_dead_is_asked_for_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.loses("cache")
    with monkeypatch.context() as patch:
        patch.setattr("carbon_platform.healing.loop.this_process", lambda: Writer.parse(DEAD))
        first = one(world.step(0, world.daemon()))
    assert one(world.step(15)).key == first.key


def test_attempts_that_the_api_server_cut_short_say_nothing_about_their_remedy(world: World) -> None:
    world.fails("cache")
    for number in range(1, 6):
        request = one(world.step(1000))
        assert (request.number, request.remedy) == (number, Remedy.VERIFY)
        world.begins(request)
        world.book.ended(request.incident, number, False, "the API server is away", world.now, cut_short=True)
    assert [attempt.cut_short for attempt in world.incident("cache").attempts] == [True] * 5


def test_a_spent_budget_quarantines_until_a_verification(world: World) -> None:
    world.fails("cache")
    seen = []
    for _ in range(3):
        request = one(world.step(1000))
        seen.append(request.remedy)
        world.begins(request)
        world.ends(request, helped=False, result="query: connection refused")
    assert seen == [Remedy.VERIFY, Remedy.RESTART, Remedy.VERIFY]
    step = world.step(1000)
    assert step.requests == ()
    assert [made.verdict for made in step.broken] == [Verdict.QUARANTINE]
    assert world.records.get("cache").quarantined.startswith("3 attempts within 3600 s did not help")
    assert world.step(7200) == Step(), "it is told once"
    assert world.incident("cache").closed_at is None
    world.verifies("cache")
    assert world.step().requests == ()
    assert world.incident("cache").outcome == "recovered by itself"
    world.fails("cache")
    assert one(world.step()).remedy is Remedy.VERIFY, "and it is healed again"


def test_what_was_verified_since_the_decision_is_not_quarantined(world: World) -> None:
    world.fails("cache")
    for _ in range(3):
        world.ends(one(world.step(1000)), helped=False)
    records = Records.all

    def verified_meanwhile(self: Records) -> dict[str, Record]:
        found = records(self)
        world.verifies("cache")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Records, "all", verified_meanwhile)
        world.step(1000)
    assert world.records.get("cache").quarantined == ""


def test_while_somebody_is_at_work_nothing_is_healed_and_what_needs_it_waits(world: World) -> None:
    world.loses("db")
    world.fails("flow")
    world.busy["db"] = "host_boot_1_2"
    assert world.step().requests == ()
    world.busy.clear()
    assert one(world.step()).components == ("db",)


def test_an_incident_says_the_cause_as_soon_as_it_is_known(world: World) -> None:
    world.fails("cache")
    world.ends(one(world.step()), helped=False)
    assert world.incident("cache").cause == "query: connection refused"


def test_holding_returns_at_once_with_a_run_and_looks_again_when_something_changed(world: World) -> None:
    world.step()
    changes = iter([lambda: None, lambda: None, lambda: world.loses("cache")])

    def meanwhile() -> None:
        next(changes)()
        if world.shown:
            world.watcher.seen = dataclasses.replace(world.watcher.seen, symptoms=dict(world.shown))

    world.watcher.meanwhile = meanwhile
    assert one(world.healer.hold(60)).components == ("cache",)
    assert len(world.watcher.waited) == 3


def test_holding_sees_a_check_that_failed_though_the_cluster_shows_nothing(world: World) -> None:
    world.step()
    world.watcher.meanwhile = lambda: world.fails("cache")
    assert one(world.healer.hold(60)).components == ("cache",)


def test_holding_sees_that_a_run_has_ended_and_that_its_process_died(world: World) -> None:
    """Neither shows in the cluster, nor in the records."""
    world.loses("cache")
    request = one(world.step())
    world.begins(request)
    looks = []

    def meanwhile() -> None:
        world.now += 1
        looks.append(world.now)
        if len(looks) == 3:
            world.begins(request, DEAD)

    world.watcher.meanwhile = meanwhile
    assert one(world.healer.hold(60)).number == 2
    assert 3 + 8 <= len(looks) <= 3 + 12 + 2, "after the pause, and no later"


def test_holding_ends_with_nothing_when_nothing_happens(world: World) -> None:
    world.step()
    assert world.healer.hold(0.01) == Step()
