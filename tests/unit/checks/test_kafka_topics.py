from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from carbon_platform.checks.kafka_topics import (
    LiveTopic,
    Partition,
    Topic,
    difference,
    drops_records,
    live_topic,
    more_replicas,
    replication_problems,
)


def topic(**given: Any) -> Topic:
    return Topic.model_validate({"name": "prices.raw", "partitions": 2, "replication": 3} | given)


def live(partitions: int = 2, replicas: tuple[int, ...] = (0, 1, 2), **configs: str) -> LiveTopic:
    configs = {key.replace("_", "."): value for key, value in configs.items()}
    return LiveTopic("prices.raw", tuple(Partition(i, 0, replicas, replicas) for i in range(partitions)), configs)


def steps(declared: Topic, there: LiveTopic | None) -> list[tuple[str, bool]]:
    found = difference(declared, there)
    return found.steps() if found else []


def test_a_topic_as_declared_has_nothing_to_do_whatever_else_is_configured() -> None:
    there = live(retention_ms="1000", segment_bytes="1")
    assert difference(topic(configs={"retention.ms": 1000}), there) is None


def test_a_missing_topic_is_made() -> None:
    assert steps(topic(), None) == [("create with 2 partitions, 3 replicas", False)]


def test_more_partitions_and_replicas_lose_nothing() -> None:
    found = difference(topic(partitions=3), live(replicas=(0, 1)))
    assert found is not None
    assert found.steps() == [("partitions: 2 → 3", False), ("replicas: 2 → 3", False)]
    assert not found.impossible


@pytest.mark.parametrize("declared", [topic(partitions=1), topic(replication=2)])
def test_fewer_partitions_or_replicas_are_a_loss_and_impossible(declared: Topic) -> None:
    found = difference(declared, live())
    assert found is not None
    assert found.impossible
    assert [lost for _, lost in found.steps()] == [True]


@pytest.mark.parametrize(
    ("key", "before", "after", "drops"),
    [
        ("retention.ms", "604800000", "86400000", True),
        ("retention.ms", "86400000", "604800000", False),
        ("retention.ms", "-1", "604800000", True),
        ("retention.ms", "604800000", "-1", False),
        ("retention.ms", None, "604800000", True),
        ("retention.bytes", "-1", "-1", False),
        ("retention.bytes", "1000", "999", True),
        ("cleanup.policy", "delete", "compact", True),
        ("cleanup.policy", "compact", "compact,delete", True),
        ("cleanup.policy", "compact,delete", "delete", False),
        ("cleanup.policy", "delete,compact", "compact, delete", False),
        ("compression.type", "producer", "lz4", False),
    ],
)
def test_a_config_that_lets_brokers_delete_more_is_a_loss(
    key: str, before: str | None, after: str, drops: bool
) -> None:
    assert drops_records(key, before, after) is drops


def test_numbers_and_booleans_of_yaml_are_the_text_that_kafka_has() -> None:
    assert topic(configs={"retention.ms": 1000, "preallocate": False}).configs == {
        "retention.ms": "1000",
        "preallocate": "false",
    }


@pytest.mark.parametrize(
    "wrong", [{"name": "a b"}, {"partitions": 0}, {"replication": 0}, {"configs": {"retention.ms": "7d"}}, {"color": 1}]
)
def test_a_wrong_declaration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        topic(**wrong)


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True), min_size=1, max_size=8),
    st.integers(1, 5),
)
def test_added_replicas_are_others_and_those_there_stay_first(replicas: list[list[int]], wanted: int) -> None:
    there = LiveTopic("t", tuple(Partition(i, r[0], tuple(r), tuple(r)) for i, r in enumerate(replicas)))
    assignment = more_replicas(there, wanted, range(5))
    for partition in there.partitions:
        new = assignment.get(partition.index, list(partition.replicas))
        assert tuple(new[: len(partition.replicas)]) == partition.replicas
        assert len(set(new)) == len(new) == max(wanted, len(partition.replicas))


def test_added_replicas_go_where_fewest_are() -> None:
    there = LiveTopic("t", tuple(Partition(i, 0, (0, 1), (0, 1)) for i in range(2)))
    assert more_replicas(there, 3, [0, 1, 2, 3]) == {0: [0, 1, 2], 1: [0, 1, 3]}


def test_a_partition_without_leader_or_with_replicas_behind_is_told_by_its_number() -> None:
    there = LiveTopic(
        "t", (Partition(0, 0, (0, 1), (0, 1)), Partition(1, None, (0, 1), ()), Partition(2, 1, (0, 1), (1,)))
    )
    assert replication_problems([there]) == ["t-1 has no leader (replicas 0, 1)", "t-2: replicas 0 are not in sync"]


def test_metadata_of_a_topic_that_is_not_there_is_none() -> None:
    assert live_topic({"error_code": 3, "name": "t", "partitions": []}) is None


def test_metadata_is_read_in_the_order_of_partitions() -> None:
    described = {
        "error_code": 0,
        "name": "t",
        "partitions": [
            {"partition_index": 1, "leader_id": -1, "replica_nodes": [1], "isr_nodes": []},
            {"partition_index": 0, "leader_id": 0, "replica_nodes": [0, 1], "isr_nodes": [1, 0]},
        ],
    }
    found = live_topic(described)
    assert found is not None
    assert found.partitions == (Partition(0, 0, (0, 1), (1, 0)), Partition(1, None, (1,), ()))
    assert found.replication == 1
