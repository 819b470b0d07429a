"""How the Kafka checks and content connect, and how a refusal is told."""

import asyncio
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

_T = TypeVar("_T")

_CLOSE_SECONDS = 2.0
"""What a client may still take to close; after that it is torn down."""

_POLL = 0.25
"""Seconds between two looks at a state that may still settle."""

_FIXES = {
    "NotEnoughReplicasError": "a broker is down or behind: see which pod of the brokers is not ready, and its log",
    "NotEnoughReplicasAfterAppendError": "a broker is down or behind: see which pod is not ready, and its log",
    "InvalidReplicationFactorError": "fewer brokers are registered than the topic wants replicas: see the pods",
    "NodeNotReadyError": "no broker can be connected to under the name it advertises: see the pods and their DNS names",
    "KafkaConnectionError": "see the pods of the brokers, and whether the advertised names resolve",
    "TopicAuthorizationFailedError": "allow the user of the checks to use this topic",
    "InvalidConfigurationError": "correct the topic's configs",
    "RequestTimedOutError": "the controllers have no leader, or it does not answer: see their pods and the quorum",
    "KafkaTimeoutError": "a leader does not answer or too few replicas are in sync: see the replicas and the quorum",
}
"""What helps, by the client's error class."""


def refusal(summary: str, error: Exception, servers: str) -> CheckFailed:
    """The failure to tell for an error of the client.

    `servers` is what it was to connect to. A time-out while connecting says only that nothing answered.
    """
    kind = type(error).__name__
    if "bootstrap" in str(error).lower():
        return CheckFailed(
            summary,
            f"no broker answers at {servers}",
            "see the pods behind this Service, and the quorum of controllers",
        )
    description = getattr(error, "description", "") or ""
    cause = str(error) if str(error) != kind else f"{kind}: {description}".strip(": ")
    return CheckFailed(summary, " ".join(cause.split()), _FIXES.get(kind, "see the logs of the brokers"))


@dataclasses.dataclass(frozen=True)
class Brokers:
    """Where the brokers are, and how long they may take. Clients are blocking: use `in_thread`."""

    servers: str
    """`host:port` to ask first; the brokers then tell their own names."""
    proxy: str | None
    """SOCKS5 proxy that resolves those names, or None where they resolve already."""
    seconds: float
    """For connecting, and for a delivery; one request may take a third of it."""

    @contextlib.contextmanager
    def admin(self) -> "Iterator[Any]":
        """An admin client."""
        from kafka import KafkaAdminClient

        with self._client(KafkaAdminClient, lambda client: client.close()) as admin:
            yield admin

    @contextlib.contextmanager
    def producer(self) -> "Iterator[Any]":
        """A producer that is content only when every in-sync replica has a record."""
        from kafka import KafkaProducer

        options = {
            "acks": "all",
            "allow_auto_create_topics": False,
            "max_block_ms": self._milliseconds,
            "delivery_timeout_ms": self._milliseconds,
        }
        with self._client(KafkaProducer, lambda client: client.close(timeout=_CLOSE_SECONDS), **options) as producer:
            yield producer

    @contextlib.contextmanager
    def consumer(self) -> "Iterator[Any]":
        """A consumer without a group: it leaves no trace."""
        from kafka import KafkaConsumer

        options = {"group_id": None, "enable_auto_commit": False, "allow_auto_create_topics": False}
        milliseconds = int(_CLOSE_SECONDS * 1000)
        with self._client(KafkaConsumer, lambda client: client.close(timeout_ms=milliseconds), **options) as consumer:
            yield consumer

    @property
    def _milliseconds(self) -> int:
        return int(self.seconds * 1000)

    @contextlib.contextmanager
    def _client(self, kind: Callable[..., _T], close: Callable[[_T], None], **options: Any) -> Iterator[_T]:
        """A client that is gone afterwards, with its threads: a failed constructor leaves them running by itself."""
        from kafka.net.compat import KafkaNetClient

        networks: list[Any] = []

        def network(**configs: Any) -> Any:
            networks.append(KafkaNetClient(**configs))
            return networks[-1]

        settings = {
            "bootstrap_servers": self.servers,
            "proxy_url": self.proxy,
            "client_id": "carbon-check",
            "bootstrap_timeout_ms": self._milliseconds,
            "request_timeout_ms": self._milliseconds // 3,
            "reconnect_backoff_max_ms": 1000,
            "kafka_client": network,
        }
        try:
            client = kind(**(settings | options))
            try:
                yield client
            finally:
                close(client)
        finally:
            for one in networks:
                one.close()


def settled(look: Callable[[], _T], good: Callable[[_T], bool], deadline: float) -> _T:
    """What `look` sees, once it is good; else what it saw last before `deadline` (of the monotonic clock).

    An error that may pass, such as of a broker that is just restarting, counts as not good yet. Blocks.
    """
    from kafka.errors import KafkaError

    while True:
        late = time.monotonic() >= deadline
        try:
            seen = look()
        except KafkaError as error:
            if late or not error.retriable:
                raise
        else:
            if late or good(seen):
                return seen
        time.sleep(_POLL)


async def brokers(reach: Reach, service: str, port: int, namespace: str | None, seconds: float) -> Brokers:
    """The brokers behind a Service, which may be an alias.

    Raises CheckFailed at once when the Service leads to no ready pod, so that nobody waits for a dead name.
    """
    where = namespace or reach.namespace
    await reach.service(service, port, where)
    proxy = await reach.socks5()
    url = f"socks5h://{proxy[0]}:{proxy[1]}" if proxy else None
    return Brokers(f"{service}.{where}.svc:{port}", url, seconds)


async def in_thread(work: Callable[[Brokers], _T], found: Brokers, summary: str) -> _T:
    """Run blocking work in a thread; an error of the client becomes CheckFailed with `summary`."""
    from kafka.errors import KafkaError

    try:
        return await asyncio.to_thread(functools.partial(work, found))
    except KafkaError as error:
        raise refusal(summary, error, found.servers) from error
