"""From what is seen to runs: the whole story of an incident."""

import dataclasses

import pytest

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.decide import Verdict
from carbon_platform.healing.loop import Step
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.view import View
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record, Records
from carbon_platform.release.edited import EditedField
from tests.unit.healing.world import CLIENTS, DEAD, World, one


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
    assert world.incident().outcome == "recovered"


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


def test_a_spent_budget_quarantines_until_a_verification(world: World) -> None:
    seen = []
    for _ in range(3):
        world.fails("cache")
        request = one(world.step(1000))
        seen.append(request.remedy)
        world.begins(request)
        world.ends(request, helped=False, result="query: connection refused")
    assert seen == [Remedy.VERIFY, Remedy.RESTART, Remedy.VERIFY]
    world.fails("cache")
    step = world.step(1000)
    assert step.requests == ()
    assert [made.verdict for made in step.broken] == [Verdict.QUARANTINE]
    assert world.records.get("cache").quarantined.startswith("3 attempts did not help")
    assert world.step(7200) == Step(), "it is told once"
    assert world.incident("cache").closed_at is None
    world.verifies("cache")
    assert world.step().requests == ()
    assert world.incident("cache").outcome == "recovered"
    world.fails("cache")
    assert one(world.step()).remedy is Remedy.VERIFY, "and it is healed again"


def test_what_was_verified_since_the_decision_is_not_quarantined(world: World) -> None:
    for _ in range(3):
        world.fails("cache")
        world.ends(one(world.step(1000)), helped=False)
    world.fails("cache")
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


def test_what_is_being_applied_is_left_though_its_writer_does_not_show_yet(world: World) -> None:
    world.loses("cache")
    world.records.update("cache", lambda record: dataclasses.replace(record, changed_at=world.iso()))
    assert world.step(1).requests == ()
    assert world.book.incidents() == []
    assert one(world.step(6)).components == ("cache",)


def test_an_incident_tells_what_was_edited_whatever_the_pods_say_meanwhile(world: World) -> None:
    name = ObjectName("apps/v1", "StatefulSet", "here", "db")
    silent = Cause(Kind.NODE, name, "its node was silent", "wait")
    edited = Symptom(Sign.EDITED, str(name), "spec.replicas is 0, declared is 1")
    world.shown["db"] = (edited, Symptom(Sign.UNREADY, str(name), "0/1 pods ready", silent))
    world.step()
    assert world.incident().cause == f"{name}: spec.replicas is 0, declared is 1"


def test_an_incident_says_the_cause_as_soon_as_it_is_known(world: World) -> None:
    world.fails("cache")
    world.ends(one(world.step()), helped=False)
    assert world.incident("cache").cause == "query: connection refused"


def test_who_mended_it_while_an_attempt_only_looked_is_told_and_what_was_done_before_is_not(world: World) -> None:
    world.written("cache", by="kubectl-edit")
    world.loses("cache")
    request = one(world.step())
    world.begins(request)
    mended = world.written("cache", by="kubectl-patch")
    world.verifies("cache")
    world.ends(request, helped=True, result="nothing had to be changed", changed=False)
    world.step()
    told = world.incident("cache")
    assert (told.outcome, told.ending) == ("mended by others", mended)
    assert told.attempts[0].came == "found it well"


def test_a_person_s_materialization_ends_what_no_attempt_could_and_tells_what_it_cost(world: World) -> None:
    world.materialized("cache")
    world.fails("cache")
    world.ends(one(world.step(60)), helped=False, result="query: no answer")
    world.now += 60
    mended = world.materialized("cache", lost=("topic prices with what it held; it was made anew, empty",))
    world.step()
    told = world.incident("cache")
    assert (told.outcome, told.ending) == ("mended by others", mended)
    assert told.lost == ("topic prices with what it held; it was made anew, empty",)


def test_a_helm_revision_that_carbon_did_not_make_is_told(world: World) -> None:
    world.revisions = {"cache": Deployed(1, True, "by helm at 11:00")}
    world.fails("cache")
    world.ends(one(world.step(60)), helped=False)
    world.revisions = {"cache": Deployed(2, False, "by helm at 12:11")}
    world.verifies("cache")
    world.step()
    assert world.incident("cache").ending == "revision 2 was made by helm at 12:11, and not by Carbon"


def test_what_nobody_was_seen_to_mend_is_told_so(world: World) -> None:
    world.fails("cache")
    world.ends(one(world.step(60)), helped=False)
    world.verifies("cache")
    world.step()
    told = world.incident("cache")
    assert told.ending == "it recovered with 1 attempt that did not help, and no edit seen"


def test_an_incident_tells_who_edited_what_as_drift_does_also_what_was_edited_later(world: World) -> None:
    first = EditedField("spec.replicas", "0", "1", "kubectl-scale", "2026-01-01T12:00:00Z")
    later = EditedField("spec.paused", "True", "(absent)", "kubectl-edit", "2026-01-01T12:00:09Z")
    for fields in ((first,), (first, later)):
        name = "Deployment here/cache"
        world.shown["cache"] = (Symptom(Sign.EDITED, name, "; ".join(map(str, fields)), edits=fields),)
        request = world.step(60).requests
        if request:
            world.ends(request[0], helped=False, result="refused", fix="carbon up cache --confirm it")
    told = world.incident("cache")
    assert [edit.field for edit in told.edits] == [first, later]
    assert told.cause == f"Deployment here/cache: {first}"
    assert told.mend == "carbon up cache --confirm it", "what the attempt was told is what mends it"


def test_attempts_of_an_incident_before_are_not_said_of_the_next(world: World) -> None:
    for _ in range(2):
        world.fails("cache")
        world.ends(one(world.step(1000)), helped=False, result="an earlier fault")
    world.verifies("cache")
    world.step()
    for number in range(3):
        world.fails("cache")
        request = one(world.step(4000))
        world.ends(request, helped=False, result=f"answer {number}")
    world.fails("cache")
    (told,) = world.step(4000).broken
    assert told.reason.startswith("3 attempts did not help (verify: answer 0; restart: answer 1; verify: answer 2)")
    assert "earlier" not in told.reason


def test_what_is_quarantined_says_the_fix_that_its_attempts_were_told(world: World) -> None:
    for _ in range(3):
        world.fails("cache")
        world.ends(one(world.step(1000)), helped=False, result="refused", fix="carbon up cache --confirm it")
    world.fails("cache")
    (told,) = world.step(1000).broken
    assert told.symptom is not None
    assert told.symptom.fix == "carbon up cache --confirm it"


def test_what_a_killed_run_wrote_and_the_next_found_well_was_healed(world: World) -> None:
    world.loses("cache")
    first = one(world.step())
    world.begins(first, DEAD)
    world.step()
    second = one(world.step(30))
    world.begins(second)
    world.now += 5
    world.verifies("cache", changed=True)
    world.ends(second, helped=True, result="nothing had to be changed", changed=False)
    world.step()
    told = world.incident("cache")
    assert (told.outcome, told.attempts[0].result) == ("healed", "its process ended")
    assert told.ending == "attempt 1, re-apply, wrote what attempt 2 found well; no edit seen"
