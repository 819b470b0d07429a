"""Topics of a Kafka cluster."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from carbon_platform.checks.kafka import live_topics, new_topic
from carbon_platform.checks.kafka_session import Brokers, brokers, in_thread
from carbon_platform.checks.kafka_topics import LiveTopic, Topic, TopicDifference, difference, more_replicas
from carbon_platform.cluster.reach import Reach
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import DataAtRisk, NotReady

_POLL = 0.2
"""Seconds between two looks at what was changed."""

_LOOKS = 3
"""Looks in a row, each at a broker of the client's choice, that must see the change."""


class Topics(Content):
    """Declared topics: made, given more partitions or replicas, and configured; never deleted or cut."""

    summary: ClassVar[str] = "Kafka topics with their partitions, replicas and configs."

    service: str = Field("datahub-kafka-kafka-bootstrap", description="Bootstrap Service, or an alias of it.")
    port: int = Field(9092, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    seconds: float = Field(30, gt=0, description="What one request may take.")
    topics: list[Topic] = Field(min_length=1)

    @field_validator("topics")
    @classmethod
    def _each_once(cls, value: list[Topic]) -> list[Topic]:
        names = [topic.name for topic in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"declared twice: {', '.join(twice)}")
        return value

    def objects(self) -> tuple[str, ...]:
        """The topics."""
        return tuple(f"topic {topic.name}" for topic in self.topics)

    async def plan(self, reach: Reach) -> list[ContentChange]:
        """Topics to make, partitions and replicas to add, configs to set."""
        found = await self._brokers(reach)
        differences, _ = await in_thread(self._differences, found, "Kafka does not describe the declared topics")
        return planned(differences)

    async def apply(self, reach: Reach) -> None:
        """Make it so. Raises DataAtRisk before the first change when fewer partitions or replicas are declared."""
        await in_thread(self._apply, await self._brokers(reach), "Kafka refused the declared topics")

    async def _brokers(self, reach: Reach) -> Brokers:
        return await brokers(reach, self.service, self.port, self.service_namespace, self.seconds)

    def _differences(self, found: Brokers) -> tuple[list[TopicDifference], dict[str, LiveTopic]]:
        with found.admin() as admin:
            live = live_topics(admin, self.topics)
        return [d for t in self.topics if (d := difference(t, live.get(t.name))) is not None], live

    def _apply(self, found: Brokers) -> None:
        differences, live = self._differences(found)
        if not differences:
            return
        refuse_cuts(differences)
        with found.admin() as admin:
            _create(admin, [d.topic for d in differences if d.create])
            for one in differences:
                if one.partitions is not None:
                    admin.create_partitions({one.topic.name: one.partitions[1]})
                if one.replication is not None:
                    _replicate(admin, one.topic, live[one.topic.name])
                if one.configs:
                    _configure(admin, one)
        self._await_effect(found)

    def _await_effect(self, found: Brokers) -> None:
        """Return when the brokers agree on what was declared: each learns of a change at its own pace."""
        deadline, agreed = time.monotonic() + self.seconds, 0
        while agreed < _LOOKS:
            left = self._differences(found)[0]
            agreed = 0 if left else agreed + 1
            if time.monotonic() > deadline:
                raise NotReady(
                    "Kafka took the declared topics, but does not show them",
                    "; ".join(f"{d.topic.name}: {text}" for d in left for text, _ in d.steps()),
                    "see the controllers' logs, and reassignments that are under way",
                )
            time.sleep(_POLL)


def planned(differences: Sequence[TopicDifference]) -> list[ContentChange]:
    """The steps that the differences are."""
    return [
        ContentChange(f"topic {d.topic.name}", text, lost, d.create) for d in differences for text, lost in d.steps()
    ]


def refuse_cuts(differences: Sequence[TopicDifference]) -> None:
    """Raises DataAtRisk when a topic is declared smaller than it is: Kafka has no way to do that and keep its data."""
    cut = [d for d in differences if d.impossible]
    if cut:
        raise DataAtRisk(
            f"{', '.join(d.topic.name for d in cut)}: declared with fewer partitions or replicas than there are",
            "; ".join(f"{d.topic.name}: {text}" for d in cut for text, lost in d.steps() if lost),
            "declare what is there; to cut a topic, make a new one, move readers and writers, delete the old by hand",
        )


def _create(admin: Any, topics: Sequence[Topic]) -> None:
    from kafka.errors import TopicAlreadyExistsError

    for topic in topics:
        with contextlib.suppress(TopicAlreadyExistsError):  # made since; the next plan shows what still differs
            admin.create_topics(new_topic(topic))
    admin.wait_for_topics([topic.name for topic in topics])


def _replicate(admin: Any, topic: Topic, live: LiveTopic) -> None:
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    nodes = [broker["broker_id"] for broker in admin.describe_cluster()["brokers"]]
    wanted = more_replicas(live, topic.replication, nodes)
    moves = {TopicPartition(topic.name, index): replicas for index, replicas in wanted.items()}
    refused = {tp: error for tp, error in admin.alter_partition_reassignments(moves).items() if error}
    if refused:
        raise KafkaError("; ".join(f"{tp.topic}-{tp.partition}: {e.__name__}" for tp, e in refused.items()))


def _configure(admin: Any, one: TopicDifference) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.errors import KafkaError

    configs = {key: after for key, (_, after) in one.configs.items()}
    outcome = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, one.topic.name, configs)])
    refused = [str(text) for by_name in outcome.values() for text in by_name.values() if text != "OK"]
    if refused:
        raise KafkaError(f"topic {one.topic.name}: {'; '.join(refused)}")


CONTENT = {"topics": Topics}
