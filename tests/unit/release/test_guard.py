"""What in a plan could cost data, and the word that lets it through."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.guard import guard, guard_made_anew, risks
from carbon_platform.release.helm import encode_release
from carbon_platform.release.history import Revision
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


def revision(version: str, status: str = "deployed") -> Revision:
    content: dict[str, Any] = {"chart": {"metadata": {"version": version}}}
    return Revision(1, status, {"data": {"release": encode_release(content)}})


def plan(*changes: Change, deployed: Revision | None = None) -> Plan:
    return Plan("db", "digest", changes, deployed)


def words(made: Plan, *, stateful: bool = True, version: str | None = None) -> list[str]:
    return [risk.word for risk in risks(made, stateful, version)]


RISKS = [
    (change(Action.DELETE, "PersistentVolumeClaim", "data-db-0"), "delete:PersistentVolumeClaim/here/data-db-0"),
    (change(Action.DELETE, "PersistentVolume"), "delete:PersistentVolume/db"),
    (change(Action.DELETE, "Namespace"), "delete:Namespace/db"),
    (change(Action.DELETE, "CustomResourceDefinition"), "delete:CustomResourceDefinition/db"),
    (change(Action.DELETE, "StatefulSet"), "delete:StatefulSet/here/db"),
    (change(Action.DELETE, "Cluster"), "delete:Cluster/here/db"),
    (change(Action.REFUSED, "StatefulSet"), "recreate:StatefulSet/here/db"),
    (change(Action.REFUSED, "PersistentVolumeClaim"), "recreate:PersistentVolumeClaim/here/db"),
    (change(Action.UPDATE, "StatefulSet", before=3, after=1), "scale-down:StatefulSet/here/db"),
]
each_risk = pytest.mark.parametrize(("change_", "word"), RISKS, ids=[word for _, word in RISKS])


@each_risk
def test_each_risk_stops_the_plan_with_its_word(change_: Change, word: str) -> None:
    with pytest.raises(DataAtRisk) as caught:
        guard(plan(change_), True, None, [])
    assert "nothing was changed" in caught.value.summary
    assert caught.value.fix == f"if that is meant: carbon up db --confirm {word}"
    assert str(change_.object) in caught.value.cause


@each_risk
def test_a_confirmed_risk_passes(change_: Change, word: str) -> None:
    guard(plan(change_), True, None, [word])


@each_risk
def test_a_word_confirms_that_one_object_only(change_: Change, word: str) -> None:
    with pytest.raises(DataAtRisk):
        guard(plan(change_), True, None, [f"{word}x", word.replace("db", "other"), word.split(":")[0], "all", "yes"])


def test_only_what_is_not_confirmed_yet_is_asked_for() -> None:
    everything = plan(*(change_ for change_, _ in RISKS))
    *given_, last = [word for _, word in RISKS]
    with pytest.raises(DataAtRisk) as caught:
        guard(everything, True, None, given_)
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
    guard(plan(*(HARMLESS[i] for i in chosen)), stateful, None, [])


VERSIONS = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))


@given(VERSIONS, VERSIONS)
def test_an_older_chart_is_a_risk_to_what_keeps_data(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    told = ".".join(map(str, before)), ".".join(map(str, after))
    found = words(plan(deployed=revision(told[0])), version=told[1])
    assert found == (["downgrade:db"] if after < before else [])


@pytest.mark.parametrize(
    ("before", "after", "risky"),
    [
        ("1.10.0", "1.9.0", True),
        ("v2.0.0", "1.9.9", True),
        ("1.0.0+abc", "1.0.0+aaa", False),
        ("1.0.0-rc1", "1.0.0", False),
        ("1.0.0", None, False),
    ],
)
def test_chart_versions_are_compared_as_numbers(before: str, after: str | None, risky: bool) -> None:
    assert bool(words(plan(deployed=revision(before)), version=after)) is risky


def test_an_older_chart_is_none_of_the_guards_business_where_there_is_no_data() -> None:
    assert words(plan(deployed=revision("2.0.0")), stateful=False, version="1.0.0") == []


def test_an_older_chart_after_a_failed_upgrade_needs_a_word_too() -> None:
    """It may have migrated data before it failed."""
    assert words(plan(deployed=revision("2.0.0", "failed")), version="1.0.0") == ["downgrade:db"]


def test_replicas_that_the_chart_no_longer_says_are_what_the_dry_run_told() -> None:
    field = FieldChange("spec.replicas", "3", "1", ("spec", "replicas"))
    left_out = dataclasses.replace(change(Action.UPDATE, "StatefulSet", before=3), fields=(field,))
    assert words(plan(left_out)) == ["scale-down:StatefulSet/here/db"]


def test_a_generated_secret_that_is_gone_needs_its_own_word() -> None:
    gone = [ObjectName("v1", "Secret", "here", "login"), ObjectName("v1", "Secret", "here", "keys")]
    with pytest.raises(DataAtRisk) as caught:
        guard_made_anew("db", gone, ["generate:Secret/here/login"])
    assert caught.value.fix.endswith("carbon up db --confirm generate:Secret/here/keys")
    guard_made_anew("db", gone, ["generate:Secret/here/login", "generate:Secret/here/keys"])
    guard_made_anew("db", [], [])


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
        guard(plan(made), stateful, None, [], [LOST])
    word = "empty:PersistentVolumeClaim/here/data-db-0"
    assert f"--confirm {word}" in caught.value.fix
    guard(plan(made), stateful, None, [word], [LOST])
    guard(plan(made), stateful, None, [], [])


def test_a_lost_volume_is_no_risk_while_nothing_is_started_that_mounts_it() -> None:
    others = (change(Action.CREATE, "PersistentVolumeClaim", "other"), change(Action.UPDATE, "ConfigMap"))
    guard(plan(*others), True, None, [], [LOST])
    guard(plan(change(Action.DEFERRED, "StatefulSet")), True, None, [], [LOST])


def test_a_restart_under_a_lost_volume_needs_a_word_though_nothing_changes() -> None:
    with pytest.raises(DataAtRisk) as caught:
        guard(plan(), True, None, [], [LOST], restarts=True)
    word = "empty:PersistentVolumeClaim/here/data-db-0"
    assert f"--redeploy --confirm {word}" in caught.value.fix
    guard(plan(), True, None, [word], [LOST], restarts=True)
    guard(plan(), True, None, [], [], restarts=True)
