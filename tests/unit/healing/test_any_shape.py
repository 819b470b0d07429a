"""No shape of an object raises: what can't be read says nothing wrong of it."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, pod_specs
from carbon_platform.healing.symptoms import of_release
from carbon_platform.health.diagnosis import current_pods, diagnose, outdated_pods, owned_pods, pod_cause, stuck_pods
from carbon_platform.health.nodes import controllers_behind, pods_are_ready, silent, unheard
from carbon_platform.health.status import condition, may_own_pods, status
from carbon_platform.release.desired import Desired
from carbon_platform.release.difference import difference
from carbon_platform.release.guard import risks
from carbon_platform.release.managed_fields import additions, autoscaled, owners
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.release.untouched import untouched
from carbon_platform.release.vanished import cleaned_away, vanishes
from tests.manifests import ODD, odd_objects
from tests.objects import obj

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PODS = st.lists(odd_objects(st.just(("v1", "Pod"))), max_size=3)
EVENTS = st.lists(odd_objects(st.just(("v1", "Event"))), max_size=3)
NODES = st.lists(odd_objects(st.just(("v1", "Node"))), max_size=3)
SETS = st.lists(odd_objects(st.just(("apps/v1", "ReplicaSet"))), max_size=2)


@given(odd_objects())
def test_every_object_has_a_status(found: Object) -> None:
    assert status(found).message
    condition(found, "Ready")
    may_own_pods(found)
    assert all(isinstance(pod["containers"], list) for pod in pod_specs(found))


@given(odd_objects(), PODS, EVENTS, SETS)
def test_every_object_can_be_diagnosed(
    found: Object, pods: list[Object], events: list[Object], sets: list[Object]
) -> None:
    diagnose(found, pods, events, NOW)
    own = owned_pods(found, pods)
    assert all(pod in pods for pod in own)
    current_pods(found, own, sets)
    stuck_pods(found, pods, events, NOW)
    outdated_pods(found, pods, every=True)
    pods_are_ready(found, pods)
    for pod in pods:
        pod_cause(pod, events, NOW)
        unheard(pod, NOW)


@given(NODES)
def test_every_node_speaks_or_is_silent(nodes: list[Object]) -> None:
    assert isinstance(silent(nodes), str)
    assert isinstance(controllers_behind(nodes, NOW), str)


@given(odd_objects(), odd_objects())
def test_every_two_objects_differ_or_do_not(live: Object, desired: Object) -> None:
    difference(live, desired)
    assert difference(live, live) == ()
    untouched(live, desired)
    additions(live)
    owners(live)
    autoscaled(live)
    assert isinstance(vanishes(desired), bool)
    cleaned_away(desired, [live])


@given(st.lists(st.tuples(odd_objects(), st.none() | odd_objects()), max_size=3))
def test_a_release_of_any_objects_has_symptoms(pairs: list[tuple[Object, Object | None]]) -> None:
    live = {ObjectName.of(desired): there for desired, there in pairs}
    for symptom in of_release(Desired((), tuple(desired for desired, _ in pairs)), live.get, {}):
        assert symptom.text


@given(odd_objects(), odd_objects(), st.sampled_from(Action), st.booleans())
def test_every_change_has_risks_or_none(live: Object, desired: Object, action: Action, stateful: bool) -> None:
    change = Change(action, ObjectName.of(desired), live=live, desired=desired)
    risks(Plan("a", "digest", (change,), None), stateful, "1.0.0")


@given(ODD)
def test_a_status_that_can_not_be_read_says_nothing_wrong(odd: object) -> None:
    thing = obj("Thing", api_version="example.com/v1") | {"status": odd if not isinstance(odd, dict) else None}
    assert status(thing).ready


@given(st.sampled_from([None, "text", 7, [1, None, "x"], {"Ready": "False"}, [{"type": 3}]]))
def test_conditions_that_are_no_list_of_conditions_are_none(odd: object) -> None:
    found = obj(
        "Thing", api_version="example.com/v1", status={"conditions": odd, "observedGeneration": "1"}, generation=2
    )
    assert condition(found, "Ready") == {}
    assert status(found).ready


def test_a_service_of_another_group_waits_for_no_load_balancer() -> None:
    spec = {"type": "LoadBalancer"}
    assert not status(obj("Service", spec=spec)).ready
    assert status(obj("Service", api_version="serving.knative.dev/v1", spec=spec)).ready
