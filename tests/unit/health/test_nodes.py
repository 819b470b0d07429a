"""While most nodes are silent, or were until just now, nothing is known of the pods."""

import datetime

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.health.nodes import away
from tests.objects import obj
from tests.unit.health.pods import NOW, ago


def node(name: str, status: str, since: float) -> Object:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": ago(since)}
    return obj("Node", name, namespace="", status={"conditions": [ready]})


STEADY = [node("n1", "True", 600), node("n2", "True", 600), node("n3", "True", 600)]


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_most_nodes_that_are_silent_say_nothing_of_their_pods_and_one_of_three_does_not_count(status: str) -> None:
    one, two = node("n1", status, 5), node("n2", status, 600)
    assert away(STEADY, NOW) == ""
    assert away([one, *STEADY[1:]], NOW) == ""
    assert away([one, two, STEADY[2]], NOW) == "2 of 3 nodes are not ready: n1, n2"
    assert away([one], NOW) == "1 of 1 nodes are not ready: n1"


def test_nodes_that_are_back_are_given_the_time_to_tell_of_their_pods() -> None:
    assert away([node("n1", "True", 3)], NOW) == "1 of 1 nodes are ready again since just now: n1"
    assert away([node("n1", "True", 30)], NOW) == ""
    assert away([node("n1", "True", 3), node("n2", "Unknown", 3), STEADY[2]], NOW)
    assert away([node("n1", "True", 3), *STEADY[1:]], NOW) == ""


def test_what_was_seen_while_they_were_away_is_known_to_be_so_later() -> None:
    assert away([node("n1", "True", 30)], NOW, since=15)
    assert not away([node("n1", "True", 40)], NOW, since=15)


def test_a_node_of_which_the_clock_tells_nothing_and_no_nodes_are_not_away() -> None:
    assert away([node("n1", "True", -3600)], NOW) == ""
    assert away([], NOW) == ""


def test_a_node_without_a_word_of_itself_is_silent() -> None:
    silent = obj("Node", "n1", namespace="", status={})
    assert away([silent], NOW + datetime.timedelta(days=1)) == "1 of 1 nodes are not ready: n1"
