"""A declared topic, a live one, and how they differ. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Configs that say how long records live, and their value for ever."""


class Topic(BaseModel):
    """A topic as a person declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    partitions: int = Field(1, ge=1)
    replication: int = Field(3, ge=1, description="Replicas of each partition.")
    configs: dict[str, str] = Field(default_factory=dict, description="Topic configs; those not named are left alone.")

    @field_validator("configs", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Kafka's configs are text; YAML makes numbers and booleans of some."""
        if not isinstance(value, Mapping):
            return value
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}

    @field_validator("configs")
    @classmethod
    def _retention_is_a_number(cls, value: dict[str, str]) -> dict[str, str]:
        for key in _FOREVER.keys() & value.keys():
            try:
                int(value[key])
            except ValueError:
                raise ValueError(f"{key} is {value[key]!r}; write a whole number, -1 for no limit") from None
        return value


@dataclasses.dataclass(frozen=True)
class Partition:
    """One partition as the cluster has it. `leader` is None while there is none."""

    index: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LiveTopic:
    """One topic as the cluster has it. `configs` holds the values in effect."""

    name: str
    partitions: tuple[Partition, ...]
    configs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def replication(self) -> int:
        """Replicas of the partition that has fewest."""
        return min((len(partition.replicas) for partition in self.partitions), default=0)


def live_topic(described: Mapping[str, Any], configs: Mapping[str, str] | None = None) -> LiveTopic | None:
    """A topic from the metadata that the admin client returns; None if there is no such topic."""
    if described.get("error_code"):
        return None
    partitions = tuple(
        Partition(
            p["partition_index"],
            p["leader_id"] if p["leader_id"] >= 0 else None,
            tuple(p["replica_nodes"]),
            tuple(p["isr_nodes"]),
        )
        for p in sorted(described["partitions"], key=lambda p: p["partition_index"])
    )
    return LiveTopic(described["name"], partitions, dict(configs or {}))


@dataclasses.dataclass(frozen=True)
class TopicDifference:
    """What stands between one declared topic and its live one."""

    topic: Topic
    create: bool = False
    partitions: tuple[int, int] | None = None
    """From, to."""
    replication: tuple[int, int] | None = None
    configs: Mapping[str, tuple[str | None, str]] = dataclasses.field(default_factory=dict)

    @property
    def impossible(self) -> bool:
        """Kafka can't take partitions away, and fewer replicas are a person's decision."""
        return any(pair is not None and pair[1] < pair[0] for pair in (self.partitions, self.replication))

    def steps(self) -> list[tuple[str, bool]]:
        """The difference for a person, one step each, and whether the step loses data."""
        if self.create:
            return [(f"create with {self.topic.partitions} partitions, {self.topic.replication} replicas", False)]
        found = []
        for label, pair in (("partitions", self.partitions), ("replicas", self.replication)):
            if pair is not None:
                found.append((f"{label}: {pair[0]} → {pair[1]}", pair[1] < pair[0]))
        for key, (before, after) in sorted(self.configs.items()):
            text = f"{key}: {'unset' if before is None else before} → {after}"
            found.append((text, drops_records(key, before, after)))
        return found


def drops_records(key: str, before: str | None, after: str) -> bool:
    """Whether a config changed so lets the brokers delete records that they kept before."""
    if key == "cleanup.policy":
        return not _policies(after) <= _policies(before or "delete")
    forever = _FOREVER.get(key)
    if forever is None or after == forever:
        return False
    return before is None or before == forever or int(after) < int(before)


def _policies(value: str) -> set[str]:
    return {part.strip() for part in value.split(",") if part.strip()}


def difference(topic: Topic, live: LiveTopic | None) -> TopicDifference | None:
    """What `topic` declares and `live` has not; None when nothing is to do."""
    if live is None:
        return TopicDifference(topic, create=True)
    count = len(live.partitions)
    configs = {k: (live.configs.get(k), v) for k, v in topic.configs.items() if live.configs.get(k) != v}
    found = TopicDifference(
        topic,
        partitions=(count, topic.partitions) if count != topic.partitions else None,
        replication=(live.replication, topic.replication) if live.replication != topic.replication else None,
        configs=configs,
    )
    return found if found.steps() else None


def more_replicas(live: LiveTopic, wanted: int, nodes: Iterable[int]) -> dict[int, list[int]]:
    """For each partition that has too few, its replicas with more added: the brokers that hold fewest come first.

    Those it has stay, in their order, so that the preferred leader does not change.
    """
    load = dict.fromkeys(sorted(nodes), 0)
    for partition in live.partitions:
        for node in partition.replicas:
            load[node] = load.get(node, 0) + 1
    assignment: dict[int, list[int]] = {}
    for partition in live.partitions:
        replicas = list(partition.replicas)
        while len(replicas) < wanted:
            free = [node for node in load if node not in replicas]
            if not free:
                break
            replicas.append(min(free, key=lambda node: (load[node], node)))
            load[replicas[-1]] += 1
        if len(replicas) > len(partition.replicas):
            assignment[partition.index] = replicas
    return assignment


def replication_problems(topics: Sequence[LiveTopic]) -> list[str]:
    """Each partition without a leader, or with replicas that are not in sync; empty when all is replicated."""
    problems = []
    for topic in topics:
        for partition in topic.partitions:
            name = f"{topic.name}-{partition.index}"
            missing = sorted(set(partition.replicas) - set(partition.isr))
            if partition.leader is None:
                problems.append(f"{name} has no leader (replicas {_list(partition.replicas)})")
            elif missing:
                problems.append(f"{name}: replicas {_list(missing)} are not in sync")
    return problems


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
