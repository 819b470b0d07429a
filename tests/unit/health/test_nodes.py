"""While most nodes are silent, or were until just now, what is told of their pods is no finding."""

from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import Kind
from carbon_platform.health.diagnosis import pod_cause
from carbon_platform.health.nodes import catching_up, controllers_behind, pods_are_ready, silent, unheard
from tests.objects import conditions, obj, workload
from tests.unit.health.pods import NOW, ago, container, pod, unscheduled


def node(name: str, status: str, since: float) -> Object:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": ago(since)}
    return obj("Node", name, namespace="", status={"conditions": [ready]})


NO_ROOM = "0/2 nodes are available: 2 Insufficient memory."
STEADY = [node("n1", "True", 600), node("n2", "True", 600), node("n3", "True", 600)]


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_most_nodes_that_are_silent_say_nothing_of_their_pods_and_one_of_three_does_not_count(status: str) -> None:
    one, two = node("n1", status, 5), node("n2", status, 600)
    for told, nodes in [
        ("", STEADY),
        ("", [one, *STEADY[1:]]),
        ("2 of 3 nodes are not ready: n1, n2", [two, one, STEADY[2]]),
        ("1 of 1 nodes are not ready: n1", [one]),
    ]:
        assert silent(nodes) == told
        assert bool(catching_up(nodes, NOW)) is bool(told)


def test_nodes_that_are_back_are_given_the_time_to_tell_of_their_pods() -> None:
    for told, nodes in {
        "1 of 1 nodes were silent: n1": [node("n1", "True", 3)],
        "2 of 3 nodes were silent: n1, n2": [node("n1", "True", 3), node("n2", "Unknown", 3), STEADY[2]],
    }.items():
        assert silent(nodes) == ""
        assert catching_up(nodes, NOW) == told
    assert catching_up([node("n1", "True", 40)], NOW) == ""
    assert catching_up([node("n1", "True", 3), *STEADY[1:]], NOW) == ""


def test_what_was_seen_while_they_were_silent_is_known_to_be_so_later() -> None:
    assert catching_up([node("n1", "True", 40)], NOW, since=15)
    assert not catching_up([node("n1", "True", 50)], NOW, since=15)


def test_controllers_are_given_longer_than_nodes() -> None:
    assert catching_up([node("n1", "True", 80)], NOW) == ""
    assert controllers_behind([node("n1", "True", 80)], NOW) == "1 of 1 nodes were silent: n1"
    assert controllers_behind([node("n1", "True", 100)], NOW) == ""


def test_a_node_of_which_the_clock_tells_nothing_and_no_nodes_are_not_waited_for() -> None:
    assert catching_up([node("n1", "True", -3600)], NOW) == ""
    assert catching_up([], NOW) == silent([]) == ""


def test_a_node_without_a_word_of_itself_is_silent() -> None:
    assert silent([obj("Node", "n1", namespace="", status={})]) == "1 of 1 nodes are not ready: n1"


def on_a_node(ready: str, containers: str, **spec: Any) -> Object:
    told = pod(container(), phase="Running")
    told["status"] |= conditions(Ready=ready, ContainersReady=containers)
    return told | {"spec": {"nodeName": "n1", **spec}}


def test_a_pod_that_only_its_silent_node_makes_unready_is_told_with_the_node() -> None:
    marked = on_a_node("False", "True")
    assert pod_cause(marked, [], NOW) is None, "it may pass: nobody gives up for it"
    cause = unheard(marked, NOW)
    assert cause is not None
    assert (cause.kind, str(cause.object)) == (Kind.NODE, "Node n1")
    assert "Pod app-7d4b9-x2x4k" in cause.why


@pytest.mark.parametrize(
    "other",
    [
        on_a_node("True", "True"),
        on_a_node("False", "False"),
        on_a_node("False", "True", readinessGates=[{"conditionType": "load-balancer"}]),
        pod(unscheduled(NO_ROOM, 60)) | {"spec": {}},
    ],
    ids=["ready", "its containers are not", "a gate is shut", "on no node"],
)
def test_no_other_pod_is_told_with_its_node(other: Object) -> None:
    assert unheard(other, NOW) is None


def test_a_pod_that_leaves_is_told_with_its_node_when_that_should_have_ended_it_long_ago() -> None:
    marked = on_a_node("False", "True")
    marked["metadata"]["deletionTimestamp"] = ago(1)
    assert unheard(marked, NOW) is None
    marked["metadata"]["deletionTimestamp"] = ago(60)
    assert unheard(marked, NOW) is not None


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([on_a_node("True", "True")] * 2, True),
        ([on_a_node("True", "True")] * 3, True),
        ([on_a_node("True", "True")], False),
        ([on_a_node("True", "True"), on_a_node("False", "False")], False),
        ([on_a_node("True", "True")] * 2 + [pod(unscheduled(NO_ROOM, 60))], False),
        ([], False),
    ],
    ids=["all", "more", "too few", "one is not", "one waits", "none"],
)
def test_pods_are_ready_when_as_many_as_are_wanted_say_so(pods: list[Object], said: bool) -> None:
    owner = workload("StatefulSet", "app", spec={"replicas": 2}, status={})
    assert pods_are_ready(owner, pods) is said


def test_what_does_not_say_how_many_pods_it_wants_has_at_least_one() -> None:
    cluster = obj("RayCluster", api_version="ray.io/v1", spec={}, status={})
    assert pods_are_ready(cluster, [on_a_node("True", "True")])
    assert not pods_are_ready(cluster, [])
