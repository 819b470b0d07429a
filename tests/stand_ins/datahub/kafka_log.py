"""Kafka under the stand-in for DataHub: the change log, and the history of system updates."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import TopicAlreadyExistsError

_SECONDS = 10.0
"""Within which a change must be safe, on all in-sync replicas."""


def make_topics(servers: str, partitions: Mapping[str, int], replication: int) -> None:
    """Make the topics that are not there; what they hold is kept for ever."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        for name, count in partitions.items():
            configs = {"retention.ms": "-1"}
            wanted = {name: {"num_partitions": count, "replication_factor": replication, "configs": configs}}
            try:
                admin.create_topics(wanted)
            except TopicAlreadyExistsError:
                continue
    finally:
        admin.close()


class ChangeLog:
    """A topic that is written to."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._producer = KafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            max_block_ms=int(_SECONDS * 1000),
            delivery_timeout_ms=int(_SECONDS * 1000),
            request_timeout_ms=int(_SECONDS * 500),
        )

    def tell(self, urn: str, change: Mapping[str, Any]) -> None:
        """Return when the change is on all in-sync replicas. Raises KafkaError."""
        self._producer.send(self._topic, key=urn.encode(), value=json.dumps(change).encode()).get(_SECONDS)


def await_update(servers: str, topic: str, update: str) -> None:
    """Return when the history tells of this update."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=None,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        metadata_max_age_ms=1000,
    )
    try:
        for record in consumer:
            if json.loads(record.value)["version"] == update:
                return
    finally:
        consumer.close()


Follow = Callable[[Sequence[Mapping[str, Any]]], None]


class Follower:
    """Takes each change to `follow`, from where it last was; while `paused` says so, it takes none."""

    def __init__(self, servers: str, topic: str, group: str, follow: Follow, paused: Callable[[], bool]) -> None:
        self._follow, self._paused = follow, paused
        self._consumer = KafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
        )
        self.assigned = threading.Event()

    def run(self) -> None:
        """Follow for ever. Raises what `follow` does: the changes are taken again after a restart."""
        while True:
            if self._paused():
                time.sleep(0.2)
                continue
            polled = self._consumer.poll(timeout_ms=200, max_records=100)
            if self._consumer.assignment():
                self.assigned.set()
            records = [json.loads(record.value) for batch in polled.values() for record in batch]
            if records:
                self._follow(records)
                self._consumer.commit()
