"""What counts against whom: an incident has its own budget, and helped is what is gone afterwards."""

import dataclasses

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.decide import Verdict
from carbon_platform.healing.loop import Step
from carbon_platform.healing.symptoms import Sign, Symptom, of_release
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.desired import Desired
from tests.objects import obj
from tests.unit.healing.world import World, one


def test_three_small_mishaps_within_an_hour_leave_a_fourth_its_whole_budget(world: World) -> None:
    for number in range(3):
        world.shown["cache"] = (Symptom(Sign.UNREADY, f"Deployment here/{number}", "0/1 pods ready"),)
        request = one(world.step(60))
        world.begins(request)
        world.ends(request, helped=False, result="not ready in time")
        world.now += 1
        world.verifies("cache")
        assert world.step().requests == ()
        assert world.incident("cache").outcome == "recovered"
    world.fails("cache")
    assert one(world.step(60)).remedy is Remedy.VERIFY
    assert world.records.get("cache").quarantined == ""


def test_an_attempt_after_which_the_symptom_is_still_there_did_not_help_whatever_it_changed(world: World) -> None:
    def heals_nothing() -> None:
        request = one(world.step(1000))
        assert request.remedy is Remedy.REAPPLY
        world.begins(request)
        world.now += 5
        world.records.update("cache", lambda record: dataclasses.replace(record, verified_at=world.iso()))
        world.ends(request, helped=True, result="nothing had to be changed")

    world.loses("cache")
    heals_nothing()
    before = world.healer.step(world.watcher.seen)
    assert (before.requests, before.again_at) == ((), world.now + 1), "a look from before its end tells nothing of it"
    assert world.incident("cache").attempts[0].helped
    assert world.step().requests == (), "it pauses, as after any attempt that did not help"
    made = world.incident("cache").attempts[0]
    assert not made.helped
    assert made.result == "nothing had to be changed, and still Deployment here/cache: it was deleted"
    heals_nothing()
    heals_nothing()
    (told,) = world.step(1000).broken
    assert told.verdict is Verdict.QUARANTINE
    still = "nothing had to be changed, and still Deployment here/cache: it was deleted"
    assert told.reason == f"3 attempts did not help (re-apply, 3 times: {still}): Deployment here/cache: it was deleted"


def test_what_is_being_deleted_is_waited_for_told_once_when_that_takes_long_and_put_back_when_it_is_gone(
    world: World,
) -> None:
    declared = obj("ConfigMap", "cache")
    held = obj("ConfigMap", "cache", deletionTimestamp=world.iso(), finalizers=["carbon.test/hold"])
    world.shown["cache"] = tuple(of_release(Desired((), (declared,)), {ObjectName.of(held): held}.get, {}))
    first = world.step()
    assert (first.requests, first.broken) == ((), ())
    assert first.again_at is not None
    stuck = world.step(first.again_at - world.now)
    assert stuck.requests == ()
    assert [decision.verdict for decision in stuck.broken] == [Verdict.STUCK]
    told = world.incident("cache")
    assert "kept by its finalizer carbon.test/hold" in told.cause
    assert "start what serves carbon.test/hold" in told.fix
    for _ in range(5):
        assert world.step(600) == Step(), "it is told once, and nothing is tried"
    assert world.records.get("cache").quarantined == ""
    world.loses("cache")
    world.heals(one(world.step()))
    assert world.step().requests == ()
    assert world.incident("cache").outcome == "healed"


def test_what_a_person_mended_and_breaks_again_before_anybody_looked_is_another_incident(world: World) -> None:
    for _ in range(3):
        world.loses("cache")
        world.ends(one(world.step(1000)), helped=False)
    world.step(1000)
    assert world.records.get("cache").quarantined
    world.now += 10
    world.verifies("cache", changed=True)
    world.loses("cache")
    assert one(world.step(10)).number == 1
    assert {incident.outcome for incident in world.book.incidents()} == {"", "recovered"}


def test_a_sweep_does_not_end_the_incident_of_what_no_check_sees(world: World) -> None:
    """Checks pass whatever a label says."""
    world.loses("cache")
    world.ends(one(world.step(1000)), helped=False)
    world.now += 10
    shown = world.shown["cache"]
    world.verifies("cache")
    world.shown["cache"] = shown
    assert one(world.step(10)).number == 2


def test_what_breaks_while_others_are_woken_is_another_incident(world: World) -> None:
    world.loses("db")
    world.heals(one(world.step()))
    wake = one(world.step())
    world.begins(wake)
    world.loses("db")
    assert world.step().requests == ()
    world.ends(wake, helped=True)
    again = one(world.step())
    assert (again.components, again.number) == (("db",), 1)
    assert again.incident != wake.incident
    assert {incident.outcome for incident in world.book.incidents()} == {"", "healed"}


def test_what_a_check_said_before_an_attempt_decides_nothing_after_it(world: World) -> None:
    """The run may have ended with an error, of an event from before, when its remedy was right: the checks tell."""
    world.fails("cache")
    world.now += 1
    request = one(world.step())
    world.begins(request)
    world.ends(request, helped=False, result="not ready in time")
    assert world.step(1000).requests == ()
    assert world.incident("cache").closed_at is None, "it is not proven to be over either"
    world.fails("cache")
    assert one(world.step()).remedy is Remedy.RESTART
