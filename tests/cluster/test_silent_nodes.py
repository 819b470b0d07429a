"""Nodes that fall silent: Kubernetes calls their pods not ready, and nothing of that is a finding."""

import asyncio
import dataclasses

import pytest

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.health.cause import Kind
from carbon_platform.health.status import condition
from carbon_platform.materialization.functional_checks import functional_checks
from carbon_platform.session import Session
from tests.cluster.healing import Healing, healing
from tests.cluster.platform import Platform
from tests.cluster.waiting import until


async def pods(platform: Platform, api: Api) -> list[Object]:
    return await api.list("v1", "Pod", platform.namespace)


async def tell_of(pod: Object, api: Api) -> None:
    """The node says what it knows of a pod, as a kubelet does some seconds after it is back."""
    path = (await api.resource("v1", "Pod")).path(pod["metadata"]["namespace"], pod["metadata"]["name"])
    told = pod["status"] | {"conditions": [one | {"status": "True"} for one in pod["status"]["conditions"]]}
    await api.request("PUT", f"{path}/status", body=pod | {"status": told})


def nothing_is_done(loop: Healing) -> bool:
    return loop.step().requests == () and loop.book.incidents() == []


@pytest.mark.rare
async def test_silent_nodes_are_no_finding_while_they_are_silent_nor_until_they_have_told_of_their_pods(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    runs: list[str] = []

    class Cut(Check):
        """Its way leads through a Service that has no ready pod while the nodes are silent."""

        async def run(self, reach: Reach) -> Passed:
            runs.append("begun")
            if len(runs) == 1:
                raise CheckFailed("nobody answers", "no pod is ready", "see the pods")
            return Passed("it answers")

    async def marked() -> bool:
        return all(condition(pod, "Ready").get("status") == "False" for pod in await pods(platform, api))

    component = dataclasses.replace(platform.load().components["app"], checks={"cut": Cut(type="test.cut")})
    async with healing(platform, session) as loop:
        await loop.quiet()
        silence = platform.nodes_silent()
        await asyncio.to_thread(silence.__enter__)
        await loop.view(lambda view: "nodes are not ready" in view.unreachable)
        await until(marked, True)
        checking = asyncio.create_task(functional_checks(component, session, 0.0))
        await loop.nothing()
        assert nothing_is_done(loop)
        await asyncio.to_thread(silence.__exit__, None, None, None)
        seen = await loop.view(lambda view: bool(view.symptoms))
        (symptom,) = seen.symptoms["app"]
        assert symptom.cause is not None
        assert symptom.cause.kind is Kind.NODE
        assert nothing_is_done(loop)
        (result,) = await checking
        assert (result.passed, len(runs)) == (True, 2)
        for pod in await pods(platform, api):
            await tell_of(pod, api)
        await loop.quiet()
        assert nothing_is_done(loop)
