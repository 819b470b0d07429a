"""Which failures are waited out, and which are told at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.errors import RequestFailed, WebhookFailed
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.target import Target
from carbon_platform.cluster.watch import Mirror
from carbon_platform.errors import Unreachable
from tests.objects import obj

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://api.example.invalid"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
}
WEBHOOK = 'Internal error occurred: failed calling webhook "guard.example.com": failed to call webhook: refused'
Answer = Callable[[httpx2.Request], httpx2.Response]


class Server:
    """Answers every request with what it is told to, and counts."""

    def __init__(self, api: Api) -> None:
        self.api, self.asked = api, list[str]()

    def answers(self, answer: Answer) -> None:
        def counted(request: httpx2.Request) -> httpx2.Response:
            self.asked.append(f"{request.method} {request.url.path}")
            return answer(request)

        self.api._http._transport = httpx2.MockTransport(counted)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(KUBECONFIG), encoding="utf-8")
    async with Api(Target(file, "here"), patience=60) as api:
        yield Server(api)


def failing(code: int, message: str) -> Answer:
    return lambda _: httpx2.Response(code, json={"kind": "Status", "message": message})


def found(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json=obj("ConfigMap"))


async def test_a_webhook_that_is_away_is_told_at_the_first_try_and_is_no_outage(server: Server) -> None:
    server.answers(failing(500, WEBHOOK))
    before = server.api.outage
    with pytest.raises(WebhookFailed, match=r"guard\.example\.com"):
        await server.api.apply(obj("ConfigMap"), dry_run=True)
    assert len(server.asked) == 1
    assert server.api.outage == before


async def test_a_kind_that_can_not_be_served_ends_its_mirror_with_the_reason_and_no_other(server: Server) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("configmaps"):
            return httpx2.Response(500, json={"message": "conversion webhook for a.b/v1, Kind=C failed: refused"})
        return httpx2.Response(200, json={"items": [], "metadata": {"resourceVersion": "1"}})

    server.answers(answer)
    broken, fine = Mirror(server.api, "v1", "ConfigMap", None), Mirror(server.api, "v1", "Secret", None)
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(broken.synced.wait(), fine.synced.wait())
        assert isinstance(broken.failure, WebhookFailed)
        assert fine.failure is None
    finally:
        await asyncio.gather(broken.close(), fine.close())


async def test_a_server_that_is_stopping_is_waited_for(server: Server) -> None:
    first = iter([failing(503, "apiserver is shutting down"), failing(429, "too many requests")])
    server.answers(lambda request: next(first, found)(request))
    assert await server.api.get(ObjectName("v1", "ConfigMap", "here", "a")) == obj("ConfigMap")
    assert len(server.asked) == 3


@pytest.mark.parametrize(("ready", "kind"), [(True, RequestFailed), (False, Unreachable)])
async def test_a_write_without_an_answer_is_an_outage_only_if_the_server_is_not_ready(
    server: Server, ready: bool, kind: type[Exception]
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path != "/readyz":
            raise httpx2.ReadTimeout("", request=request)
        return httpx2.Response(200 if ready else 500, text="ok" if ready else "[-]etcd failed")

    server.answers(answer)
    before = server.api.outage
    with pytest.raises(kind) as caught:
        await server.api.create(obj("ConfigMap"))
    assert type(caught.value) is kind
    assert (server.api.outage == before) == ready
