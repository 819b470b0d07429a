"""What is wrong with a component: with its objects, with its checks, and which of what is wrong is the root."""

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.drift import of_release as drift_of_release
from carbon_platform.healing.conditions import conditions
from carbon_platform.healing.decide import Attempt, Condition
from carbon_platform.healing.doctor import findings
from carbon_platform.healing.symptoms import (
    CauseKey,
    Sign,
    Symptom,
    edit_of,
    edits_of,
    first_cause,
    key_of,
    of_record,
    of_release,
)
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.deletion import being_deleted
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import OUTDATED_COPIES, CheckResult, Record
from carbon_platform.release.desired import Desired
from carbon_platform.release.difference import FieldChange, difference
from carbon_platform.release.edited import EditedField
from carbon_platform.release.plan import Action, Change
from carbon_platform.spec import graph
from carbon_platform.spec.platform import Platform
from tests.definitions import Definitions
from tests.objects import conditions as status_conditions
from tests.objects import obj, workload

CONFIG = obj("ConfigMap")
DEPLOYMENT = workload("Deployment", spec={"replicas": 1})
READY = workload(
    "Deployment",
    spec={"replicas": 1},
    status={"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1},
)
ALIAS = obj("Service", "alias", spec={"type": "ExternalName", "externalName": "db.here.svc"})
JOB = workload("Job")
FAILED_JOB = workload("Job", status=status_conditions(Failed=("True", "BackoffLimitExceeded", "too often")))
EDIT = FieldChange("data.message", "hello", "edited")


def signs(
    desired: list[Object], live: list[Object], edits: dict[ObjectName, Change] | None = None
) -> list[tuple[Sign, str]]:
    there = {ObjectName.of(one): one for one in live}
    found = of_release(Desired((), tuple(desired)), there.get, edits or {})
    return [(symptom.sign, symptom.text) for symptom in found]


def test_what_is_as_desired_and_ready_shows_nothing() -> None:
    assert signs([CONFIG, DEPLOYMENT], [CONFIG, READY]) == []


def test_what_was_deleted_is_missing_and_comes_first() -> None:
    broken = workload("Deployment", spec={"replicas": 1}, status={"observedGeneration": 1})
    assert signs([DEPLOYMENT, CONFIG], [broken]) == [
        (Sign.MISSING, "it was deleted"),
        (Sign.UNREADY, "0/1 pods updated"),
    ]


def test_what_is_being_deleted_is_missing_and_says_since_when_what_keeps_it_and_who_could_let_go() -> None:
    going = obj("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["carbon.test/hold", "carbon.test/b"])
    (found,) = of_release(Desired((), (CONFIG,)), {ObjectName.of(CONFIG): going}.get, {})
    assert (found.sign, found.going) == (Sign.MISSING, True)
    assert "is being deleted since 2026-01-01T00:00:00+00:00" in str(found)
    assert "kept by its finalizers carbon.test/hold, carbon.test/b" in str(found)
    assert "start what serves carbon.test/hold" in found.fix
    assert found.since == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()
    assert not Symptom(Sign.MISSING, "ConfigMap here/a", "it was deleted").going


@pytest.mark.parametrize(
    ("finalizers", "fix"),
    [([], "goes by itself"), (["kubernetes.io/pvc-protection"], "its data go with the last pod that uses it")],
)
def test_what_kubernetes_itself_keeps_says_what_it_waits_for(finalizers: list[str], fix: str) -> None:
    claim = obj("PersistentVolumeClaim", deletionTimestamp="2026-01-01T00:00:30Z", finalizers=finalizers)
    claim["metadata"]["deletionGracePeriodSeconds"] = 30
    cause = being_deleted(claim)
    assert cause is not None
    assert fix in cause.fix
    assert "since 2026-01-01T00:00:00" in cause.why, "when it was asked for, and not when its grace period ends"
    assert being_deleted(obj("PersistentVolumeClaim")) is None


def test_an_incident_is_about_what_can_be_healed_and_known_by_its_sign_object_and_kind() -> None:
    going = Symptom(Sign.MISSING, "ConfigMap here/a", "it is being deleted", CAUSE, since=1.0)
    going = dataclasses.replace(going, cause=dataclasses.replace(CAUSE, kind=Kind.FINALIZER))
    unready = Symptom(Sign.UNREADY, "Deployment here/a", "0/1 pods", CAUSE)
    edited = Symptom(Sign.EDITED, "Service here/a", "spec.port")
    assert key_of([going]) == CauseKey("missing", "ConfigMap here/a", Kind.FINALIZER.value)
    assert key_of([going, edited, unready]) == CauseKey("edited", "Service here/a"), "an edit is the cause itself"
    check_ = Symptom(Sign.CHECK, "query", "no answer")
    assert key_of([check_, unready]) == CauseKey("check failed", "query", CAUSE.kind.value)


def test_a_job_that_vanishes_once_it_has_finished_is_not_missing() -> None:
    assert signs([workload("Job", spec={"ttlSecondsAfterFinished": 60})], []) == []
    assert signs([workload("Job", spec={"ttlSecondsAfterFinished": None})], []) == [(Sign.MISSING, "it was deleted")]
    thing = obj("Job", api_version="example.com/v1", spec={"ttlSecondsAfterFinished": 60})
    assert signs([thing], []) == [(Sign.MISSING, "it was deleted")]


def test_a_job_that_is_suspended_shows_nothing() -> None:
    job = workload("Job", spec={"suspend": True}, status=status_conditions(Suspended="True"))
    assert signs([job], [job]) == []


def test_an_edit_tells_its_first_fields() -> None:
    edit = Change(Action.UPDATE, ObjectName.of(CONFIG), tuple(FieldChange(f"data.k{i}", "a", "b") for i in range(5)))
    ((sign, text),) = signs([CONFIG], [CONFIG], {edit.object: edit})
    assert sign is Sign.EDITED
    assert text.endswith("; and 2 more fields")
    assert "data.k0" in text


def test_an_alias_that_was_edited_is_one() -> None:
    edit = Change(Action.UPDATE, ObjectName.of(ALIAS), (EDIT,))
    assert signs([ALIAS], [ALIAS], {edit.object: edit})[0][0] is Sign.ALIAS


def test_a_job_that_failed_is_one_and_a_job_that_runs_is_nothing() -> None:
    assert signs([JOB], [FAILED_JOB]) == [(Sign.JOB_FAILED, "failed: too often")]
    assert signs([JOB], [workload("Job", status={"active": 1})]) == []


def test_a_service_that_waits_for_its_address_is_nothing_to_heal() -> None:
    service = obj("Service", spec={"type": "LoadBalancer"})
    assert signs([service], [service]) == []


def test_a_kind_that_is_not_there_means_that_its_objects_are_not() -> None:
    assert signs([obj("Gadget", api_version="carbon.test/v1")], []) == [(Sign.MISSING, "it was deleted")]


def test_an_unready_object_or_none_is_no_edit_and_a_refusal_is_one() -> None:
    name = ObjectName.of(CONFIG)
    assert edit_of("Deployment a: 0/1 pods") is edit_of(None) is edit_of(Change(Action.CREATE, name)) is None
    edit = Change(Action.UPDATE, name, (EDIT,))
    assert edit_of(edit) is edit
    assert edits_of(edit) == (EditedField(EDIT.path, EDIT.live, EDIT.desired),)
    (refused,) = edits_of(Change(Action.REFUSED, name, reason="field is immutable"))
    assert "field is immutable" in str(refused)


CAUSE = Cause(Kind.CRASH_LOOP, ObjectName("v1", "Pod", "here", "app-0"), "exits with code 1", "see its log")


def test_a_symptom_tells_its_cause_where_there_is_one() -> None:
    plain = Symptom(Sign.UNREADY, "Deployment here/a", "0/1 pods")
    known = dataclasses.replace(plain, cause=CAUSE)
    assert (str(plain), str(known)) == ("Deployment here/a: 0/1 pods", "Deployment here/a: exits with code 1")
    assert first_cause([plain, known]) == CAUSE
    assert first_cause([plain]) is None


@pytest.fixture
def platform(definitions: Definitions) -> Platform:
    """A database, what needs it, and what needs that."""
    definitions.chart()
    definitions.release("db", stateful=True)
    definitions.release("app", needs=["db"], heal={"budget": 2, "limit": 5, "window": "10m"})
    definitions.release("portal", needs=["app"], heal={"budget": 0})
    return definitions.load()


THEN, LATER = "2026-01-01T10:00:00+00:00", "2026-01-01T11:00:00+00:00"
THEN_SECONDS = 1767261600.0


def verified(platform: Platform, key: str, **changed: object) -> Record:
    """The record of a component that is deployed as defined, and proven."""
    component = platform.components[key]
    record = Record(key, component.digest, component.checks_digest, 3, changed_at=THEN, verified_at=THEN)
    return dataclasses.replace(record, verified_revision=3, **changed)


def told(
    platform: Platform, key: str, record: Record, *shown: Symptom, attempts: tuple[Attempt, ...] = ()
) -> Condition:
    return conditions(platform, {key: shown}, {}, {key: record}, attempts)[key]


def check(name: str, *, passed: bool) -> CheckResult:
    return CheckResult(name, passed, "no answer", THEN, fix="start it")


def test_checks_that_failed_are_symptoms_unless_the_checks_are_others_by_now(platform: Platform) -> None:
    component = platform.components["app"]
    checks = (check("ready", passed=False), check("query", passed=False), check("write", passed=True))
    record = verified(platform, "app", checks=checks)
    assert of_record(component, record) == [Symptom(Sign.CHECK, "query", "no answer", fix="start it")]
    assert of_record(component, dataclasses.replace(record, checks_digest="another")) == []
    assert of_record(component, record, THEN) == of_record(component, record)
    assert of_record(component, record, LATER) == [], "the cluster had not settled yet"
    unknown = check("in_sync", passed=False)
    differs = dataclasses.replace(unknown, evidence={"differences": 2})
    signs = [of_record(component, dataclasses.replace(record, checks=(one,)))[0].sign for one in (differs, unknown)]
    assert signs == [Sign.CONTENT, Sign.CHECK], "what can't be compared is not known to differ"
    told = dataclasses.replace(record, checks=(dataclasses.replace(differs, warning=True),))
    assert of_record(component, told) == [], "what is to be told only is nothing to heal"


def test_a_copy_that_does_not_follow_its_original_is_one_though_everything_else_is_ready(platform: Platform) -> None:
    ready = dataclasses.replace(check("ready", passed=False), evidence={OUTDATED_COPIES: 1})
    record = verified(platform, "app", checks=(ready,))
    assert [symptom.sign for symptom in of_record(platform.components["app"], record)] == [Sign.COPY]


@pytest.mark.parametrize(("at", "now", "counts"), [(-5, 9, True), (5, 9, False), (5, 3, True)])
def test_what_a_check_said_before_the_last_attempt_is_asked_again_unless_the_clock_was_set_back(
    platform: Platform, at: float, now: float, counts: bool
) -> None:
    record = verified(platform, "app", checks=(check("query", passed=False),))
    made = Attempt("app", "app-1", Remedy.REAPPLY, THEN_SECONDS + at, THEN_SECONDS + 8)
    found = conditions(platform, {}, {}, {"app": record}, (made,), now=THEN_SECONDS + now)
    assert bool(found["app"].symptoms) is counts
    for other in (dataclasses.replace(made, ended=None), dataclasses.replace(made, remedy=Remedy.WAKE)):
        assert conditions(platform, {}, {}, {"app": record}, (other,), now=THEN_SECONDS + now)["app"].symptoms


EXEMPT = {
    "never verified": ({"verified_at": ""}, "never verified"),
    "quarantined": ({"quarantined": "too often"}, "quarantined: too often"),
    "its definition changed": ({"digest": "another"}, "has changed and is not deployed yet"),
    "blocked": ({"blocked": True, "failure": "no image\nmore", "failed_at": LATER}, "blocked: no image"),
    "blocked before it was verified": ({"blocked": True, "failure": "no image", "failed_at": "2025"}, ""),
    "failed for another reason": ({"failure": "crashed", "failed_at": LATER}, ""),
    "nothing of the kind": ({}, ""),
}


@pytest.mark.parametrize(("changed", "why"), EXEMPT.values(), ids=EXEMPT.keys())
def test_what_carbon_does_not_answer_for_is_exempt(platform: Platform, changed: dict[str, object], why: str) -> None:
    found = told(platform, "app", verified(platform, "app", **changed)).exempt
    assert (why in found) if why else not found


def test_what_was_blocked_is_tried_again_once_a_need_of_it_is_proven(platform: Platform) -> None:
    record = verified(platform, "app", blocked=True, failure="it needs db", failed_at=LATER)
    for proven, why in ((THEN, "blocked"), ("2026-01-01T12:00:00+00:00", "")):
        db = verified(platform, "db", verified_at=proven)
        found = conditions(platform, {}, {}, {"app": record, "db": db}, ())["app"].exempt
        assert found.startswith(why)
        assert bool(found) is bool(why)


def test_what_was_rolled_back_is_not_applied_again(platform: Platform) -> None:
    record = verified(platform, "app", digest="", rolled_back=platform.components["app"].digest)
    assert "it was rolled back" in told(platform, "app", record).exempt


def test_a_budget_of_nothing_leaves_it_to_people_and_others_are_taken_from_the_definition(platform: Platform) -> None:
    assert "left to people" in told(platform, "portal", verified(platform, "portal")).exempt
    policy = told(platform, "app", verified(platform, "app")).policy
    assert (policy.budget, policy.limit, policy.window) == (2, 5, 600)


def test_a_definition_that_is_not_deployed_yet_breaks_nothing_but_what_does_not_work_still_shows(
    platform: Platform,
) -> None:
    """Else nothing that needs it would be healed until somebody deploys it."""
    record = verified(platform, "db", digest="another")
    differs = [Symptom(sign, "ConfigMap here/a", "differs") for sign in (Sign.MISSING, Sign.EDITED, Sign.ALIAS)]
    unready = Symptom(Sign.UNREADY, "Deployment here/a", "0/1 pods")
    assert told(platform, "db", record, *differs).symptoms == ()
    assert told(platform, "db", record, *differs, unready).symptoms == (unready,)
    assert told(platform, "db", verified(platform, "db"), *differs).symptoms == tuple(differs)


@pytest.mark.parametrize(
    ("key", "revision", "proven", "can"),
    [("app", 4, 3, True), ("app", None, 3, True), ("app", 3, 3, False), ("app", 4, None, False), ("db", 4, 3, False)],
)
def test_only_what_keeps_no_data_goes_back_and_only_to_another_revision_that_was_proven(
    platform: Platform, key: str, revision: int | None, proven: int | None, can: bool
) -> None:
    record = dataclasses.replace(verified(platform, key), revision=revision, verified_revision=proven)
    assert told(platform, key, record).can_roll_back is can


@pytest.mark.parametrize(("helped", "ended", "recovered"), [(True, 1, True), (True, -1, False), (False, 1, False)])
def test_a_need_that_was_healed_after_the_last_verification_has_recovered(
    platform: Platform, helped: bool, ended: float, recovered: bool
) -> None:
    healed = Attempt("db", "db-1", Remedy.REAPPLY, THEN_SECONDS - 5, THEN_SECONDS + ended, helped)
    assert told(platform, "portal", verified(platform, "portal"), attempts=(healed,)).need_recovered is recovered


KEYS = ["a", "b", "c", "d"]
BROKEN = st.sets(st.sampled_from(KEYS))
NEEDS = st.fixed_dictionaries({key: st.sets(st.sampled_from(KEYS[:i])) for i, key in enumerate(KEYS) if i})


@given(BROKEN, NEEDS)
def test_roots_are_told_first_and_each_other_names_the_lowest_broken_thing_it_needs(
    broken: set[str], needed: dict[str, set[str]]
) -> None:
    needs: graph.Needs = {"a": (), **{key: tuple(sorted(found)) for key, found in needed.items()}}
    symptom = Symptom(Sign.CHECK, "query", "no answer")
    told = findings({key: [symptom] for key in broken}, needs, graph.in_order(needs))
    assert {finding.component for finding in told} == broken
    assert [bool(finding.root) for finding in told] == sorted(bool(finding.root) for finding in told)
    for finding in told:
        below = (graph.closure(needs, [finding.component]) - {finding.component}) & broken
        assert (finding.root in below) if below else not finding.root
        assert not (graph.closure(needs, [finding.root]) - {finding.root}) & broken


def edited(**spec: int) -> Change:
    """A StatefulSet that somebody scaled by hand."""
    wrote = {"manager": "kubectl-scale", "apiVersion": "apps/v1", "time": "2026-01-02T03:04:05Z"}
    wrote |= {"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    live, wanted = workload("StatefulSet", "db", spec=spec), workload("StatefulSet", "db", spec={"replicas": 1})
    live["metadata"]["managedFields"] = [wrote]
    return Change(Action.UPDATE, ObjectName.of(live), difference(live, wanted), live=live, desired=wanted)


def test_an_edit_is_told_with_who_made_it_and_when_word_for_word_as_drift_tells_it(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("db")
    edit = edited(replicas=0)
    assert edit.live is not None
    assert edit.desired is not None
    shown, _ = of_release(Desired((), (edit.desired,)), {edit.object: edit.live}.get, {edit.object: edit})
    (drifted,) = drift_of_release(definitions.load().components["db"], [edit]).objects
    assert shown.edits == drifted.fields
    assert str(shown) == f"{drifted.object}: {'; '.join(map(str, drifted.fields))}"
    assert str(shown).endswith("spec.replicas: 0 → 1  (by kubectl-scale at 2026-01-02T03:04:05Z)")


def fix_of(change: Change, *, stateful: bool = False) -> str:
    assert change.desired is not None
    live = {change.object: change.live} if change.live else {}
    edits = {change.object: change} if change.live else {}
    (first, *_) = of_release(Desired((), (change.desired,)), live.get, edits, "db", stateful=stateful)
    return first.fix


def test_the_fix_of_what_was_changed_is_a_command_that_is_not_refused() -> None:
    shrinks, gone = edited(replicas=3), dataclasses.replace(edited(replicas=1), live=None)
    anew = dataclasses.replace(shrinks, action=Action.REFUSED, fields=(), reason="spec.serviceName is immutable")
    assert fix_of(gone) == fix_of(shrinks) == "carbon up db"
    assert fix_of(shrinks, stateful=True) == "carbon up db --confirm scale-down:StatefulSet/here/db"
    assert fix_of(anew) == "carbon up db --confirm recreate:StatefulSet/here/db"
