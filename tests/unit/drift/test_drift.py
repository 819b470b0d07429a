"""How the plan of what was deployed is told as drift."""

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.content.base import ContentChange
from carbon_platform.drift.drift import Deed, Verdict, of_content, of_release
from carbon_platform.release.difference import difference
from carbon_platform.release.plan import Action, Change
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.objects import obj, workload

NAME = ObjectName("v1", "ConfigMap", "here", "a")


@pytest.fixture
def component(definitions: Definitions) -> Component:
    definitions.chart()
    definitions.release("app")
    return definitions.load().components["app"]


def live(manager: str, **data: str) -> Object:
    """A ConfigMap whose data somebody wrote."""
    wrote = {"f:data": {f"f:{key}": {} for key in data}}
    managed = {"manager": manager, "apiVersion": "v1", "time": "2026-01-02T03:04:05Z", "fieldsV1": wrote}
    return obj("ConfigMap", managedFields=[managed]) | {"data": data}


def updated(now: Object, wanted: Object, removed: tuple[tuple[str, ...], ...] = ()) -> Change:
    return Change(Action.UPDATE, NAME, difference(now, wanted), removed=removed, live=now, desired=wanted)


def test_no_changes_are_no_drift(component: Component) -> None:
    drift = of_release(component, [])
    assert (drift.verdict, drift.differences, drift.objects) == (Verdict.IN_SYNC, 0, ())


def test_a_missing_object_was_deleted_also_when_its_kind_is_gone(component: Component) -> None:
    changes = [Change(Action.CREATE, NAME), Change(Action.DEFERRED, NAME, reason="its CRD is not installed")]
    drift = of_release(component, changes)
    assert [(one.deed, one.reason) for one in drift.objects] == [
        (Deed.DELETED, ""),
        (Deed.DELETED, "its CRD is not installed"),
    ]
    assert drift.differences == 2
    assert drift.reason == "ConfigMap here/a deleted, ConfigMap here/a deleted"


def test_a_job_that_went_as_it_declares_is_no_drift(component: Component) -> None:
    job = workload("Job", spec={"ttlSecondsAfterFinished": 60})
    gone = [Change(Action.CREATE, ObjectName.of(one), desired=one) for one in (job, workload("Job", "b"))]
    assert [one.object for one in of_release(component, gone).objects] == ["Job here/b"]


def test_an_edited_field_is_told_with_who_and_when(component: Component) -> None:
    now = live("kubectl-edit", a="x", b="y")
    (one,) = of_release(component, [updated(now, {**now, "data": {"a": "1", "b": "2"}})]).objects
    assert one.deed is Deed.EDITED
    assert [str(field) for field in one.fields] == [
        "data.a: x → 1  (by kubectl-edit at 2026-01-02T03:04:05Z)",
        "data.b: y → 2  (by kubectl-edit at 2026-01-02T03:04:05Z)",
    ]


def test_nobody_is_accused_where_only_helm_is_known(component: Component) -> None:
    now = live("helm", a="x")
    (one,) = of_release(component, [updated(now, {**now, "data": {"a": "1", "gone": "2"}})]).objects
    assert [str(field) for field in one.fields] == ["data.a: x → 1", "data.gone: (absent) → 2"]


def test_an_object_with_additions_alone_was_added_to_and_with_an_edit_it_was_edited(component: Component) -> None:
    now = live("me", a="1", more="2")
    removed = (("f:data", "f:more"),)
    added = of_release(component, [updated(now, {**now, "data": {"a": "1"}}, removed)]).objects[0]
    both = of_release(component, [updated(now, {**now, "data": {"a": "2"}}, removed)]).objects[0]
    assert (added.deed, both.deed) == (Deed.ADDED, Deed.EDITED)


def test_what_can_not_be_changed_in_place_is_one_difference_with_its_reason(component: Component) -> None:
    drift = of_release(component, [Change(Action.REFUSED, NAME, reason="field is immutable", live=live("me", a="1"))])
    assert (drift.differences, drift.objects[0].deed, drift.objects[0].reason) == (1, Deed.EDITED, "field is immutable")


def test_content_drifts_as_its_own_plan_says(component: Component) -> None:
    drift = of_content(component, [ContentChange("topic a", "retention.ms: 1 → 2")])
    assert (drift.verdict, drift.objects[0].object, drift.objects[0].reason) == (
        Verdict.DRIFTED,
        "topic a",
        "retention.ms: 1 → 2",
    )
    gone = of_content(component, [ContentChange("topic a", "create", creates=True)])
    assert gone.objects[0].deed is Deed.DELETED
