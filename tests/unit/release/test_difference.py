"""The difference of two objects, field by field."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.release.difference import difference
from tests.objects import obj, version_of

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner),
    max_leaves=10,
)
BODIES = st.dictionaries(st.sampled_from(["spec", "data", "rules", "metadata2"]), VALUES)
SECRET_TEXT = st.text("ABCDEFGH0123456789=", min_size=8, max_size=12)


def of(body: dict[str, Any], kind: str = "ConfigMap", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version_of(kind), "kind": kind, "metadata": {"name": "a", **metadata}, **body}


@given(BODIES)
def test_equal_objects_have_no_difference(body: dict[str, Any]) -> None:
    assert difference(of(body), of(copy.deepcopy(body))) == ()


@given(BODIES, BODIES)
def test_objects_that_are_not_equal_have_one(live: dict[str, Any], desired: dict[str, Any]) -> None:
    assert bool(difference(of(live), of(desired))) == (live != desired)


@given(BODIES, BODIES)
def test_a_difference_seen_from_the_other_side_is_the_same_fields(a: dict[str, Any], b: dict[str, Any]) -> None:
    there = {(change.path, change.live, change.desired) for change in difference(of(a), of(b))}
    back = {(change.path, change.desired, change.live) for change in difference(of(b), of(a))}
    assert {(x, y) for _, x, y in there} == {(x, y) for _, x, y in back}


@given(BODIES)
def test_what_the_server_writes_by_itself_is_no_difference(body: dict[str, Any]) -> None:
    live = of(body, resourceVersion="7", uid="u", generation=3, creationTimestamp="t", managedFields=[{}])
    assert difference(live | {"status": {"phase": "Active"}}, of(body)) == ()


SECRETS = st.dictionaries(st.text("abc", min_size=1, max_size=2), SECRET_TEXT, max_size=3)


@given(SECRETS, SECRETS, st.sampled_from(["data", "stringData"]))
def test_the_values_of_a_secret_are_never_shown(live: dict[str, str], desired: dict[str, str], key: str) -> None:
    shown = str(difference(of({key: live}, "Secret"), of({key: desired}, "Secret")))
    assert not [value for value in (*live.values(), *desired.values()) if value in shown]
    assert bool(shown != "()") == (live != desired)


@given(SECRETS)
def test_a_secret_that_gets_or_loses_all_its_values_shows_none(values: dict[str, str]) -> None:
    for live, desired in ((of({}, "Secret"), of({"data": values}, "Secret")), (of({"data": values}, "Secret"), of({}))):
        desired["kind"] = "Secret"
        shown = str(difference(live, desired))
        assert not [value for value in values.values() if value in shown]


def test_a_secret_is_not_shown_by_what_kubectl_left_in_its_annotations() -> None:
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"aHVudGVyMg=="}}'}
    (change,) = difference(of({}, "Secret", annotations=annotation), of({}, "Secret"))
    assert "aHVudGVyMg" not in str(change)


def test_a_field_is_told_by_its_path_and_both_values() -> None:
    live = of({"spec": {"replicas": 1, "old": True}})
    desired = of({"spec": {"replicas": 2, "paused": False}})
    assert [str(change) for change in difference(live, desired)] == [
        "spec.old: True → (absent)",
        "spec.paused: (absent) → False",
        "spec.replicas: 1 → 2",
    ]


def test_list_items_are_told_by_name_where_they_have_one() -> None:
    live = of({"spec": {"containers": [{"name": "main", "image": "a:1"}], "args": ["x"]}})
    desired = of({"spec": {"containers": [{"name": "main", "image": "a:2"}], "args": ["y"]}})
    assert [str(change) for change in difference(live, desired)] == [
        "spec.args[0]: x → y",
        "spec.containers[main].image: a:1 → a:2",
    ]


def test_a_list_of_another_length_is_told_as_a_whole() -> None:
    (change,) = difference(of({"spec": {"args": ["x"]}}), of({"spec": {"args": ["x", "y"]}}))
    assert str(change) == "spec.args: ['x'] → ['x', 'y']"


def test_a_long_value_is_cut() -> None:
    (change,) = difference(of({"data": {"k": "x" * 1000}}), of({"data": {"k": "y"}}))
    assert len(change.live) == 118
    assert change.live.endswith("…")


@given(BODIES, BODIES)
def test_the_objects_themselves_are_left_alone(live: dict[str, Any], desired: dict[str, Any]) -> None:
    a, b = of(live), of(desired)
    before = copy.deepcopy((a, b))
    difference(a, b)
    assert (a, b) == before


def test_fields_that_an_object_leaves_to_others_make_no_difference_and_all_else_does() -> None:
    annotations = {"carbon/left-to-others": "spec.groups*.replicas spec.groups*.strategy*"}

    def thing(replicas: int, size: int, **strategy: Any) -> dict[str, Any]:
        group = {"replicas": replicas, "size": size, "strategy": strategy}
        return of({"spec": {"replicas": replicas, "groups": [group]}}, "Thing", annotations=annotations)

    changes = difference(thing(3, 2, delete=["a"]), thing(1, 1))
    assert [change.path for change in changes] == ["spec.groups[0].size", "spec.replicas"]


def test_the_rules_of_an_aggregated_role_are_its_controller_s_and_those_of_another_role_are_not() -> None:
    filled = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    collects = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]}}
    live, desired = of(filled | collects, "ClusterRole"), of({"rules": []} | collects, "ClusterRole")
    assert difference(live, desired) == ()
    assert difference(live, of({"aggregationRule": {}, "rules": []}, "ClusterRole"))
    assert difference(of(filled, "ClusterRole"), of({"rules": []}, "ClusterRole"))
    assert difference({**live, "apiVersion": "x.org/v1"}, {**desired, "apiVersion": "x.org/v1"})


BUNDLES = {
    "ValidatingWebhookConfiguration": lambda config: {"webhooks": [{"name": "a", "clientConfig": config}]},
    "MutatingWebhookConfiguration": lambda config: {"webhooks": [{"name": "a", "clientConfig": config}]},
    "CustomResourceDefinition": lambda config: {"spec": {"conversion": {"webhook": {"clientConfig": config}}}},
    "APIService": lambda config: {"spec": config},
}


@pytest.mark.parametrize("empty", [{}, {"caBundle": ""}, {"caBundle": None}, {"caBundle": "Cg=="}], ids=str)
@pytest.mark.parametrize("kind", BUNDLES)
def test_a_ca_bundle_that_a_chart_leaves_empty_is_filled_in_by_others(kind: str, empty: dict[str, Any]) -> None:
    body = BUNDLES[kind]
    live = of(body({"caBundle": "bGl2ZQ=="}), kind)
    assert difference(live, of(body(empty), kind)) == ()
    assert difference(live, of(body({"caBundle": "b3RoZXI="}), kind))
    assert difference({**live, "kind": "Thing"}, {**of(body(empty), kind), "kind": "Thing"})


def test_a_kind_of_another_group_that_is_called_secret_hides_nothing() -> None:
    live, desired = (obj("Secret", api_version="example.com/v1") | {"data": {"a": value}} for value in ("x", "y"))
    assert [str(change) for change in difference(live, desired)] == ["data.a: x → y"]
