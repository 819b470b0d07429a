"""Checks of ZooKeeper: that its nodes form one ensemble, and that sessions and ephemeral znodes work through it."""

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Check, Evidence, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

_ANSWER_SECONDS = 10.0
_SESSION_SECONDS = 10.0
"""Session timeout asked for: a probe that was killed leaves its znode no longer than this."""


@dataclasses.dataclass(frozen=True)
class ServerState:
    """What a node says of itself in answer to `srvr`."""

    version: str
    mode: str
    """standalone, leader, follower or observer."""
    zxid: int
    """Newest transaction: its upper 32 bits are the epoch, which one leader's reign shares."""
    znodes: int
    connections: int
    outstanding: int

    @property
    def epoch(self) -> int:
        """Number of the leader's reign."""
        return self.zxid >> 32


def parse_srvr(answer: str) -> ServerState:
    """Read the answer to `srvr`. Raises CheckFailed when the node does not serve, or answers something else."""
    facts = {}
    for line in answer.splitlines():
        name, separator, value = line.partition(": ")
        if separator:
            facts[name.strip()] = value.strip()
    try:
        return ServerState(
            version=facts["Zookeeper version"].partition("-")[0],
            mode=facts["Mode"],
            zxid=int(facts["Zxid"], 16),
            znodes=int(facts["Node count"]),
            connections=int(facts["Connections"]),
            outstanding=int(facts["Outstanding"]),
        )
    except (KeyError, ValueError) as error:
        said = " ".join(answer.split())[:200] or "nothing"
        raise CheckFailed(
            "a ZooKeeper node does not serve",
            f"it answered: {said}",
            "without a quorum no node serves: see which of the others are down; "
            "if it says srvr is not in the whitelist, allow it by 4lw.commands.whitelist",
        ) from error


def ensemble_trouble(states: Sequence[ServerState]) -> str | None:
    """Why these nodes are no healthy ensemble, or None. One node alone must be `standalone`."""
    modes = [state.mode for state in states]
    if len(states) == 1:
        return None if modes == ["standalone"] else f"the only node is {modes[0]}, not standalone"
    leaders = modes.count("leader")
    if leaders != 1:
        return f"{leaders} of {len(states)} nodes lead, there must be one; they are {', '.join(modes)}"
    strays = [f"node {i} is {mode}" for i, mode in enumerate(modes) if mode not in ("leader", "follower")]
    return "; ".join(strays) or None


class Session(Check):
    """All nodes are in one ensemble, and an ephemeral znode lives exactly as long as its session.

    Each node is asked through its own Service, `<service>-<ordinal>`. The znode is made through the first
    node and seen through every other one.
    """

    summary: ClassVar[str] = (
        "The nodes form one ensemble; an ephemeral znode appears, is read, and goes with its session."
    )

    service: str = Field("zookeeper", description="The Service of the ensemble.")
    port: int = Field(2181, ge=1, le=65535)
    nodes: int = Field(1, ge=1, description="Nodes there must be.")

    async def run(self, reach: Reach) -> Passed:
        states = await self._states(reach)
        trouble = ensemble_trouble(states)
        if trouble:
            raise CheckFailed("ZooKeeper is no healthy ensemble", trouble, "see the logs of the nodes")
        await reach.service(self.service, self.port)  # the name that clients use leads to a ready node
        addresses = [await self._address(reach, i) for i in range(self.nodes)]
        milliseconds = await asyncio.to_thread(_live_and_die, addresses[0], addresses[1:] or addresses)
        return Passed(f"{self.nodes} nodes, an ephemeral znode came and went", _evidence(states, milliseconds))

    async def _states(self, reach: Reach) -> list[ServerState]:
        answers = await asyncio.gather(*(self._ask(reach, i) for i in range(self.nodes)))
        failures = [f"node {i}: {a.told}" for i, a in enumerate(answers) if isinstance(a, CheckFailed)]
        if failures:
            raise CheckFailed(
                f"{len(failures)} of {self.nodes} ZooKeeper nodes do not serve",
                "; ".join(failures),
                "without a majority no node serves: start those that are down, see their logs",
            )
        return [answer for answer in answers if isinstance(answer, ServerState)]

    async def _ask(self, reach: Reach, ordinal: int) -> ServerState | CheckFailed:
        try:
            host, port = await reach.service(f"{self.service}-{ordinal}", self.port)
            return parse_srvr(await four_letters(host, port, "srvr"))
        except CheckFailed as failure:
            return failure

    async def _address(self, reach: Reach, ordinal: int) -> str:
        host, port = await reach.service(f"{self.service}-{ordinal}", self.port)
        return f"{host}:{port}"


def _evidence(states: Sequence[ServerState], milliseconds: float) -> Evidence:
    return {
        "latency_ms": round(milliseconds, 2),
        "version": states[0].version,
        "nodes": len(states),
        "mode": ", ".join(state.mode for state in states),
        "epoch": max(state.epoch for state in states),
        "znodes": max(state.znodes for state in states),
        "connections": sum(state.connections for state in states),
        "outstanding": sum(state.outstanding for state in states),
    }


async def four_letters(host: str, port: int, word: str) -> str:
    """A node's answer to one of ZooKeeper's four-letter words."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(word.encode())
                await writer.drain()
                return (await reader.read()).decode(errors="replace")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except OSError as error:  # TimeoutError is one
        raise CheckFailed(
            f"a ZooKeeper node does not answer {word}",
            str(error) or f"not within {_ANSWER_SECONDS:g} s",
            "see the log of the node",
        ) from error


def _live_and_die(first: str, others: Sequence[str]) -> float:
    """An ephemeral znode made at `first` is read at all others, and gone there when its session is closed; ms."""
    from kazoo.exceptions import KazooException
    from kazoo.handlers.threading import KazooTimeoutError

    path, content = f"/carbon-probe-{uuid.uuid4()}", uuid.uuid4().bytes
    began = time.perf_counter()
    owner, witnesses = _client(first), [_client(other) for other in others]
    try:
        for client in (owner, *witnesses):
            client.start(timeout=_ANSWER_SECONDS)
        owner.create(path, content, ephemeral=True)
        for witness in witnesses:
            witness.sync(path)
            if witness.get(path)[0] != content:
                raise CheckFailed("ZooKeeper gave back other content than was written", f"znode {path}")
        _end(owner)
        for witness in witnesses:
            witness.sync(path)
            if witness.exists(path) is not None:
                raise CheckFailed("ZooKeeper kept an ephemeral znode after its session was closed", f"znode {path}")
    except KazooTimeoutError as error:
        raise CheckFailed("ZooKeeper opens no session", str(error), "see the logs of the nodes") from error
    except KazooException as error:
        raise CheckFailed("ZooKeeper refused", f"{type(error).__name__} {error}", "see the nodes' logs") from error
    finally:
        for client in (owner, *witnesses):
            _end(client)
    return (time.perf_counter() - began) * 1000


def _client(address: str) -> Any:
    from kazoo.client import KazooClient

    quiet = logging.getLogger("carbon.kazoo")
    quiet.setLevel(logging.CRITICAL)  # what goes wrong is told by the check, once
    return KazooClient(
        hosts=address, timeout=_SESSION_SECONDS, randomize_hosts=False, logger=quiet,
        connection_retry={"max_tries": 0}, command_retry={"max_tries": 0},
    )  # fmt: skip


def _end(client: Any) -> None:
    client.stop()
    client.close()


CHECKS = {"session": Session}
