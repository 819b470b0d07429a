"""Whatever state a dead writer left a release in, the next materialization goes on from there."""

import asyncio
import dataclasses
import os
import sys
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.errors import NotReady
from carbon_platform.inspect.plans import plans_of
from carbon_platform.materialization.progress import Event, listening
from carbon_platform.release.helm import decode_release, encode_release
from carbon_platform.release.lease import WRITER_VARIABLE, this_process
from carbon_platform.session import Session
from tests.cluster.platform import Platform


async def leave(platform: Platform, api: Api, status: str) -> None:
    """Mark the newest revision as a writer leaves it that dies in the middle."""
    secrets = await api.list("v1", "Secret", platform.namespace, labels="owner=helm,name=app")
    secret = max(secrets, key=lambda s: int(s["metadata"]["labels"]["version"]))
    content = decode_release(secret)
    content["info"]["status"] = secret["metadata"]["labels"]["status"] = status
    secret["data"]["release"] = encode_release(content)
    await api.replace(secret)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "failed"])
async def test_a_first_revision_that_was_left_is_gone_on_from(
    platform: Platform, session: Session, api: Api, status: str
) -> None:
    platform.define()
    await platform.up(session)
    await leave(platform, api, status)
    assert (await plans_of(platform.load(), ["app"], session))["app"].reason == f"revision 1 is {status}"
    await api.delete(platform.name("Deployment", "app"))  # it had not come so far
    platform.define(values={"message": "new"})
    outcome = await platform.up(session)
    assert (outcome.verified, outcome.revision) == (True, 2)
    live = await api.get(platform.name("ConfigMap", "app"))
    assert live is not None
    assert live["data"] == {"message": "new"}


async def test_an_upgrade_that_was_left_is_gone_on_from(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    platform.define(values={"message": "newer", "extra": False})
    await platform.up(session)
    await leave(platform, api, "pending-upgrade")
    outcome = await platform.up(session)
    assert (outcome.verified, outcome.revision) == (True, 3)
    assert (await platform.up(session)).applied is False


async def test_an_uninstallation_that_was_left_is_gone_on_from(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    await leave(platform, api, "uninstalling")
    await api.delete(platform.name("Service", "app"))
    assert (await platform.up(session)).verified
    assert await api.get(platform.name("Service", "app")) is not None


async def test_a_release_whose_history_somebody_deleted_is_taken_up_again(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    for secret in await api.list("v1", "Secret", platform.namespace, labels="owner=helm,name=app"):
        await api.delete(platform.name("Secret", secret["metadata"]["name"]))
    assert (await platform.up(session)).verified


async def test_what_a_dead_writer_left_running_is_waited_for(platform: Platform, session: Session, api: Api) -> None:
    """Its Helm process goes on without it: two at once on one release would break it."""
    platform.define()
    await platform.up(session)
    platform.define(values={"message": "new"})
    dead = dataclasses.replace(this_process(), pid=4_000_000, started="1")
    helm = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-S", "-c", "import sys; sys.stdin.read()", "upgrade", "app", "--namespace", platform.namespace),
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, WRITER_VARIABLE: str(dead)},
    )
    name = platform.name("Lease", "carbon-app")
    body = {"apiVersion": name.api_version, "kind": "Lease"}
    metadata = {"name": name.name, "namespace": name.namespace}
    spec = {"holderIdentity": str(dead), "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    await api.create({**body, "metadata": metadata, "spec": spec})
    recovering, applied = asyncio.Event(), asyncio.Event()

    def hear(event: Event) -> None:
        if event.step == "recover":
            recovering.set()
        if event.step == "apply":
            applied.set()

    with listening(hear):
        mine = asyncio.create_task(platform.up(session))
        async with asyncio.timeout(120):
            await recovering.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await applied.wait()
        helm.kill()
        await helm.wait()
        outcome = await mine
    assert (outcome.verified, applied.is_set()) == (True, True)


async def test_a_release_that_did_not_become_ready_is_told_early_and_mended_by_the_next_values(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(values={"replicas": 1})
    await platform.up(session)
    platform.define(values={"replicas": 1, "memory": "10Ti"}, deadline="5m")
    with pytest.raises(NotReady) as caught:
        async with asyncio.timeout(120):
            await platform.up(session)
    assert "insufficient memory" in caught.value.summary
    assert "2 of 2 nodes have too little memory left" in caught.value.cause
    assert "container main requests cpu 1m, memory 10Ti" in caught.value.evidence
    assert platform.states() == {"app": "failed"}
    live = await api.get(platform.name("Deployment", "app"))
    assert live is not None
    assert live["status"]["availableReplicas"] == 1, "what worked before works on"
    platform.define(values={"replicas": 1})
    assert (await platform.up(session)).verified


def hook(phase: str) -> dict[str, Any]:
    annotations = {"helm.sh/hook": phase, "helm.sh/hook-delete-policy": "before-hook-creation"}
    metadata = {"name": "hook", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"phase": phase}}


async def test_hooks_are_helms_own_business_and_no_difference(platform: Platform, session: Session, api: Api) -> None:
    platform.define(values={"objects": [hook("pre-upgrade,pre-install")]})
    await platform.up(session)
    assert await api.get(platform.name("ConfigMap", "hook")) is not None
    await api.delete(platform.name("ConfigMap", "hook"))
    assert (await platform.up(session)).applied is False
