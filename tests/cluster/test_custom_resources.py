"""What an operator makes of a custom resource counts as a part of the release, though no chart labels it."""

import asyncio
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import NotReady
from carbon_platform.inspect.plans import plans_of
from carbon_platform.materialization.verify import verify
from carbon_platform.session import Session
from tests.cluster.platform import Platform
from tests.cluster.waiting import until

TOLERATED = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]


def kind(platform: Platform) -> Object:
    group = f"{platform.namespace}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"kind": "Thing", "plural": "things", "singular": "thing"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def thing(platform: Platform, **spec: Any) -> Object:
    return {
        "apiVersion": f"{platform.namespace}.example.org/v1",
        "kind": "Thing",
        "metadata": {"name": "top"},
        "spec": spec,
    }


def shards(platform: Platform, owner: Object, **spec: Any) -> Object:
    keys = ("name", "uid")
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {key: owner["metadata"][key] for key in keys}
    pod = {"tolerations": TOLERATED, "containers": [{"name": "main", "image": "example.invalid/a:1"}]} | spec
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "shard", "namespace": platform.namespace, "ownerReferences": [reference]},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shard"}},
            "template": {"metadata": {"labels": {"app": "shard"}}, "spec": pod},
        },
    }


async def operate(platform: Platform, api: Api, **spec: Any) -> None:
    """What an operator would do, once; `spec` is of its pods."""
    name = ObjectName(f"{platform.namespace}.example.org/v1", "Thing", platform.namespace, "top")

    async def there() -> bool:
        return await api.find(name) is not None

    await until(there, True)
    live = await api.get(name)
    assert live is not None
    await api.create(shards(platform, live, **spec))


async def test_workloads_of_an_operator_are_waited_for_counted_and_watched(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.manifests("app", namespace=platform.namespace, objects=[kind(platform), thing(platform)])
    working = asyncio.create_task(operate(platform, api))
    outcome = await platform.up(session)
    await working
    assert outcome.verified
    assert outcome.checks[0].evidence["pods"] == 2
    (seen,) = (await asyncio.to_thread(platform.json, "status", "app"))["components"]
    assert (seen["pods"]["running"], seen["pods"]["total"]) == (2, 2)
    assert (await plans_of(platform.load(), ["app"], session))["app"].reason == ""
    await api.patch(
        platform.name("StatefulSet", "shard"), {"spec": {"template": {"spec": {"nodeSelector": {"disk": "golden"}}}}}
    )
    ready, *_ = await verify(platform.load().components["app"], session)
    assert "Thing top: StatefulSet shard:" in ready.detail


async def test_why_what_an_operator_made_does_not_work_is_told(platform: Platform, session: Session, api: Api) -> None:
    platform.manifests("app", namespace=platform.namespace, objects=[kind(platform), thing(platform)], deadline="20s")
    working = asyncio.create_task(operate(platform, api, nodeSelector={"disk": "golden"}))
    with pytest.raises(NotReady) as caught:
        await platform.up(session)
    await working
    assert f"Pod {platform.namespace}/shard-0 can't become ready" in caught.value.summary
    assert "its node selector" in caught.value.told


async def test_a_rule_of_the_definition_is_waited_for(platform: Platform, session: Session, api: Api) -> None:
    rule = {"fields": {"status.state": "ready"}}
    objects = [kind(platform), thing(platform)]
    platform.manifests("app", namespace=platform.namespace, objects=objects, ready={"Thing": rule}, deadline="3s")
    with pytest.raises(NotReady, match=r"status\.state: not told yet"):
        await platform.up(session)
    name = ObjectName(f"{platform.namespace}.example.org/v1", "Thing", platform.namespace, "top")
    resource = await api.resource(name.api_version, name.kind)
    live = await api.get(name)
    assert live is not None
    path = f"{resource.path(name.namespace, name.name)}/status"
    await api.request("PUT", path, body=live | {"status": {"state": "ready"}})
    outcome = await platform.up(session)
    assert (outcome.applied, outcome.verified) == (False, True)


async def test_fields_that_are_left_to_others_are_theirs(platform: Platform, session: Session, api: Api) -> None:
    objects = [kind(platform), thing(platform, groups=[{"name": "a", "replicas": 1}], size=1)]
    leave = {"Thing": ["spec.groups*.replicas"]}
    platform.manifests("app", namespace=platform.namespace, objects=objects, leave=leave)
    await platform.up(session)
    name = ObjectName(f"{platform.namespace}.example.org/v1", "Thing", platform.namespace, "top")
    await api.patch(name, {"spec": {"groups": [{"name": "a", "replicas": 5}]}}, manager="operator")
    assert (await plans_of(platform.load(), ["app"], session))["app"].reason == ""
    await api.patch(name, {"spec": {"size": 2}}, manager="a-person")
    found = (await plans_of(platform.load(), ["app"], session))["app"]
    assert found.plan is not None
    assert [str(field) for change in found.plan.changes for field in change.fields] == ["spec.size: 2 → 1"]
