"""What somebody added to an object, and who set which of its fields."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.release.difference import LEFT_TO_OTHERS, difference
from carbon_platform.release.managed_fields import Owner, additions, autoscaled, owner, owners, without, writers
from carbon_platform.spec.rules import Rules
from tests.objects import version_of

NAMES = st.text("abc", min_size=1, max_size=2)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.integers(),
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3).map(lambda d: [{"name": k, "v": v} for k, v in d.items()])
    ),
    max_leaves=12,
)
SPECS = st.dictionaries(NAMES, TREES, max_size=4)


def fields(value: Any) -> dict[str, Any]:
    """The FieldsV1 of whoever wrote all of a value."""
    if isinstance(value, dict):
        return {f"f:{key}": fields(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return {f"k:{json.dumps({'name': item['name']})}": {".": {}, **fields(item)} for item in value}
    return {}


def entry(manager: str, wrote: dict[str, Any], at: str = "2026-01-01T00:00:00Z", **more: str) -> dict[str, Any]:
    return {"manager": manager, "apiVersion": "v1", "time": at, "fieldsV1": fields(wrote), **more}


def of(body: dict[str, Any], *entries: dict[str, Any], kind: str = "Thing", **metadata: Any) -> dict[str, Any]:
    managed = {"managedFields": list(entries)}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", **metadata, **managed}, **body}


def both(base: Any, more: Any) -> Any:
    """`base` with what `more` has beside it."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {**more, **{key: both(value, more[key]) if key in more else value for key, value in base.items()}}
    if isinstance(base, list) and isinstance(more, list):
        here, there = ({item["name"]: item for item in items} for items in (base, more))
        return [both(item, there.get(name, item)) for name, item in here.items()] + [
            item for name, item in there.items() if name not in here
        ]
    return base


@given(SPECS, SPECS)
def test_taking_out_what_somebody_added_leaves_exactly_what_the_release_sets(
    desired: dict[str, Any], added: dict[str, Any]
) -> None:
    live = both(desired, added)
    obj = of({"spec": live}, entry("helm", {"spec": desired}), entry("kubectl-edit", {"spec": added}))
    left = without(obj, additions(obj))
    assert left["spec"] == desired if desired else not left.get("spec")


@given(SPECS, SPECS, st.sampled_from(["Helm", "carbon", "kube-controller-manager", "x-operator", "cainjector"]))
def test_what_the_cluster_and_the_release_set_is_nobodys_addition(
    desired: dict[str, Any], added: dict[str, Any], manager: str
) -> None:
    obj = of({"spec": both(desired, added)}, entry("helm", {"spec": desired}), entry(manager, {"spec": added}))
    assert additions(obj) == ()


@given(SPECS, SPECS)
def test_what_two_have_set_stays(desired: dict[str, Any], added: dict[str, Any]) -> None:
    live = both(desired, added)
    entries = (
        entry("helm", {"spec": desired}),
        entry("a-person", {"spec": live}),
        entry("x-controller", {"spec": live}),
    )
    assert additions(of({"spec": live}, *entries)) == ()


@given(SPECS, SPECS)
def test_the_object_itself_is_left_alone(desired: dict[str, Any], added: dict[str, Any]) -> None:
    obj = of({"spec": both(desired, added)}, entry("helm", {"spec": desired}), entry("me", {"spec": added}))
    before = copy.deepcopy(obj)
    without(obj, additions(obj))
    owners(obj)
    assert obj == before


@pytest.mark.parametrize("manager", ["kubectl-edit", "kubectl-patch", "a-person", "Mozilla", "python-requests"])
def test_people_and_unknown_programs_add(manager: str) -> None:
    obj = of({"data": {"a": "1", "b": "2"}}, entry("helm", {"data": {"a": "1"}}), entry(manager, {"data": {"b": "2"}}))
    assert additions(obj) == (("f:data", "f:b"),)
    assert without(obj, additions(obj))["data"] == {"a": "1"}
    assert additions(obj, Rules(managers=[manager])) == ()


@pytest.mark.parametrize("subresource", ["status", "scale"])
def test_what_went_through_a_subresource_is_no_addition(subresource: str) -> None:
    obj = of({"spec": {"replicas": 3}}, entry("kubectl", {"spec": {"replicas": 3}}, subresource=subresource))
    assert additions(obj) == ()


@pytest.mark.parametrize(
    "annotation",
    [
        "kubectl.kubernetes.io/restartedAt",
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "autoscaling.alpha.kubernetes.io/conditions",
    ],
)
def test_what_tools_note_down_is_no_addition(annotation: str) -> None:
    metadata = {"annotations": {annotation: "x"}}
    body = {"spec": {"template": {"metadata": metadata}}, "status": {"x": 1}}
    assert additions(of(body, entry("kubectl-rollout", {"metadata": metadata, **body}), **metadata)) == ()


def test_labels_and_other_annotations_are_additions_and_finalizers_and_owners_are_not() -> None:
    metadata = {
        "labels": {"team": "a"},
        "annotations": {"note": "b"},
        "finalizers": ["x/y"],
        "ownerReferences": [{"uid": "u"}],
    }
    obj = of({}, entry("kubectl-label", {"metadata": metadata}), **metadata)
    left = without(obj, additions(obj))["metadata"]
    assert {"finalizers", "ownerReferences"} < set(left)
    assert not {"labels", "annotations"} & set(left)


@pytest.mark.parametrize("kind", ["Secret", "PersistentVolumeClaim", "CustomResourceDefinition"])
def test_data_that_a_program_keeps_is_never_taken_out(kind: str) -> None:
    body = {"data": {"key": "x"}, "spec": {"conversion": "Webhook"}}
    metadata = {"labels": {"team": "a"}}
    version = version_of(kind)
    obj = of(body, entry("some-server", {**body, "metadata": metadata}, apiVersion=version), kind=kind, **metadata)
    obj["apiVersion"] = version
    assert additions(obj) == (("f:metadata", "f:labels"),)


def test_a_ca_bundle_that_a_program_put_in_stays() -> None:
    hook = {"name": "h", "clientConfig": {"caBundle": "x"}}
    desired = {"webhooks": [{"name": "h", "clientConfig": {"url": "u"}}]}
    obj = of({"webhooks": [{**hook}]}, entry("helm", desired), entry("some-server", {"webhooks": [hook]}))
    assert additions(obj) == ()


def test_what_was_written_in_another_version_of_the_kind_is_not_judged() -> None:
    assert additions(of({"spec": {"x": 1}}, entry("me", {"spec": {"x": 1}}, apiVersion="v2"))) == ()


def test_what_the_object_leaves_to_others_is_nobodys_addition() -> None:
    spec = {"group": {"scale": {"delete": 1}, "more": 2}}
    obj = of({"spec": spec}, entry("some-scaler", {"spec": spec}), annotations={LEFT_TO_OTHERS: "spec.group.scale.*"})
    assert without(obj, additions(obj))["spec"] == {"group": {"scale": {"delete": 1}}}


def test_items_of_a_set_are_told_by_their_value() -> None:
    obj = of({"spec": {"tags": ["a", "b"]}})
    obj["metadata"]["managedFields"] = [
        {"manager": "helm", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:tags": {'v:"a"': {}}}}},
        {"manager": "me", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:tags": {'v:"b"': {}}}}},
    ]
    assert without(obj, additions(obj))["spec"] == {"tags": ["a"]}


def test_only_a_controller_that_scales_is_an_autoscaler() -> None:
    scaled = {"spec": {"replicas": 3}}
    assert autoscaled(of(scaled, entry("kube-controller-manager", scaled, subresource="scale")))
    assert not autoscaled(of(scaled, entry("kubectl", scaled, subresource="scale")))
    assert not autoscaled(of(scaled, entry("kube-controller-manager", scaled)))
    assert not autoscaled(of(scaled))


def test_a_difference_is_told_with_who_made_it_and_when() -> None:
    container = {"name": "main", "image": "a:2", "args": ["x"]}
    live = of(
        {"spec": {"containers": [container, {"name": "added", "image": "b"}], "mode": "new"}},
        entry("helm", {"spec": {"containers": [container]}}, "2026-03-01T00:00:00Z"),
        entry("kubectl-edit", {"spec": {"containers": [{"name": "main", "image": "a:2"}]}}, "2026-01-02T00:00:00Z"),
        entry("kubectl-patch", {"spec": {"containers": [{"name": "added", "image": "b"}]}}, "2026-01-03T00:00:00Z"),
        entry("a-person", {"spec": {"mode": "new"}}, "2026-01-04T00:00:00Z"),
    )
    desired = of({"spec": {"containers": [{"name": "main", "image": "a:1", "args": ["y"]}], "gone": 1}})
    owned = owners(live)
    told = {change.path: owner(owned, change.steps) for change in difference(live, desired)}
    assert told == {
        "spec.containers[added]": Owner("kubectl-patch", "2026-01-03T00:00:00Z"),
        "spec.containers[main].args[0]": Owner("helm", "2026-03-01T00:00:00Z"),
        "spec.containers[main].image": Owner("kubectl-edit", "2026-01-02T00:00:00Z"),
        "spec.gone": None,
        "spec.mode": Owner("a-person", "2026-01-04T00:00:00Z"),
    }


def test_an_item_without_a_name_is_told_by_its_place() -> None:
    live = of({"spec": {"ports": [{"port": 80, "nodePort": 1}]}})
    wrote = {'k:{"port":80}': {".": {}, "f:nodePort": {}, "f:port": {}}}
    live["metadata"]["managedFields"] = [{"manager": "me", "time": "t", "fieldsV1": {"f:spec": {"f:ports": wrote}}}]
    (change,) = difference(live, of({"spec": {"ports": [{"port": 80, "nodePort": 2}]}}))
    assert owner(owners(live), change.steps) == Owner("me", "t")


def test_an_object_without_managed_fields_has_no_additions_and_no_owners() -> None:
    obj = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"x": 1}}
    assert additions(obj) == ()
    assert owners(obj) == {}


@pytest.mark.parametrize(
    ("wrote", "theirs"),
    [
        (entry("kubectl-edit", {"a": 1}), True),
        (entry("kubectl", {"replicas": 1}, subresource="scale"), True),
        (entry("python-requests", {"a": 1}), True),
        (entry("helm", {"a": 1}), False),
        (entry("carbon-restart", {"a": 1}), False),
        (entry("kube-controller-manager", {"a": 1}), False),
        (entry("anybody", {"a": 1}, subresource="status"), False),
        (entry("declared", {"a": 1}), False),
    ],
)
def test_who_wrote_to_an_object_besides_helm_carbon_and_the_cluster(wrote: dict[str, Any], theirs: bool) -> None:
    found = writers(of({"a": 1}, wrote), Rules(managers=("declared",)))
    assert found == ([Owner(wrote["manager"], "2026-01-01T00:00:00Z")] if theirs else [])
