"""An object that is plainly as it was applied is told without the API server; anything else is left to it."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carbon_platform.release.untouched import untouched
from tests.unit.release.test_managed_fields import SPECS, both, entry, of


def applied(desired: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """The entry of Helm that applied this, and others."""
    return of(copy.deepcopy(desired), entry("helm", desired, operation="Apply"), *more)


def want(desired: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, **desired}


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Where every value is: its container and its key; names of items aside."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in pairs if k != "name" for p in (leaves(v) if isinstance(v, dict | list) else [(value, k)])]


@given(SPECS, SPECS)
def test_what_helm_applied_and_nobody_wrote_to_is_untouched_whatever_the_server_filled_in(
    desired: dict[str, Any], filled: dict[str, Any]
) -> None:
    live = applied({"spec": desired}, entry("kube-controller-manager", {"status": {"x": 1}}, subresource="status"))
    for key, value in filled.items():
        live["spec"].setdefault(key, value)
    assert untouched(live, want({"spec": desired}))


@given(SPECS, st.data())
def test_any_value_that_is_not_as_desired_is_for_the_server(desired: dict[str, Any], data: st.DataObject) -> None:
    places = leaves(desired)
    assume(places)
    live = applied({"spec": desired})
    container, key = data.draw(st.sampled_from(leaves(live["spec"])))
    container[key] += 1
    assert not untouched(live, want({"spec": desired}))


@given(SPECS, st.data())
def test_what_helm_applied_and_is_no_longer_desired_is_for_the_server(
    desired: dict[str, Any], data: st.DataObject
) -> None:
    live = applied({"spec": desired})
    less = copy.deepcopy(desired)
    places = leaves(less)
    assume(places)
    container, key = data.draw(st.sampled_from(places))
    del container[key]
    assert not untouched(live, want({"spec": less}))


@given(SPECS, SPECS)
def test_what_anybody_else_wrote_to_is_for_the_server(desired: dict[str, Any], added: dict[str, Any]) -> None:
    for other in (
        entry("kubectl-edit", {"spec": added}),
        entry("x-controller", {"spec": added}),
        entry("kubectl", {"spec": {"replicas": 1}}, subresource="scale"),
    ):
        live = applied({"spec": desired}, other)
        live["spec"] = both(desired, added)
        assert not untouched(live, want({"spec": desired}))


@pytest.mark.parametrize(
    "desired",
    [{"spec": {"x": None}}, {"spec": {"x": 1.0}}, {"spec": {"x": True}}, {"spec": {"x": [1]}}, {"spec": {"y": 1}}],
)
def test_a_value_that_is_written_otherwise_is_for_the_server(desired: dict[str, Any]) -> None:
    assert untouched(applied({"spec": {"x": 1}}), want({"spec": {"x": 1}}))
    assert not untouched(applied({"spec": {"x": 1}}), want(desired))


def test_without_what_helm_noted_down_the_server_must_say() -> None:
    live = applied({"spec": {"x": 1}})
    for entries in ([], [entry("helm", {"spec": {"x": 1}}, operation="Update")]):
        live["metadata"]["managedFields"] = entries
        assert not untouched(live, want({"spec": {"x": 1}}))


def test_a_list_item_may_leave_its_key_to_the_server_unless_there_was_another() -> None:
    first, second = {"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}
    live = applied({"spec": {"ports": [first]}})
    ports = {'k:{"port":53,"protocol":"TCP"}': {".": {}, "f:port": {}}}
    live["metadata"]["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:ports": ports}}
    desired = want({"spec": {"ports": [{"port": 53}]}})
    assert untouched(live, desired)
    ports['k:{"port":53,"protocol":"UDP"}'] = {".": {}, "f:port": {}}
    assert not untouched(live, desired)
    live["spec"]["ports"].append(second)
    assert not untouched(live, desired)
