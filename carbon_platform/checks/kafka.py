"""Functional checks of Kafka: records survive, replicas follow, the quorum decides."""

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Check, Passed
from carbon_platform.checks.kafka_session import Brokers, brokers, in_thread, settled
from carbon_platform.checks.kafka_topics import LiveTopic, Topic, difference, live_topic, replication_problems
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted

PROBE_CONFIGS = {"retention.ms": "3600000", "retention.bytes": "10485760", "cleanup.policy": "delete"}
"""Of the probe topic, beside min.insync.replicas: records leave by themselves within the hour."""


class KafkaCheck(Check):
    """What every Kafka check needs to know: the Service to ask first."""

    service: str = Field("datahub-kafka-kafka-bootstrap", description="Bootstrap Service, or an alias of it.")
    port: int = Field(9092, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")

    @property
    def seconds(self) -> float:
        """What the client may take: a little less than the check, so that it can still say what it waited for."""
        return (self.deadline or 40) * 0.75

    async def with_brokers(self, reach: Reach, work: Callable[[Brokers], Passed], summary: str) -> Passed:
        """Run blocking `work` with the brokers; its client errors become CheckFailed with `summary`."""
        found = await brokers(reach, self.service, self.port, self.service_namespace, self.seconds)
        return await in_thread(work, found, summary)


class ProduceConsume(KafkaCheck):
    """A keyed record in every partition of a probe topic, acknowledged by all replicas, and read back as written."""

    summary: ClassVar[str] = "Records written with acks=all through this name are read back as they were written."

    topic: str = Field("carbon-probe", description="Made if it is not there; its records expire within the hour.")
    partitions: int = Field(3, ge=1, description="Of the probe topic when it is made: one for each broker.")
    replication: int = Field(3, ge=1)
    min_insync: int = Field(2, ge=1, description="Replicas that must have a record before it counts as written.")

    async def run(self, reach: Reach) -> Passed:
        return await self.with_brokers(reach, self._round_trip, f"Kafka does not keep records written to {self.topic}")

    def _round_trip(self, found: Brokers) -> Passed:
        with found.admin() as admin:
            partitions = self._probe_topic(admin, time.monotonic() + found.seconds)
        key = secrets.token_hex(8).encode()
        began = time.perf_counter()
        with found.producer() as producer:
            values = {index: secrets.token_bytes(64) for index in partitions}
            futures = {i: producer.send(self.topic, key=key, value=v, partition=i) for i, v in values.items()}
            offsets = {i: future.get(timeout=found.seconds).offset for i, future in futures.items()}
        produced = time.perf_counter()
        self._read_back(found, key, values, offsets)
        consumed = time.perf_counter()
        return Passed(
            f"{counted(len(values), 'record')} written with acks=all and read back, one in each partition",
            {
                "partitions": len(values),
                "produce_ms": round((produced - began) * 1000, 1),
                "consume_ms": round((consumed - produced) * 1000, 1),
            },
        )

    def _probe_topic(self, admin: Any, deadline: float) -> list[int]:
        """Partitions of the probe topic, made if need be. Each broker learns of a new topic at its own pace."""
        from kafka.errors import TopicAlreadyExistsError

        def look() -> LiveTopic | None:
            return live_topic(admin.describe_topics([self.topic])[0])

        if look() is None:
            configs = PROBE_CONFIGS | {"min.insync.replicas": str(self.min_insync)}
            declared = Topic(name=self.topic, partitions=self.partitions, replication=self.replication, configs=configs)
            with contextlib.suppress(TopicAlreadyExistsError):  # another check was first
                admin.create_topics(new_topic(declared))
        live = settled(look, has_leaders, deadline)
        if live is None or not has_leaders(live):
            raise CheckFailed(
                f"topic {self.topic} has partitions without a leader",
                "it is not there after it was made" if live is None else replication_problems([live])[0],
                "see the controllers' logs",
            )
        return [partition.index for partition in live.partitions]

    def _read_back(self, found: Brokers, key: bytes, values: Mapping[int, bytes], offsets: Mapping[int, int]) -> None:
        from kafka import TopicPartition

        left = dict(values)
        deadline = time.monotonic() + found.seconds
        with found.consumer() as consumer:
            consumer.assign([TopicPartition(self.topic, index) for index in values])
            for index, offset in offsets.items():
                consumer.seek(TopicPartition(self.topic, index), offset)
            while left:
                if time.monotonic() > deadline:
                    missing = ", ".join(f"{self.topic}-{i} at offset {offsets[i]}" for i in left)
                    raise CheckFailed(
                        "Kafka does not give back what it acknowledged",
                        f"not read within {found.seconds:g} s: {missing}",
                        "see the log of the leader of these partitions",
                    )
                for partition, records in consumer.poll(timeout_ms=500).items():
                    for record in records:
                        if record.offset == offsets[partition.partition]:
                            self._compare(partition.partition, record, key, left.pop(partition.partition))

    def _compare(self, index: int, record: Any, key: bytes, value: bytes) -> None:
        if (record.key, record.value) != (key, value):
            raise CheckFailed(
                f"Kafka gives back another record than was written to {self.topic}-{index}",
                f"key and value at offset {record.offset} differ from those it acknowledged",
                "see the brokers' logs for truncation and unclean leader elections",
            )


class Replication(KafkaCheck):
    """All brokers are registered, every partition has a leader, every replica is in sync."""

    summary: ClassVar[str] = "All brokers are there; no partition is offline or under-replicated."

    brokers: int = Field(3, ge=1, description="Brokers that must be registered.")
    settle: float = Field(10, ge=0, description="Seconds that replicas may take to catch up, as after a restart.")

    async def run(self, reach: Reach) -> Passed:
        return await self.with_brokers(reach, self._look, "Kafka does not tell the state of its replicas")

    def _look(self, found: Brokers) -> Passed:
        deadline = time.monotonic() + min(self.settle, found.seconds)
        with found.admin() as admin:
            nodes, topics = settled(lambda: replicas(admin), self._all_well, deadline)
        self._judge(nodes, topics, replication_problems(topics))
        partitions = sum(len(topic.partitions) for topic in topics)
        return Passed(
            f"{counted(len(nodes), 'broker')}, {counted(partitions, 'partition')}, all in sync",
            {
                "brokers": len(nodes),
                "topics": len(topics),
                "partitions": partitions,
                "under_replicated": 0,
                "offline": 0,
            },
        )

    def _all_well(self, seen: tuple[list[int], list[LiveTopic]]) -> bool:
        nodes, topics = seen
        return len(nodes) >= self.brokers and not replication_problems(topics)

    def _judge(self, nodes: Sequence[int], topics: Sequence[LiveTopic], problems: Sequence[str]) -> None:
        if len(nodes) < self.brokers:
            there = ", ".join(map(str, nodes)) or "none"
            raise CheckFailed(
                f"{self.brokers - len(nodes)} of {self.brokers} Kafka brokers are missing",
                f"registered and not fenced: {there}",
                "see the pods of the brokers",
                problems[:10],
            )
        if problems:
            offline = sum(p.leader is None for topic in topics for p in topic.partitions)
            raise CheckFailed(
                f"{len(problems)} Kafka partitions are not fully replicated",
                f"{offline} are offline, {len(problems) - offline} under-replicated; first: {problems[0]}",
                "see the log of the broker that is behind, and its disk",
                problems[:10],
            )


def replicas(admin: Any) -> tuple[list[int], list[LiveTopic]]:
    """The brokers that are registered and not fenced, and all topics. Blocks."""
    nodes = [b["broker_id"] for b in admin.describe_cluster()["brokers"] if not b.get("is_fenced")]
    return sorted(nodes), [topic for topic in map(live_topic, admin.describe_topics()) if topic is not None]


class Quorum(KafkaCheck):
    """The controllers have a leader, all voters are there, and all follow it closely."""

    summary: ClassVar[str] = "The metadata quorum has a leader, and every voter follows it closely."

    voters: int = Field(3, ge=1, description="Voters there must be.")
    max_lag: int = Field(200, ge=0, description="Records a voter may be behind; the log grows by two a second at rest.")
    max_silence: float = Field(10, gt=0, description="Seconds since a voter was last caught up with the leader.")
    settle: float = Field(10, ge=0, description="Seconds that a voter may take to catch up, as after a restart.")

    async def run(self, reach: Reach) -> Passed:
        return await self.with_brokers(reach, self._look, "Kafka's controllers do not tell of a quorum")

    def _look(self, found: Brokers) -> Passed:
        deadline = time.monotonic() + min(self.settle, found.seconds)
        with found.admin() as admin:
            partition = settled(
                lambda: admin.describe_metadata_quorum()["topics"][0]["partitions"][0],
                lambda seen: self._problem(seen) is None,
                deadline,
            )
        problem = self._problem(partition)
        if problem is not None:
            raise problem
        lag, silence = voter_lag(partition)
        return Passed(
            f"node {partition['leader_id']} leads {self.voters} voters, at most {lag} records behind",
            {
                "leader": partition["leader_id"],
                "epoch": partition["leader_epoch"],
                "voters": len(partition["current_voters"]),
                "max_lag": lag,
                "max_silence_ms": silence,
                "high_watermark": partition["high_watermark"],
            },
        )

    def _problem(self, partition: Mapping[str, Any]) -> CheckFailed | None:
        return quorum_problem(partition, self.voters, self.max_lag, self.max_silence)


def voter_lag(partition: Mapping[str, Any]) -> tuple[int, int]:
    """How far the slowest voter is behind the leader: records, and milliseconds since it was last caught up."""
    voters = partition["current_voters"]
    leader = next((v for v in voters if v["replica_id"] == partition["leader_id"]), None)
    if leader is None:
        return 0, 0
    records = max(leader["log_end_offset"] - v["log_end_offset"] for v in voters)
    return records, max(_silence(leader, v) for v in voters)


def _silence(leader: Mapping[str, Any], voter: Mapping[str, Any]) -> int:
    """Milliseconds since the voter was caught up; from the leader's clock, so that no other clock matters."""
    caught_up = voter.get("last_caught_up_timestamp", -1)
    now = leader.get("last_caught_up_timestamp", -1)
    return max(0, int(now - caught_up)) if now > 0 and caught_up > 0 else 0


def quorum_problem(partition: Mapping[str, Any], voters: int, max_lag: int, max_silence: float) -> CheckFailed | None:
    """What is wrong with the quorum of the metadata partition that the brokers describe; None if nothing."""
    if partition.get("error"):
        return CheckFailed("Kafka's metadata quorum has failed", str(partition["error"]), "see the controllers' logs")
    known = [v["replica_id"] for v in partition["current_voters"]]
    if partition["leader_id"] not in known:
        return CheckFailed(
            "Kafka's metadata quorum has no leader",
            f"leader {partition['leader_id']}, voters {sorted(known)}",
            "restart the controllers one at a time, never below a majority",
        )
    if len(known) != voters:
        return CheckFailed(
            f"Kafka's metadata quorum has {len(known)} voters, not {voters}", f"voters: {sorted(known)}", "see the pods"
        )
    lag, silence = voter_lag(partition)
    never = [v["replica_id"] for v in partition["current_voters"] if v["log_end_offset"] < 0]
    if never or lag > max_lag or silence > max_silence * 1000:
        return CheckFailed(
            "a voter of Kafka's metadata quorum does not follow its leader",
            f"at most {lag} records and {silence / 1000:.1f} s behind; never seen: {never or 'none'}",
            "see the log of the controller that is behind",
            [f"voter {v['replica_id']}: log end {v['log_end_offset']}" for v in partition["current_voters"]],
        )
    return None


class Topics(KafkaCheck):
    """The declared topics are as declared, every partition has a leader, and all its replicas are in sync."""

    summary: ClassVar[str] = "Each declared topic is there as declared, with a leader and all replicas in sync."

    topics: list[Topic] = Field(min_length=1)
    settle: float = Field(10, ge=0, description="Seconds that replicas may take to catch up, as after a restart.")

    async def run(self, reach: Reach) -> Passed:
        return await self.with_brokers(reach, self._look, "Kafka does not describe the declared topics")

    def _look(self, found: Brokers) -> Passed:
        deadline = time.monotonic() + min(self.settle, found.seconds)
        with found.admin() as admin:
            live = settled(lambda: live_topics(admin, self.topics), lambda seen: not self._problems(seen), deadline)
        problems = self._problems(live)
        if problems:
            raise CheckFailed(
                f"{counted(len(problems), 'problem')} with the declared Kafka topics",
                problems[0],
                "materialize the topics; if replicas are behind, see the brokers",
                problems[:10],
            )
        partitions = sum(len(topic.partitions) for topic in live.values())
        return Passed(
            f"{counted(len(live), 'topic')} as declared, {counted(partitions, 'partition')} in sync",
            {"topics": len(live), "partitions": partitions},
        )

    def _problems(self, live: Mapping[str, LiveTopic]) -> list[str]:
        found = [difference(topic, live.get(topic.name)) for topic in self.topics]
        differences = [f"topic {d.topic.name}: {text}" for d in found if d for text, _ in d.steps()]
        return differences + replication_problems(list(live.values()))


def has_leaders(topic: LiveTopic | None) -> bool:
    """Whether the topic exists, and each of its partitions has a leader."""
    return topic is not None and all(partition.leader is not None for partition in topic.partitions)


def live_topics(admin: Any, topics: Sequence[Topic]) -> dict[str, LiveTopic]:
    """Those of the declared topics that exist, by name, with the declared configs' values in effect. Blocks."""
    from kafka.admin import ConfigResource, ConfigResourceType

    there = {t["name"]: t for t in admin.describe_topics([t.name for t in topics]) if not t["error_code"]}
    wanted = [t for t in topics if t.name in there and t.configs]
    values: Mapping[str, Any] = {}
    if wanted:
        resources = [ConfigResource(ConfigResourceType.TOPIC, t.name, dict.fromkeys(t.configs)) for t in wanted]
        values = admin.describe_configs(resources, config_filter="all").get("topic", {})
    found = {}
    for name, described in there.items():
        configs = {key: str(one["value"]) for key, one in values.get(name, {}).items() if one["value"] is not None}
        topic = live_topic(described, configs)
        if topic is not None:
            found[name] = topic
    return found


def new_topic(topic: Topic) -> dict[str, Any]:
    """The topic as the admin client takes it."""
    return {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication,
            "configs": topic.configs,
        }
    }


CHECKS = {"produce_consume": ProduceConsume, "replication": Replication, "quorum": Quorum, "topics": Topics}
