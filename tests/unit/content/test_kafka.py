import pytest
from pydantic import ValidationError

from carbon_platform.checks.kafka_topics import LiveTopic, Partition, Topic, TopicDifference, difference
from carbon_platform.content.kafka import Topics, planned, refuse_cuts
from carbon_platform.errors import DataAtRisk


def differing(topic: Topic, partitions: int) -> TopicDifference:
    live = LiveTopic(topic.name, tuple(Partition(i, 0, (0, 1, 2), (0, 1, 2)) for i in range(partitions)))
    found = difference(topic, live)
    assert found is not None
    return found


def test_a_topic_declared_smaller_than_it_is_is_refused_by_name() -> None:
    smaller = differing(Topic(name="prices.raw", partitions=2), 6)
    larger = differing(Topic(name="platform.events", partitions=9), 6)
    with pytest.raises(DataAtRisk, match=r"prices\.raw: partitions: 6 → 2") as refusal:
        refuse_cuts([larger, smaller])
    assert "platform.events" not in str(refusal.value)


def test_a_topic_that_only_grows_is_not_refused() -> None:
    refuse_cuts([differing(Topic(name="prices.raw", partitions=9), 6)])


def test_a_topic_declared_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="declared twice: a"):
        Topics(type="kafka.topics", topics=[Topic(name="a"), Topic(name="b"), Topic(name="a")])


def test_a_topic_that_is_made_is_told_as_one_by_the_name_that_it_is_known_by() -> None:
    topics = Topics(type="kafka.topics", topics=[Topic(name="a"), Topic(name="b", partitions=9)])
    missing = difference(topics.topics[0], None)
    assert missing is not None
    changes = planned([missing, differing(topics.topics[1], 6)])
    assert {(change.object, change.creates) for change in changes} == {("topic a", True), ("topic b", False)}
    assert {change.object for change in changes} == set(topics.objects())
