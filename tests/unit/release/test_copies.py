"""Secrets that are copied from others: whether they follow, and who reads them."""

import base64
import copy
from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.copies import copies_read, copy_again, outdated_copies, readers
from carbon_platform.release.prepare import generated_keys, preparation
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.objects import obj, workload

COPY = ObjectName("v1", "Secret", "here", "copy")
ORIGINAL = ObjectName("v1", "Secret", "there", "login")
KEYS = {
    "password": {"value_from": {"secret": "login", "namespace": "there", "key": "password"}},
    "user": {"literal": "carbon"},
    "salt": {"generate": 8},
}


def encoded(**values: bytes) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def secret(name: ObjectName, **values: bytes) -> Object:
    return obj("Secret", name.name, namespace=name.namespace) | {"data": encoded(**values)}


class StubSecrets:
    """Stands in for the API server where Secrets are read and written."""

    def __init__(self, *secrets: Object) -> None:
        self.live = {ObjectName.of(one): copy.deepcopy(one) for one in secrets}

    async def get(self, name: ObjectName) -> Object | None:
        return {"metadata": {}} if name.kind == "Namespace" else copy.deepcopy(self.live.get(name))

    async def replace(self, obj: Object) -> Object:
        self.live[ObjectName.of(obj)] = obj
        return obj

    async def patch(self, name: ObjectName, patch: dict[str, Any]) -> None:
        for key, value in patch["metadata"]["annotations"].items():
            assert value is None
            self.live[name]["metadata"].get("annotations", {}).pop(key, None)


@pytest.fixture
def component(definitions: Definitions) -> Component:
    definitions.chart()
    definitions.release("app", secrets=[{"name": "copy", "keys": KEYS}])
    return definitions.load().components["app"]


async def test_a_copy_is_outdated_until_it_is_copied_again_and_its_readers_are_restarted(component: Component) -> None:
    api: Any = StubSecrets(
        secret(COPY, password=b"old", user=b"a person's", salt=b"kept"), secret(ORIGINAL, password=b"new \xff")
    )
    (found,) = await outdated_copies(component, api)
    assert str(found) == "Secret here/copy key password differs from its original Secret there/login"
    assert await copy_again(component, [found], api) == ["copied password of Secret here/copy again"]
    assert api.live[COPY]["data"] == encoded(password=b"new \xff", user=b"a person's", salt=b"kept")
    (unread,) = await outdated_copies(component, api)
    assert unread.unread
    await copies_read([unread], api)
    assert await outdated_copies(component, api) == []


@pytest.mark.parametrize(
    "there",
    [
        [],
        [secret(COPY, password=b"old")],
        [secret(COPY, user=b"x"), secret(ORIGINAL, password=b"new")],
        [secret(COPY, password=b"old"), secret(ORIGINAL, another=b"new")],
        [secret(COPY, password=b"same"), secret(ORIGINAL, password=b"same")],
    ],
)
async def test_without_a_value_on_both_sides_nothing_is_outdated(component: Component, there: list[Object]) -> None:
    api: Any = StubSecrets(*there)
    assert await outdated_copies(component, api) == []


async def test_what_is_missing_is_told_apart_from_what_is_outdated(component: Component) -> None:
    api: Any = StubSecrets(secret(COPY, password=b"old", user=b"carbon"), secret(ORIGINAL, password=b"new"))
    found = await preparation(component, api)
    assert (found.missing, found.generated) == ((COPY,), ("here/copy/salt",))
    assert [copied.key for copied in found.outdated] == ["password"]
    assert generated_keys(component) == ("here/copy/salt",)
    api.live[COPY] = secret(COPY, password=b"new", user=b"carbon", salt=b"kept")
    assert not await preparation(component, api)


READING = {
    "environment": {"containers": [{"name": "c", "env": [{"valueFrom": {"secretKeyRef": {"name": "copy"}}}]}]},
    "all of it": {
        "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "x"}}, {"secretRef": {"name": "copy"}}]}]
    },
    "an init container": {"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "copy"}}]}]},
    "a volume": {"volumes": [{"name": "v", "secret": {"secretName": "copy"}}]},
    "a projected volume": {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "copy"}}]}}]},
}
OTHERS = {
    "another Secret": {"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "other"}}]}]},
    "a ConfigMap of its name": {"volumes": [{"name": "v", "configMap": {"name": "copy"}}]},
    "nothing": {"containers": [{"name": "c", "env": [{"name": "A", "value": "copy"}]}], "volumes": None},
}


def reader(pod: dict[str, Any], kind: str = "Deployment", **rest: Any) -> Object:
    pod = {"containers": [{"name": "main", "image": "x"}]} | pod
    pod["containers"] = [{"image": "x"} | one for one in pod["containers"]]
    return workload(kind, spec={"template": {"spec": pod}}, **rest)


@pytest.mark.parametrize("pod", READING.values(), ids=READING)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_who_mounts_a_secret_or_has_it_in_its_environment_reads_it(pod: dict[str, Any], kind: str) -> None:
    found = reader(pod, kind)
    assert readers([found], [COPY]) == [found]
    assert readers([reader(pod, kind, namespace="elsewhere")], [COPY]) == []
    assert readers([found], []) == []


@pytest.mark.parametrize("pod", OTHERS.values(), ids=OTHERS)
def test_who_reads_something_else_is_not_restarted(pod: dict[str, Any]) -> None:
    assert readers([reader(pod)], [COPY]) == []


def test_a_job_is_not_restarted() -> None:
    assert readers([reader(READING["environment"], "Job")], [COPY]) == []
