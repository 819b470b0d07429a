import asyncio

import pytest

from carbon_platform.checks.zookeeper import ServerState, Session, ensemble_trouble, four_letters, parse_srvr
from carbon_platform.errors import CheckFailed
from tests.unit.checks.stub_reach import StubReach

FOLLOWER = """Zookeeper version: 3.9.5-0123456789abcdef0123456789abcdef01234567, built on 2026-01-01 10:00 UTC
Latency min/avg/max: 0/0.5/12
Received: 1021
Sent: 1020
Connections: 7
Outstanding: 2
Zxid: 0x300000012
Mode: follower
Node count: 158
"""


def node(mode: str) -> ServerState:
    return ServerState(version="3.9.5", mode=mode, zxid=3 << 32, znodes=5, connections=1, outstanding=0)


def test_srvr_is_read_into_numbers() -> None:
    state = parse_srvr(FOLLOWER)
    assert state == ServerState("3.9.5", "follower", 0x300000012, znodes=158, connections=7, outstanding=2)
    assert state.epoch == 3


@pytest.mark.parametrize(
    "answer",
    [
        "This ZooKeeper instance is not currently serving requests\n",
        "srvr is not executed because it is not in the whitelist.\n",
        "",
        FOLLOWER.replace("Mode: follower\n", ""),
        FOLLOWER.replace("158", "many"),
    ],
)
def test_an_answer_that_is_no_state_fails_and_is_quoted(answer: str) -> None:
    with pytest.raises(CheckFailed) as failure:
        parse_srvr(answer)
    assert " ".join(answer.split())[:40] in failure.value.cause


@pytest.mark.parametrize(
    "modes", [["standalone"], ["leader", "follower", "follower"], ["follower", "follower", "leader"]]
)
def test_one_standalone_node_or_one_leader_with_followers_is_an_ensemble(modes: list[str]) -> None:
    assert ensemble_trouble([node(mode) for mode in modes]) is None


@pytest.mark.parametrize(
    ("modes", "trouble"),
    [
        (["leader"], "the only node is leader, not standalone"),
        (["standalone"] * 3, "0 of 3 nodes lead"),
        (["leader", "leader", "follower"], "2 of 3 nodes lead"),
        (["follower"] * 3, "0 of 3 nodes lead"),
        (["leader", "follower", "standalone"], "node 2 is standalone"),
        (["leader", "follower", "observer"], "node 2 is observer"),
    ],
)
def test_anything_else_is_trouble(modes: list[str], trouble: str) -> None:
    assert (ensemble_trouble([node(mode) for mode in modes]) or "").startswith(trouble)


async def _serve(answer: bytes) -> asyncio.Server:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(4) == b"srvr"
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(talk, "127.0.0.1", 0)


async def test_the_whole_answer_of_a_node_is_read() -> None:
    async with await _serve(FOLLOWER.encode()) as server:
        port = server.sockets[0].getsockname()[1]
        assert await four_letters("127.0.0.1", port, "srvr") == FOLLOWER


async def test_a_node_that_refuses_connections_fails() -> None:
    server = await _serve(b"")
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(CheckFailed, match="does not answer srvr"):
        await four_letters("127.0.0.1", port, "srvr")


async def test_a_node_missing_from_the_ensemble_fails_before_any_session_is_opened() -> None:
    async with await _serve(FOLLOWER.encode()) as server:
        port = server.sockets[0].getsockname()[1]
        reach = StubReach(ports={"zookeeper-0": port, "zookeeper-1": port})
        with pytest.raises(CheckFailed) as failure:
            await Session(type="zookeeper.session", nodes=3).run(reach)
    assert failure.value.summary == "1 of 3 ZooKeeper nodes do not serve"
    assert "zookeeper-2" in failure.value.cause
