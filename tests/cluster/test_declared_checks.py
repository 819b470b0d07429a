"""Checks that are declared in a defs.yaml, on a real API server."""

import asyncio
import time
from typing import Any

import pytest

from carbon_platform.checks.kubernetes import KubernetesDenied, KubernetesObject, KubernetesProbe
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.component_reach import ComponentReach
from carbon_platform.errors import CheckFailed
from carbon_platform.session import Session
from tests.cluster.platform import Platform

OLD = f"carbon-probe-{int(time.time()) - 4000}-0badcafe"
YOUNG = f"carbon-probe-{int(time.time())}-0badcafe"


@pytest.fixture
async def reach(api: Api, session: Session, namespace: str) -> ComponentReach:
    """That of a component in a namespace that is there."""
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return ComponentReach(api, session.tunnels, namespace, "probe", [])


def map_of(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def names(reach: ComponentReach) -> set[str]:
    return {one["metadata"]["name"] for one in await reach.list("v1", "ConfigMap")} - {"kube-root-ca.crt"}


def looking(**step: Any) -> KubernetesObject:
    check = KubernetesObject.model_validate(
        {"type": "kubernetes.object", "steps": [{"api_version": "v1", "kind": "ConfigMap"} | step]}
    )
    assert list(check.mistakes([])) == []
    return check


async def test_objects_say_what_is_expected_or_the_check_fails_with_what_they_say(reach: ComponentReach) -> None:
    await reach.create(map_of("settings", mode="on"))
    await looking(object="settings", expect=['answer.object.data.mode == "on"']).run(reach)
    await looking(expect=['answer.objects.exists(one, one.metadata.name == "settings")']).run(reach)
    with pytest.raises(CheckFailed) as failed:
        await looking(object="others", expect=["answer.object != null"]).run(reach)
    assert (failed.value.summary, failed.value.cause) == (
        "ConfigMap others: not so: answer.object != null",
        "it is not there",
    )


async def test_a_kind_that_nobody_serves_fails_and_names_it(reach: ComponentReach) -> None:
    with pytest.raises(Exception, match="Widget"):
        await looking(api_version="example.com/v1", kind="Widget", object="one").run(reach)


def probing(**more: Any) -> KubernetesProbe:
    """Who puts `seen` into the map is the one in charge."""
    written = {
        "type": "kubernetes.probe",
        "object": map_of("${probe}", by="${probe}"),
        "until": {"that": 'answer.object.data.seen == "yes"', "cause": "nobody acts", "fix": "see who should"},
        "every": 0.05,
        "capture": {"by": "answer.object.data.by"},
        "detail": "acted on ${by}",
    }
    check = KubernetesProbe.model_validate(written | more)
    assert list(check.mistakes([])) == []
    return check


async def act(api: Api, reach: ComponentReach) -> None:
    """The one in charge."""
    while True:
        for one in await reach.list("v1", "ConfigMap"):
            if one["metadata"]["name"].startswith("carbon-probe-") and "seen" not in one["data"]:
                await api.replace({**one, "data": one["data"] | {"seen": "yes"}})
                return
        await asyncio.sleep(0.02)


async def test_a_probe_is_acted_on_and_removed_with_what_killed_ones_left(api: Api, reach: ComponentReach) -> None:
    for name in (OLD, YOUNG, "of-somebody"):
        await reach.create(map_of(name, seen="yes"))
    acting = asyncio.create_task(act(api, reach))
    passed = await probing().run(reach)
    await acting
    assert passed.detail.startswith("acted on carbon-probe-")
    assert passed.evidence["took_ms"]
    assert await names(reach) == {YOUNG, "of-somebody"}


async def test_nobody_acts_and_the_probe_is_gone_all_the_same(reach: ComponentReach) -> None:
    with pytest.raises(CheckFailed) as failed:
        await probing(within=0.2).run(reach)
    assert failed.value.summary == "nobody acts"
    assert await names(reach) == set()


POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
            ]
        },
        "validations": [{"expression": "!has(object.data.password)", "message": "no passwords in ConfigMaps"}],
    },
}


async def test_what_a_policy_forbids_is_denied_and_what_it_does_not_fails(
    api: Api, reach: ComponentReach, namespace: str
) -> None:
    def denied(says: str = "no passwords", **data: str) -> KubernetesDenied:
        written = {
            "type": "kubernetes.denied",
            "object": map_of("probe", **data),
            "says": says,
            "fix": "see the policy",
        }
        check = KubernetesDenied.model_validate(written)
        assert list(check.mistakes([])) == []
        return check

    with pytest.raises(CheckFailed, match="would take this ConfigMap"):
        await denied(password="x").run(reach)
    at = {"metadata": {"name": namespace}}
    binding = {
        "apiVersion": POLICY["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }
    await api.create(POLICY | at)
    await api.create(binding | at)
    try:
        while True:  # the API server reads policies a moment later
            try:
                await denied(password="x").run(reach)
            except CheckFailed:
                await asyncio.sleep(0.05)
            else:
                break
        with pytest.raises(CheckFailed) as failed:
            await denied(mode="on").run(reach)
        assert (failed.value.summary, failed.value.fix) == (
            "the API server would take this ConfigMap",
            "see the policy",
        )
        with pytest.raises(CheckFailed, match=r"refused for another reason: .*no passwords in ConfigMaps"):
            await denied(says="quota", password="x").run(reach)
        assert await names(reach) == set()
    finally:
        await api.request("DELETE", f"/apis/{POLICY['apiVersion']}/validatingadmissionpolicybindings/{namespace}")
        await api.request("DELETE", f"/apis/{POLICY['apiVersion']}/validatingadmissionpolicies/{namespace}")


async def test_a_probe_that_is_not_named_so_is_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        probing(object=map_of("mine"))


def test_expressions_are_told_where_they_are_written(platform: Platform) -> None:
    check = KubernetesProbe.model_validate(
        {
            "type": "kubernetes.probe",
            "object": map_of("${probe}", by="${who}"),
            "until": "answer.objekt ==",
            "capture": {"x": "y"},
        }
    )
    assert [at for at, _ in check.mistakes([])] == [("object",), ("until",), ("capture", "x")]
