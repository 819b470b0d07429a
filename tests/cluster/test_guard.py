"""Data is never the price of a deployment: what would touch it stops, with the word that a person must give."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk
from carbon_platform.materialization.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.platform import Platform


@pytest.fixture
async def volumes(api: Api, namespace: str) -> AsyncIterator[str]:
    """A StorageClass of three volumes that are there already."""
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": namespace},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    spec = {
        "storageClassName": namespace,
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Mi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/nowhere"},
    }
    made = [storage]
    made += [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{i}"}, "spec": spec}
        for i in range(3)
    ]
    for obj in made:
        await api.create(obj)
    yield namespace
    for obj in made:
        await api.delete(ObjectName.of(obj))


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
