import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Literal

import pytest

from carbon_platform.checks.service import Alias, ServiceName, alias_target, ready_addresses, resolve
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CheckFailed
from tests.unit.checks.stub_reach import StubReach

SELECTS: Object = {"spec": {"type": "ClusterIP"}}
ALIAS = ("data-platform", "postgres-workflow-service")
REAL = ("kong", "kong-postgres")


def points_at(host: str) -> Object:
    return {"spec": {"type": "ExternalName", "externalName": host}}


TO_REAL = points_at("kong-postgres.kong.svc.cluster.local")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@contextlib.asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """A server on a free loopback port that does `talk` with each connection."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, as a database does until it is spoken to."""
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def check(target: str | None = "kong-postgres.kong", speaks: Literal["postgres"] | None = None) -> Alias:
    return Alias(
        type="service.alias",
        service="postgres-workflow-service",
        namespace="data-platform",
        port=5432,
        target=target,
        speaks=speaks,
    )


@pytest.fixture(autouse=True)
def _settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon_platform.checks.service._SETTLE", 0.05)


def reach(alias: Object | None, port: int, *, ready: tuple[str, ...] = ("10.0.0.7",)) -> StubReach:
    services = {REAL: SELECTS}
    if alias is not None:
        services[ALIAS] = alias
    return StubReach(services, {REAL: list(ready)}, {"postgres-workflow-service": port})


async def test_an_alias_that_leads_to_its_live_target_passes_with_the_target_in_evidence() -> None:
    async with listening(keep) as port:
        passed = await check().run(reach(TO_REAL, port))
    assert passed.evidence["target"] == "kong-postgres.kong"
    assert passed.evidence["aliases"] == 1
    assert passed.evidence["endpoints"] == 1


async def test_an_alias_that_is_gone_fails() -> None:
    with pytest.raises(CheckFailed, match=r"postgres-workflow-service.data-platform does not exist"):
        await check().run(reach(None, 1))


async def test_an_alias_to_a_service_that_is_gone_fails_and_shows_the_way() -> None:
    with pytest.raises(CheckFailed) as failure:
        await check().run(reach(points_at("old-postgres.kong.svc.cluster.local"), 1))
    assert "old-postgres.kong does not exist" in failure.value.summary
    assert "postgres-workflow-service.data-platform → old-postgres.kong" in failure.value.cause


async def test_an_alias_that_leads_to_another_live_service_than_declared_fails() -> None:
    services = {ALIAS: points_at("other.kong.svc.cluster.local"), ("kong", "other"): SELECTS}
    async with listening(keep) as port:
        elsewhere = StubReach(services, {("kong", "other"): ["10.0.0.8"]}, {"postgres-workflow-service": port})
        with pytest.raises(CheckFailed, match="leads to the wrong place"):
            await check().run(elsewhere)
        assert (await check(target=None).run(elsewhere)).evidence["target"] == "other.kong"


async def test_an_alias_without_a_ready_endpoint_behind_it_fails() -> None:
    with pytest.raises(CheckFailed) as failure:
        await check().run(reach(TO_REAL, 1, ready=()))
    assert failure.value.cause == "kong-postgres.kong has no ready endpoint"


async def test_an_alias_whose_target_drops_connections_fails() -> None:
    async with listening(drop) as port:
        with pytest.raises(CheckFailed, match="drops its connections"):
            await check().run(reach(TO_REAL, port))


async def test_an_alias_whose_target_refuses_connections_fails() -> None:
    async with listening(drop) as port:
        pass
    with pytest.raises(CheckFailed, match="accepts no connection"):
        await check().run(reach(TO_REAL, port))


def answering(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == struct.pack("!ii", 8, 80877103)
        writer.write(answer)
        await keep(reader, writer)

    return talk


@pytest.mark.parametrize("answer", [b"S", b"N"])
async def test_an_alias_behind_which_the_named_protocol_answers_passes(answer: bytes) -> None:
    async with listening(answering(answer)) as port:
        assert (await check(speaks="postgres").run(reach(TO_REAL, port))).evidence["endpoints"] == 1


@pytest.mark.parametrize(
    ("talk", "summary"),
    [
        (answering(b"H"), "does not speak postgres"),
        (answering(b""), "does not answer"),
        (drop, "drops its connections"),
    ],
)
async def test_an_alias_behind_which_another_protocol_or_nothing_answers_fails(
    monkeypatch: pytest.MonkeyPatch, talk: Talk, summary: str
) -> None:
    monkeypatch.setattr("carbon_platform.checks.service._ANSWER", 0.05)
    async with listening(talk) as port:
        with pytest.raises(CheckFailed, match=summary):
            await check(speaks="postgres").run(reach(TO_REAL, port))


async def test_an_alias_without_the_cluster_domain_fails_since_no_client_resolves_it() -> None:
    with pytest.raises(CheckFailed) as failure:
        await check().run(reach(points_at("kong-postgres.kong.svc"), 1))
    assert "lacks the cluster's domain" in failure.value.cause


async def test_aliases_in_a_circle_fail() -> None:
    circle = {
        ("kong", "a"): points_at("b.kong.svc.cluster.local"),
        ("kong", "b"): points_at("a.kong.svc.cluster.local"),
    }
    with pytest.raises(CheckFailed) as failure:
        await resolve(StubReach(circle), ServiceName("a", "kong"))
    assert failure.value.cause == "its aliases never end: a.kong → b.kong → a.kong"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("kong-postgres.kong.svc.cluster.local", ServiceName("kong-postgres", "kong")),
        ("kong-postgres.kong.svc.example.org", ServiceName("kong-postgres", "kong")),
        ("kong-postgres.kong.svc", None),
        ("example.com", None),
        ("db.eu-west-1.rds.amazonaws.com", None),
    ],
)
def test_only_full_names_of_services_are_taken_for_services(host: str, expected: ServiceName | None) -> None:
    assert alias_target(host) == expected


def test_endpoints_count_once_and_only_when_ready_or_silent_about_it() -> None:
    slices: list[Object] = [
        {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}, {"addresses": ["10.0.0.2"]}]},
        {"endpoints": [{"addresses": ["10.0.0.3"], "conditions": {"ready": False}}, {"addresses": ["10.0.0.1"]}]},
        {"endpoints": None},
    ]
    assert ready_addresses(slices) == ["10.0.0.1", "10.0.0.2"]
