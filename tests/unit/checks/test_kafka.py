import asyncio
import threading
import time
from typing import Any

import pytest

from carbon_platform.checks.base import Check
from carbon_platform.checks.kafka import ProduceConsume, Quorum, Replication, Topics, quorum_problem, voter_lag
from carbon_platform.checks.kafka_session import Brokers, in_thread, refusal, settled
from carbon_platform.checks.kafka_topics import Topic
from carbon_platform.errors import CheckFailed
from tests.unit.checks.stub_reach import StubReach

CHECKS = [
    ProduceConsume(type="kafka.produce_consume"),
    Replication(type="kafka.replication"),
    Quorum(type="kafka.quorum"),
    Topics(type="kafka.topics", topics=[Topic(name="prices.raw")]),
]


def voter(number: int, end: int, caught_up: int = 1_000_000) -> dict[str, Any]:
    return {"replica_id": number, "log_end_offset": end, "last_caught_up_timestamp": caught_up}


def quorum(*voters: dict[str, Any], leader: int = 0) -> dict[str, Any]:
    return {"error": None, "leader_id": leader, "leader_epoch": 4, "high_watermark": 90, "current_voters": list(voters)}


def trouble(partition: dict[str, Any]) -> CheckFailed | None:
    return quorum_problem(partition, voters=3, max_lag=50, max_silence=10)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.type)
async def test_a_name_that_leads_nowhere_fails_before_any_client_is_made(check: Check) -> None:
    began = time.monotonic()
    with pytest.raises(CheckFailed, match="leads nowhere"):
        await check.run(StubReach())
    assert time.monotonic() - began < 60


async def test_brokers_that_do_not_answer_fail_in_time_and_leave_no_thread_behind() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def ask(found: Brokers) -> None:
        with found.admin() as admin:
            admin.describe_cluster()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CheckFailed, match="no broker answers at 127"):
            await in_thread(ask, Brokers(f"127.0.0.1:{port}", None, seconds=0.3), "Kafka is away")
    assert [thread.name for thread in threading.enumerate() if "kafka" in thread.name] == []


async def test_cluster_names_are_resolved_by_the_proxy() -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(5)
        asked.put_nowait(await reader.readexactly(head[4]))
        writer.close()

    class Outside(StubReach):
        async def socks5(self) -> tuple[str, int] | None:
            host, port = server.sockets[0].getsockname()[:2]
            return str(host), int(port)

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        check = Quorum(type="kafka.quorum", service="kafka-service", service_namespace="data-platform", deadline=0.6)
        with pytest.raises(CheckFailed):
            await check.run(Outside(ports={"kafka-service": 1}))
    assert await asked.get() == b"kafka-service.data-platform.svc"


def test_a_quorum_that_is_followed_closely_has_no_problem() -> None:
    assert trouble(quorum(voter(0, 100), voter(1, 98, 999_500), voter(2, 100))) is None


def test_the_slowest_voter_is_the_one_that_counts() -> None:
    assert voter_lag(quorum(voter(0, 100), voter(1, 60, 998_000), voter(2, 90, 990_500))) == (40, 9_500)


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (quorum(voter(0, 100), voter(1, 100), voter(2, 100), leader=-1), "no leader"),
        (quorum(voter(0, 100), voter(1, 100)), "2 voters, not 3"),
        (quorum(voter(0, 100), voter(1, 100), voter(2, 49)), "does not follow"),
        (quorum(voter(0, 100), voter(1, 100), voter(2, 100, 989_000)), "does not follow"),
        (quorum(voter(0, 100), voter(1, 100), voter(2, -1, -1)), "does not follow"),
        (quorum() | {"error": "[Error 6] NotLeaderForPartitionError"}, "has failed"),
    ],
)
def test_a_quorum_without_leader_or_voter_or_with_one_behind_is_a_problem(partition: dict[str, Any], said: str) -> None:
    found = trouble(partition)
    assert found is not None
    assert said in found.summary


def test_an_error_of_the_client_names_what_helps() -> None:
    from kafka.errors import NotEnoughReplicasError

    failure = refusal("Kafka does not keep records", NotEnoughReplicasError(), "kafka:9092")
    assert failure.summary == "Kafka does not keep records"
    assert "NotEnoughReplicas" in failure.cause
    assert "a broker is down" in failure.fix


def test_what_may_still_settle_is_looked_at_again_and_what_can_not_is_not() -> None:
    from kafka.errors import KafkaConnectionError, UnsupportedVersionError

    seen: list[Any] = [KafkaConnectionError("restarting"), 1, 2]

    def look() -> int:
        found = seen.pop(0)
        if isinstance(found, Exception):
            raise found
        return int(found)

    assert settled(look, lambda n: n == 2, time.monotonic() + 30) == 2
    seen = [UnsupportedVersionError("never")]
    with pytest.raises(UnsupportedVersionError):
        settled(look, lambda n: True, time.monotonic() + 30)


def test_what_never_settles_is_given_as_it_was_last_seen() -> None:
    assert settled(lambda: "behind", lambda seen: False, time.monotonic()) == "behind"
