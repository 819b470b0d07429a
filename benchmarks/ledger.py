"""What was written before faults and must be there after them: rows, messages, objects; each acknowledged first."""

import asyncio
import dataclasses
import functools
import io
import json
import uuid
from typing import Any

import tenacity

from carbon_platform.checks.kafka import new_topic
from carbon_platform.checks.kafka_session import Brokers, brokers, in_thread
from carbon_platform.checks.kafka_topics import Topic
from carbon_platform.checks.postgres import Write
from carbon_platform.errors import CheckFailed
from carbon_platform.session import Session
from carbon_platform.spec.platform import Platform

_NAME = "carbon-faults"
_TABLE = "carbon_faults"
_EACH = 20
_KAFKA_SECONDS = 40.0
_PARTITIONS = 3


def _count(state: tenacity.RetryCallState) -> None:
    ledger: Ledger = state.args[0]
    ledger.unanswered += 1


_patiently = tenacity.retry(
    before_sleep=_count,
    stop=tenacity.stop_after_delay(180),
    wait=tenacity.wait_fixed(2),
    retry=tenacity.retry_if_exception_type(CheckFailed),
    reraise=True,
)
"""After an outage Kubernetes may yet call the node silent, and then no Service leads anywhere for a while. Counted."""


@dataclasses.dataclass
class Ledger:
    """Writes to every store of the platform, and counts what is not there any more."""

    platform: Platform
    session: Session

    def __post_init__(self) -> None:
        self.written: list[str] = []
        self.topic = f"{_NAME}-{uuid.uuid4().hex[:8]}"
        self.unanswered = 0
        """How often a store did not answer, and was asked again."""

    async def open(self) -> None:
        """An empty table, topic and bucket of our own."""
        async with self._postgres() as db:
            await db.execute(f"drop table if exists {_TABLE}")
            await db.execute(f"create table {_TABLE} (entry text primary key)")
        await self._objects(lambda client: client.bucket_exists(_NAME) or client.make_bucket(_NAME))
        await self._kafka(functools.partial(_make_topic, self.topic))

    @_patiently
    async def write(self) -> None:
        """Some more entries, each acknowledged by every store."""
        new = [uuid.uuid4().hex for _ in range(_EACH)]
        async with self._postgres() as db:
            for entry in new:
                await db.execute(f"insert into {_TABLE} values (%s)", (entry,))
        await self._objects(lambda client: [client.put_object(_NAME, e, io.BytesIO(e.encode()), len(e)) for e in new])
        await self._kafka(functools.partial(_produce, self.topic, new))
        self.written += new

    @_patiently
    async def lost(self) -> dict[str, int]:
        """How many entries each store no longer has. What can't be read is not lost: it is read again."""
        wanted = set(self.written)
        async with self._postgres() as db:
            rows = await (await db.execute(f"select entry from {_TABLE}")).fetchall()
        objects = await self._objects(lambda client: [one.object_name for one in client.list_objects(_NAME)])
        messages = await self._kafka(functools.partial(_consume, self.topic))
        found = {"rows": {row[0] for row in rows}, "objects": set(objects), "messages": set(messages)}
        return {store: len(wanted - there) for store, there in found.items()}

    async def remove(self) -> None:
        """Nothing of it stays."""
        async with self._postgres() as db:
            await db.execute(f"drop table if exists {_TABLE}")
        await self._objects(_empty)
        await self._kafka(functools.partial(_remove_topic, self.topic))

    def _postgres(self) -> Any:
        return _Postgres(self)

    async def _objects(self, work: Any) -> Any:
        import minio

        reach = self._reach("object_store")
        host, port = await reach.endpoint()
        access, secret = [await reach.secret("object-store-credentials", key) for key in ("access-key", "secret-key")]
        client = minio.Minio(f"{host}:{port}", access_key=access, secret_key=secret, secure=False, region="us-east-1")
        return await asyncio.to_thread(work, client)

    async def _kafka(self, work: Any) -> Any:
        component = self.platform.components["kafka"]
        endpoint = component.endpoints[0]
        found = await brokers(self._reach("kafka"), endpoint.service, endpoint.port, None, _KAFKA_SECONDS)
        return await in_thread(work, found, "the ledger's topic")

    def _reach(self, key: str) -> Any:
        return self.session.reach(self.platform.components[key])


class _Postgres:
    """A session of the superuser, opened on entry."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __aenter__(self) -> Any:
        self._session = await Write(type="postgres.write").superuser(self._ledger._reach("postgres"))
        return await self._session.__aenter__()

    async def __aexit__(self, *details: Any) -> None:
        await self._session.__aexit__(*details)


def _make_topic(name: str, found: Brokers) -> None:
    with found.admin() as admin:
        admin.create_topics(new_topic(Topic(name=name, partitions=_PARTITIONS, replication=3)))
        admin.wait_for_topics([name])


def _produce(name: str, entries: list[str], found: Brokers) -> None:
    with found.producer() as producer:
        for sent in [producer.send(name, value=json.dumps(entry).encode(), key=entry.encode()) for entry in entries]:
            sent.get(_KAFKA_SECONDS)


def _consume(name: str, found: Brokers) -> list[str]:
    from kafka import TopicPartition

    with found.consumer() as consumer:
        partitions = [TopicPartition(name, number) for number in range(_PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        entries: list[str] = []
        while any(consumer.position(one) < ends[one] for one in partitions):
            for records in consumer.poll(timeout_ms=1000).values():
                entries += [json.loads(record.value) for record in records]
        return entries


def _remove_topic(name: str, found: Brokers) -> None:
    with found.admin() as admin:
        admin.delete_topics([name])


def _empty(client: Any) -> None:
    for one in client.list_objects(_NAME):
        client.remove_object(_NAME, one.object_name)
    client.remove_bucket(_NAME)
