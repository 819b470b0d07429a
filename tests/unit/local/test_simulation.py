"""Nodes that are not there."""

from carbon_platform.local.simulation import is_simulated, simulated_node


def test_a_simulated_node_has_room_for_whatever_a_pod_may_ask_for() -> None:
    node = simulated_node(3)
    assert is_simulated(node)
    assert set(node["status"]["allocatable"]) == {"cpu", "memory", "ephemeral-storage", "pods"}
    assert node["status"]["allocatable"] == node["status"]["capacity"]
