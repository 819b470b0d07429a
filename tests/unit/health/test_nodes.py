"""While most nodes are silent, or were until just now, what is told of their pods is no finding."""

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.health.nodes import catching_up, silent
from tests.objects import obj
from tests.unit.health.pods import NOW, ago


def node(name: str, status: str, since: float) -> Object:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": ago(since)}
    return obj("Node", name, namespace="", status={"conditions": [ready]})


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


def test_a_node_of_which_the_clock_tells_nothing_and_no_nodes_are_not_waited_for() -> None:
    assert catching_up([node("n1", "True", -3600)], NOW) == ""
    assert catching_up([], NOW) == silent([]) == ""


def test_a_node_without_a_word_of_itself_is_silent() -> None:
    assert silent([obj("Node", "n1", namespace="", status={})]) == "1 of 1 nodes are not ready: n1"
