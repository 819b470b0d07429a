"""A plan tells every field that would change; applying it makes live what is desired, and nothing else."""

import base64
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.platform import Platform

PASSWORD = "hunter2-in-a-chart"  # a chart may render a Secret: its values must not be shown


def secret(value: str) -> dict[str, Any]:
    data = {"password": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rendered"}, "data": data}


async def seen(platform: Platform, session: Session) -> Planned:
    return (await plans_of(platform.load(), ["app"], session))["app"]


def changes(found: Planned) -> list[str]:
    assert found.plan is not None
    return [f"{change.action} {change.object.kind}/{change.object.name}" for change in found.plan.changes]


def fields(found: Planned) -> list[str]:
    assert found.plan is not None
    return [str(field) for change in found.plan.changes for field in change.fields]


async def test_what_is_not_installed_is_planned_as_a_whole_and_nothing_is_changed(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define()
    found = await seen(platform, session)
    assert found.reason == "not installed"
    assert changes(found) == ["create ConfigMap/app", "create Service/app", "create Deployment/app"]
    assert await everything() == {}


async def test_a_changed_value_is_planned_field_by_field(platform: Platform, session: Session) -> None:
    platform.define(values={"message": "old"})
    await platform.up(session)
    platform.define(values={"message": "new", "replicas": 3})
    found = await seen(platform, session)
    assert changes(found) == ["update ConfigMap/app", "update Deployment/app"]
    assert fields(found) == [
        "data.message: old → new",
        "spec.replicas: 2 → 3",
        "spec.template.spec.containers[main].env[MESSAGE].value: old → new",
    ]
    outcome = await platform.up(session)
    assert (outcome.revision, outcome.applied, outcome.verified) == (2, True, True)
    assert (await seen(platform, session)).reason == ""


async def test_what_the_server_fills_in_is_no_difference(platform: Platform, session: Session) -> None:
    platform.define()
    await platform.up(session)
    found = await seen(platform, session)
    assert found.plan is not None
    assert found.plan.empty
    assert found.reason == ""


async def test_an_object_edited_by_hand_is_corrected(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    await api.patch(platform.name("ConfigMap", "app"), {"data": {"message": "edited"}}, manager="a-person")
    await api.patch(platform.name("Deployment", "app"), {"spec": {"replicas": 1}}, manager="a-person")
    assert fields(await seen(platform, session)) == ["data.message: edited → hello", "spec.replicas: 1 → 2"]
    assert (await platform.up(session)).verified
    live = await api.get(platform.name("ConfigMap", "app"))
    assert live is not None
    assert live["data"] == {"message": "hello"}
    assert changes(await seen(platform, session)) == []


async def test_a_deleted_object_is_made_again(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    for kind in ("Service", "Deployment"):
        await api.delete(platform.name(kind, "app"))
    assert changes(await seen(platform, session)) == ["create Service/app", "create Deployment/app"]
    assert (await platform.up(session)).verified
    assert changes(await seen(platform, session)) == []


async def test_what_the_chart_no_longer_makes_is_deleted(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    platform.define(values={"extra": False})
    assert changes(await seen(platform, session)) == ["delete Service/app"]
    assert (await platform.up(session)).verified
    assert await api.get(platform.name("Service", "app")) is None
    assert changes(await seen(platform, session)) == []


async def test_what_the_chart_wants_kept_is_kept(platform: Platform, session: Session, api: Api) -> None:
    kept = secret("x") | {"metadata": {"name": "kept", "annotations": {"helm.sh/resource-policy": "keep"}}}
    platform.define(values={"objects": [kept]})
    await platform.up(session)
    platform.define()
    assert changes(await seen(platform, session)) == []
    await platform.up(session)
    assert await api.get(platform.name("Secret", "kept")) is not None


async def test_foreign_objects_are_left_alone(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    await api.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": platform.namespace}}
    )
    platform.define(values={"message": "new"})
    await platform.up(session)
    assert await api.get(platform.name("ConfigMap", "theirs")) is not None


async def test_values_of_secrets_are_in_no_plan(platform: Platform, session: Session) -> None:
    platform.define(values={"objects": [secret("old-secret-value")]})
    await platform.up(session)
    platform.define(values={"objects": [secret(PASSWORD)]})
    told = platform.run("plan").stdout + platform.run("plan", "--json").stdout
    assert "data.password: (hidden) → (hidden)" in told
    encoded = [base64.b64encode(value.encode()).decode() for value in (PASSWORD, "old-secret-value")]
    assert not [value for value in (PASSWORD, "old-secret-value", *encoded) if value in told]
    outcome = await platform.up(session)
    assert not [value for value in (PASSWORD, "old-secret-value", *encoded) if value in repr(outcome)]


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.carbon.test"},
    "spec": {
        "group": "carbon.test",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
THING = {"apiVersion": "carbon.test/v1", "kind": "Thing", "metadata": {"name": "one"}, "size": 1}


async def test_a_chart_may_bring_a_kind_of_its_own_and_use_it(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    """The definition is one of the chart's templates, as many charts have it."""
    platform.define("kinds", values={"objects": [DEFINITION]})
    platform.define("app", values={"objects": [THING]}, needs=["kinds"])
    try:
        found = (await plans_of(platform.load(), ["app"], session))["app"]
        assert "deferred Thing/one" in changes(found)
        for key in ("kinds", "app"):
            assert (await platform.up(session, key)).verified
        looks = await plans_of(platform.load(), ["kinds", "app"], session)
        assert {key: (one.reason, changes(one)) for key, one in looks.items()} == {"kinds": ("", []), "app": ("", [])}
        before = await everything()
        assert (await platform.up(session, "kinds")).revision == 1
        assert await everything() == before
    finally:
        await api.delete(ObjectName.of(DEFINITION))


async def test_a_chart_may_bring_its_kind_beside_its_templates(platform: Platform, session: Session, api: Api) -> None:
    """The definition is in crds/, which Helm installs once and never upgrades; its objects have no namespace."""
    definition = ObjectName("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "gadgets.carbon.test")
    platform.define(chart={"path": "charts/operator"})
    try:
        assert (await platform.up(session)).verified
        assert (await seen(platform, session)).reason == ""
        assert await api.get(ObjectName("carbon.test/v1", "Gadget", "", platform.namespace)) is not None
        live = await api.get(definition)
        assert live is not None
        await api.patch(definition, {"spec": {"names": {"shortNames": ["gg"]}}}, manager="a-person")
        await api.patch(definition, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}}, manager="a-person")
        assert changes(await seen(platform, session)) == ["update CustomResourceDefinition/gadgets.carbon.test"]
        assert (await platform.up(session)).verified
        assert changes(await seen(platform, session)) == []
    finally:
        await api.delete(definition)


async def test_a_person_can_redeploy_what_is_already_right(platform: Platform, api: Api) -> None:
    platform.define("base")
    platform.define("app", needs=["base"])
    platform.run("up")

    async def pods() -> set[str]:
        return {pod["metadata"]["name"] for pod in await api.list("v1", "Pod", platform.namespace)}

    async def restarted(name: str) -> bool:
        live = await api.get(platform.name("Deployment", name))
        assert live is not None
        annotations = live["spec"]["template"]["metadata"].get("annotations") or {}
        return "kubectl.kubernetes.io/restartedAt" in annotations

    before = await pods()
    told = platform.json("up", "app", "--redeploy")
    assert {c["key"]: (c["state"], c["revision"]) for c in told["components"]} == {
        "base": ("verified", 1),
        "app": ("verified", 2),
    }
    after = await pods()
    assert {name for name in before & after if name.startswith("app")} == set()
    assert {name for name in before if name.startswith("base")} <= after
    assert (await restarted("app"), await restarted("base")) == (True, False)
    assert platform.json("up")["run_id"] is None
