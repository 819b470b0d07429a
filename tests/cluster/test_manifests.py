"""Plain objects are planned, guarded, applied, healed and taken away like any release."""

import asyncio
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Verdict
from carbon_platform.errors import DataAtRisk
from carbon_platform.inspect.plans import plans_of
from carbon_platform.session import Session
from tests.cluster.platform import Platform

CLAIM: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "kept"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def define(platform: Platform, *objects: Object, **more: Any) -> None:
    platform.manifests("app", namespace=platform.namespace, objects=list(objects), **more)


async def test_objects_are_deployed_once_and_then_as_declared(platform: Platform, session: Session, api: Api) -> None:
    define(platform, config("one", yes="on", number="1e3"), config("two"))
    first = await platform.up(session)
    assert (first.revision, first.applied, first.verified) == (1, True, True)
    live = await api.get(platform.name("ConfigMap", "one"))
    assert live is not None
    assert live["data"] == {"yes": "on", "number": "1e3"}
    assert (await plans_of(platform.load(), ["app"], session))["app"].reason == ""
    again = await platform.up(session)
    assert (again.revision, again.applied) == (1, False)


async def test_an_edit_is_drift_and_is_put_back_without_a_new_revision(
    platform: Platform, session: Session, api: Api
) -> None:
    define(platform, config("one", a="1"))
    await platform.up(session)
    await api.patch(platform.name("ConfigMap", "one"), {"data": {"a": "2"}}, manager="a-person")
    (drift,) = await compare([platform.load().components["app"]], session)
    assert drift.verdict is Verdict.DRIFTED
    assert drift.objects[0].fields[0].by == "a-person"
    assert (await platform.up(session)).revision == 1
    live = await api.get(platform.name("ConfigMap", "one"))
    assert live is not None
    assert live["data"] == {"a": "1"}


async def test_what_is_taken_out_of_a_file_is_deleted(platform: Platform, session: Session, api: Api) -> None:
    folder = platform.file("app").parent
    folder.mkdir()
    both = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {n: '1'}\n"
    (folder / "objects.yaml").write_text("---\n".join(both % name for name in ("one", "two")), encoding="utf-8")
    define(platform, files=["objects.yaml"])
    await platform.up(session)
    (folder / "objects.yaml").write_text(both % "one", encoding="utf-8")
    assert (await platform.up(session)).revision == 2
    assert await api.get(platform.name("ConfigMap", "one")) is not None
    assert await api.get(platform.name("ConfigMap", "two")) is None


async def test_a_volume_that_is_taken_out_asks_for_a_word(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    define(platform, config("one"), CLAIM | {"spec": CLAIM["spec"] | {"storageClassName": volumes}})
    await platform.up(session)
    define(platform, config("one"))
    with pytest.raises(DataAtRisk):
        await platform.up(session)
    assert await api.get(platform.name("PersistentVolumeClaim", "kept")) is not None


async def test_a_kind_and_an_object_of_it_come_in_one_go(platform: Platform, session: Session, api: Api) -> None:
    group = f"{platform.namespace}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"probes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Probe", "plural": "probes", "singular": "probe"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    probe = {"apiVersion": f"{group}/v1", "kind": "Probe", "metadata": {"name": "a"}, "spec": {"n": 9007199254740993}}
    define(platform, crd, probe)
    assert (await platform.up(session)).verified
    live = await api.list(f"{group}/v1", "Probe", platform.namespace)
    assert [one["spec"] for one in live] == [{"n": 9007199254740993}]
    assert (await plans_of(platform.load(), ["app"], session))["app"].reason == ""
    refused = await asyncio.to_thread(platform.run, "down", "app", "--yes", code=1)
    assert f"CustomResourceDefinition probes.{group}" in refused.stderr
    await asyncio.to_thread(platform.run, "down", "app", "--yes", "--delete-data", "app")
    name = ObjectName("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", f"probes.{group}")
    assert await api.get(name) is None
