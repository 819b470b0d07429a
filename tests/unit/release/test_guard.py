"""What in a plan could cost data, and the word that lets it through."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.content.base import ContentChange
from carbon_platform.errors import DataAtRisk
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.guard import content_risks, generated_anew, guard, refuse, risks, words_for
from carbon_platform.release.plan import Action, Change, Plan
from tests.objects import version_of

API = {"Cluster": "db.example/v1"}


def change(action: Action, kind: str, name: str = "db", *, before: int = 0, after: int = 0) -> Change:
    namespace = "" if kind in {"Namespace", "PersistentVolume", "CustomResourceDefinition"} else "here"
    live, desired = ({"spec": {"replicas": n} if n else {}} for n in (before, after))
    return Change(
        action,
        ObjectName(API.get(kind) or version_of(kind), kind, namespace, name),
        (),
        "why",
        live=live,
        desired=desired,
    )


def plan(*changes: Change) -> Plan:
    return Plan("db", "digest", changes, None)


def words(made: Plan, *, stateful: bool = True, downgraded: Sequence[str] = ()) -> list[str]:
    return [risk.word for risk in risks(made, stateful, downgraded)]


RISKS = [
    (change(Action.DELETE, "PersistentVolumeClaim", "data-db-0"), "delete:PersistentVolumeClaim/here/data-db-0"),
    (change(Action.DELETE, "PersistentVolume"), "delete:PersistentVolume/db"),
    (change(Action.DELETE, "Namespace"), "delete:Namespace/db"),
    (change(Action.DELETE, "CustomResourceDefinition"), "delete:CustomResourceDefinition/db"),
    (change(Action.DELETE, "StatefulSet"), "delete:StatefulSet/here/db"),
    (change(Action.DELETE, "Cluster"), "delete:Cluster/here/db"),
    (change(Action.REFUSED, "StatefulSet"), "recreate:StatefulSet/here/db"),
    (change(Action.UPDATE, "StatefulSet", before=3, after=1), "scale-down:StatefulSet/here/db"),
]
each_risk = pytest.mark.parametrize(("change_", "word"), RISKS, ids=[word for _, word in RISKS])


@each_risk
def test_each_risk_stops_the_plan_with_its_word(change_: Change, word: str) -> None:
    with pytest.raises(DataAtRisk) as caught:
        guard(plan(change_), True, [])
    assert "nothing was changed" in caught.value.summary
    assert caught.value.fix == f"if that is meant: carbon up db --confirm {word}"
    assert str(change_.object) in caught.value.cause


@each_risk
def test_a_confirmed_risk_passes(change_: Change, word: str) -> None:
    guard(plan(change_), True, [word])


@each_risk
def test_a_word_confirms_that_one_object_only(change_: Change, word: str) -> None:
    with pytest.raises(DataAtRisk):
        guard(plan(change_), True, [f"{word}x", word.replace("db", "other"), word.split(":")[0], "all", "yes"])


def test_only_what_is_not_confirmed_yet_is_asked_for() -> None:
    everything = plan(*(change_ for change_, _ in RISKS))
    *given_, last = [word for _, word in RISKS]
    with pytest.raises(DataAtRisk) as caught:
        guard(everything, True, given_)
    assert caught.value.fix.count("--confirm") == 1
    assert last in caught.value.fix


def test_a_claim_is_guarded_in_a_stateless_component_too() -> None:
    assert words(plan(change(Action.DELETE, "PersistentVolumeClaim")), stateful=False)
    assert words(plan(change(Action.REFUSED, "StatefulSet")), stateful=False)


def test_a_stateful_set_that_must_be_made_anew_and_shrinks_is_two_risks() -> None:
    shrunk = plan(change(Action.REFUSED, "StatefulSet", before=3, after=2))
    assert words(shrunk) == ["recreate:StatefulSet/here/db", "scale-down:StatefulSet/here/db"]


HARMLESS = [
    change(Action.CREATE, "PersistentVolumeClaim"),
    change(Action.CREATE, "StatefulSet", after=3),
    change(Action.UPDATE, "StatefulSet", before=1, after=3),
    change(Action.UPDATE, "StatefulSet", before=3, after=3),
    change(Action.UPDATE, "PersistentVolumeClaim"),
    change(Action.DELETE, "Deployment"),
    change(Action.DELETE, "ConfigMap"),
    change(Action.REFUSED, "Deployment"),
    change(Action.DEFERRED, "StatefulSet"),
]


@given(st.sets(st.integers(0, len(HARMLESS) - 1)), st.booleans())
def test_nothing_else_is_a_risk(chosen: set[int], stateful: bool) -> None:
    guard(plan(*(HARMLESS[i] for i in chosen)), stateful, [])


def test_a_downgrade_of_what_keeps_data_is_one_risk_that_names_all_that_goes_back() -> None:
    downgraded = ["chart version 2.0.0 → 1.9.0", "image of db/db 16.2 → 15.4"]
    (found,) = risks(plan(), True, downgraded)
    assert found.word == "downgrade:db"
    assert all(one in found.why for one in downgraded)
    assert words(plan(), stateful=False, downgraded=downgraded) == []
    assert words(plan()) == []


def test_replicas_that_the_chart_no_longer_says_are_what_the_dry_run_told() -> None:
    field = FieldChange("spec.replicas", "3", "1", ("spec", "replicas"))
    left_out = dataclasses.replace(change(Action.UPDATE, "StatefulSet", before=3), fields=(field,))
    assert words(plan(left_out)) == ["scale-down:StatefulSet/here/db"]


KEYS = ("here/login/password", "here/login/token", "here/salt/salt")


def test_a_generated_secret_that_is_gone_needs_its_own_word() -> None:
    found = generated_anew(KEYS, KEYS)
    assert [risk.word for risk in found] == ["generate:Secret/here/login", "generate:Secret/here/salt"]
    with pytest.raises(DataAtRisk) as caught:
        refuse("db", found, ["generate:Secret/here/login"])
    assert caught.value.fix == "if that is meant: carbon up db --confirm generate:Secret/here/salt"
    refuse("db", found, [risk.word for risk in found])


def test_one_generated_key_that_is_gone_is_enough() -> None:
    (found,) = generated_anew(["here/login/token"], KEYS)
    assert found.word == "generate:Secret/here/login"
    assert "token of Secret here/login" in found.why


@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_a_value_that_never_was_there_is_generated_without_a_word(needed: set[str], known: set[str]) -> None:
    found = generated_anew(sorted(needed), known)
    assert bool(found) == bool(needed & known)


def created(name: str) -> ContentChange:
    return ContentChange(name, "create with 6 partitions", creates=True)


def test_content_that_was_there_and_is_gone_is_made_anew_on_a_word_only() -> None:
    (found,) = content_risks([created("topic prices"), created("topic new")], ["topic prices", "topic other"])
    assert found.word == "content:topic prices"
    assert "was there and is gone" in found.why
    assert refuse("prices", [found], [found.word]) == ("topic prices with what it held; it was made anew, empty",)
    with pytest.raises(DataAtRisk) as caught:
        refuse("prices", [found], [])
    assert caught.value.lost == ("topic prices, which is gone with what it held",)
    assert caught.value.fix == "if that is meant: carbon up prices --confirm 'content:topic prices'"


def test_content_that_would_lose_data_is_told_once_with_all_that_it_would_lose() -> None:
    shorter = [ContentChange("topic a", f"{key}: -1 → 5", True) for key in ("retention.ms", "retention.bytes")]
    (found,) = content_risks([*shorter, ContentChange("topic a", "partitions: 3 → 6")], ["topic a"])
    assert found.word == "content:topic a"
    assert all(change.change in found.why for change in shorter)


LOST = ObjectName("v1", "PersistentVolumeClaim", "here", "data-db-0")


@pytest.mark.parametrize(
    "made",
    [
        *(change(Action.CREATE, kind) for kind in ("StatefulSet", "Deployment", "DaemonSet")),
        change(Action.UPDATE, "StatefulSet"),
        change(Action.CREATE, "PersistentVolumeClaim", "data-db-0"),
    ],
    ids=lambda made: f"{made.action} {made.object.kind}",
)
@pytest.mark.parametrize("stateful", [True, False])
def test_an_empty_volume_in_place_of_a_lost_one_needs_a_word(made: Change, stateful: bool) -> None:
    with pytest.raises(DataAtRisk) as caught:
        guard(plan(made), stateful, [], [LOST])
    word = "empty:PersistentVolumeClaim/here/data-db-0"
    assert f"--confirm {word}" in caught.value.fix
    assert caught.value.lost == (f"{LOST}, which is gone or goes when its pod ends",)
    cost = f"{LOST} with its data, in whose place an empty volume was made"
    assert cost in guard(plan(made), stateful, [word], [LOST])
    assert cost not in guard(plan(made), stateful, [], [])


def test_a_lost_volume_is_no_risk_while_nothing_is_started_that_mounts_it() -> None:
    others = (change(Action.CREATE, "PersistentVolumeClaim", "other"), change(Action.UPDATE, "ConfigMap"))
    guard(plan(*others), True, [], [LOST])
    guard(plan(change(Action.DEFERRED, "StatefulSet")), True, [], [LOST])


def test_a_restart_under_a_lost_volume_needs_a_word_though_nothing_changes() -> None:
    with pytest.raises(DataAtRisk) as caught:
        guard(plan(), True, [], [LOST], redeploy=True)
    word = "empty:PersistentVolumeClaim/here/data-db-0"
    assert f"--redeploy --confirm {word}" in caught.value.fix
    guard(plan(), True, [word], [LOST], redeploy=True)
    guard(plan(), True, [], [], redeploy=True)


def test_a_secret_that_a_chart_draws_anew_takes_a_word_where_data_is_kept() -> None:
    name = ObjectName("v1", "Secret", "here", "auth")
    drawn = FieldChange("data.password", "(hidden)", "(hidden)", ("data", "password"), drawn=True)
    drawing = Change(Action.UPDATE, name, (drawn,))
    assert words(plan(drawing)) == ["generate:Secret/here/auth"]
    assert words(plan(drawing), stateful=False) == []
    written = dataclasses.replace(drawing, fields=(dataclasses.replace(drawn, drawn=False),))
    assert words(plan(written)) == []


@pytest.mark.parametrize(
    ("made", "costs"),
    [
        (change(Action.DELETE, "PersistentVolumeClaim"), ["was deleted, with the data that it held"]),
        (change(Action.DELETE, "StatefulSet"), []),
        (change(Action.REFUSED, "StatefulSet"), []),
        (change(Action.UPDATE, "ConfigMap"), []),
    ],
)
def test_what_was_confirmed_is_told_as_lost_only_where_data_goes_with_it(made: Change, costs: list[str]) -> None:
    found = guard(plan(made), True, words(plan(made)))
    assert [cost.removeprefix(f"{made.object} ") for cost in found] == costs


@pytest.mark.parametrize("made", [change(Action.CREATE, "StatefulSet"), change(Action.REFUSED, "StatefulSet")])
def test_a_plan_is_let_through_by_the_words_that_are_told_for_it(made: Change) -> None:
    given_ = words_for(plan(made), True, [LOST])
    assert given_
    guard(plan(made), True, given_, [LOST])
    for word in given_:
        with pytest.raises(DataAtRisk):
            guard(plan(made), True, [one for one in given_ if one != word], [LOST])
