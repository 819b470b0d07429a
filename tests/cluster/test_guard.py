"""Data is never the price of a deployment: what would touch it stops, with the word that a person must give."""

import asyncio
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import DataAtRisk
from carbon_platform.release.wait import wait_ready
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.platform import Platform


@pytest.fixture
async def database(platform: Platform, session: Session, volumes: str) -> dict[str, Any]:
    """A stateful component of two pods, each with a volume; the values it was deployed with."""
    values = {"volume": volumes, "replicas": 2, "podManagement": "Parallel"}
    platform.define(stateful=True, values=values)
    assert (await platform.up(session)).verified
    return values


async def claims(api: Api, namespace: str) -> dict[str, str]:
    """The volume of each claim."""
    found = await api.list("v1", "PersistentVolumeClaim", namespace)
    return {claim["metadata"]["name"]: claim["spec"]["volumeName"] for claim in found}


async def stopped(platform: Platform, session: Session) -> DataAtRisk:
    with pytest.raises(DataAtRisk) as caught:
        await platform.up(session)
    assert "nothing was changed" in caught.value.summary
    return caught.value


async def unchanged(everything: Everything, before: dict[str, str]) -> bool:
    return await everything() == before


async def test_an_immutable_field_needs_a_word_and_keeps_the_volumes(
    platform: Platform, session: Session, api: Api, everything: Everything, database: dict[str, Any]
) -> None:
    before, kept = await everything(), await claims(api, platform.namespace)
    platform.define(stateful=True, values=database | {"serviceName": "another"})
    error = await stopped(platform, session)
    word = f"recreate:StatefulSet/{platform.namespace}/app"
    assert error.fix == f"if that is meant: carbon up app --confirm {word}"
    assert await unchanged(everything, before)
    outcome = await platform.up(session, confirm=(word,))
    assert (outcome.verified, outcome.revision) == (True, 2)
    live = await api.get(platform.name("StatefulSet", "app"))
    assert live is not None
    assert live["spec"]["serviceName"] == "another"
    assert await claims(api, platform.namespace) == kept
    assert len(kept) == 2
    assert (await platform.up(session)).applied is False


async def test_fewer_replicas_need_a_word_and_keep_the_volumes(
    platform: Platform, session: Session, api: Api, everything: Everything, database: dict[str, Any]
) -> None:
    before, kept = await everything(), await claims(api, platform.namespace)
    platform.define(stateful=True, values=database | {"replicas": 1})
    word = f"scale-down:StatefulSet/{platform.namespace}/app"
    assert word in (await stopped(platform, session)).fix
    assert await unchanged(everything, before)
    assert (await platform.up(session, confirm=(word,))).verified
    assert await claims(api, platform.namespace) == kept


async def test_more_replicas_need_none(platform: Platform, session: Session, database: dict[str, Any]) -> None:
    platform.define(stateful=True, values=database | {"replicas": 3})
    assert (await platform.up(session)).verified


def claim(platform: Platform, volumes: str) -> Object:
    spec = {
        "storageClassName": volumes,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}


async def test_a_claim_that_the_chart_drops_needs_a_word(
    platform: Platform, session: Session, api: Api, everything: Everything, volumes: str
) -> None:
    platform.define(values={"objects": [claim(platform, volumes)]})
    await platform.up(session)
    before = await everything()
    platform.define()
    word = f"delete:PersistentVolumeClaim/{platform.namespace}/data"
    assert word in (await stopped(platform, session)).fix
    assert await unchanged(everything, before)
    assert (await platform.up(session, confirm=(word,))).verified
    live = await api.get(platform.name("PersistentVolumeClaim", "data"))
    assert live is None or "deletionTimestamp" in live["metadata"]


async def test_a_redeployment_under_a_volume_that_is_being_deleted_needs_a_word(
    platform: Platform, session: Session, api: Api, everything: Everything, database: dict[str, Any]
) -> None:
    """It goes when its pod ends."""
    await api.delete(platform.name("PersistentVolumeClaim", "data-app-1"))
    before = await everything()
    with pytest.raises(DataAtRisk, match="nothing was changed") as caught:
        await platform.up(session, redeploy=True)
    word = f"empty:PersistentVolumeClaim/{platform.namespace}/data-app-1"
    assert caught.value.fix == f"if that is meant: carbon up app --redeploy --confirm {word}"
    assert await unchanged(everything, before)
    assert (await platform.up(session, redeploy=True, confirm=(word,))).verified


async def test_a_broken_pod_that_a_rollout_waits_for_is_left_when_its_volume_would_go_with_it(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    platform.define(stateful=True, values={"volume": volumes, "replicas": 1})
    assert (await platform.up(session)).verified
    name = platform.name("Pod", "app-0")
    await api.delete(platform.name("PersistentVolumeClaim", "data-app-0"))
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "login" not found'}}
    broken = {"name": "main", "image": "example.invalid/app:1", "imageID": "", "ready": False, "restartCount": 9}
    conditions = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady")]
    status = {"conditions": conditions, "containerStatuses": [broken | {"state": waiting}]}
    path = f"/api/v1/namespaces/{name.namespace}/pods/{name.name}/status"
    await api.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
    # A rollout that somebody began by hand: Carbon's own is stopped by the guard.
    template = {"spec": {"template": {"metadata": {"annotations": {"edited": "yes"}}}}}
    await api.patch(platform.name("StatefulSet", "app"), template, manager="kubectl-edit")
    with pytest.raises(DataAtRisk, match="so it was left") as caught:
        await wait_ready([platform.name("StatefulSet", "app")], api, session.mirrors, 60, print)
    assert "data-app-0" in caught.value.cause
    assert await api.get(name) is not None


async def test_the_command_line_takes_the_word(platform: Platform, session: Session, database: dict[str, Any]) -> None:
    platform.define(stateful=True, values=database | {"replicas": 1})
    fix = (await stopped(platform, session)).fix
    command = fix.removeprefix("if that is meant: carbon ").split()
    assert platform.json(*command)["components"][0]["state"] == "verified"


async def test_uninstalling_keeps_the_volumes_and_the_secrets(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    secret = {"name": "login", "keys": {"password": {"generate": 16}}}
    platform.define(stateful=True, secrets=[secret], values={"volume": volumes, "replicas": 1})
    await platform.up(session)
    kept = await claims(api, platform.namespace)
    platform.run("down", "--yes")
    assert await api.get(platform.name("StatefulSet", "app")) is None
    assert await claims(api, platform.namespace) == kept
    assert await api.get(platform.name("Secret", "login")) is not None
    await platform.up(session)
    assert await claims(api, platform.namespace) == kept


async def test_nothing_is_uninstalled_while_a_volume_would_go_with_its_pod(
    platform: Platform, session: Session, api: Api, database: dict[str, Any]
) -> None:
    platform.define("client", needs=["app"])
    await platform.up(session, "client")
    await api.delete(platform.name("PersistentVolumeClaim", "data-app-0"))
    told = (await asyncio.to_thread(platform.run, "down", "--yes", code=1)).stderr
    assert "nothing was uninstalled" in told
    assert f"PersistentVolumeClaim {platform.namespace}/data-app-0 is being deleted" in told
    assert "carbon down app --delete-data app" in told
    for kind, name in (("StatefulSet", "app"), ("Deployment", "client"), ("PersistentVolumeClaim", "data-app-0")):
        assert await api.get(platform.name(kind, name)) is not None
    await asyncio.to_thread(platform.run, "down", "app", "--yes", "--delete-data", "app")
    assert await api.get(platform.name("StatefulSet", "app")) is None
