"""What somebody added to an object of a release is planned, taken out by `up`, and then nothing is left to do."""

from collections.abc import Callable
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.inspect.plans import plans_of
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.edits import edit, scale
from tests.cluster.platform import Platform

RENDERED = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "rendered"},
    "data": {"password": "aHVudGVyMg=="},
}


async def planned(platform: Platform, session: Session) -> list[str]:
    found = (await plans_of(platform.load(), ["app"], session))["app"]
    assert found.plan is not None, found.error
    return [f"{change.object.kind} {field}" for change in found.plan.changes for field in change.fields]


def pod(obj: Object) -> dict[str, Any]:
    found: dict[str, Any] = obj["spec"]["template"]["spec"]
    return found


def wanted(obj: Object | None) -> Object:
    """Without what the server writes by itself."""
    assert obj is not None
    kept = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    return kept | {part: obj["metadata"].get(part) or {} for part in ("labels", "annotations")}


ADDED: dict[str, tuple[str, Callable[[Object], object], list[str]]] = {
    "a label": (
        "ConfigMap",
        lambda o: o["metadata"]["labels"].update(team="a"),
        ["ConfigMap metadata.labels.team: a → (absent)"],
    ),
    "an annotation": (
        "Service",
        lambda o: o["metadata"]["annotations"].update(note="x"),
        ["Service metadata.annotations.note: x → (absent)"],
    ),
    "a key": ("ConfigMap", lambda o: o["data"].update(b="2"), ["ConfigMap data.b: 2 → (absent)"]),
    "a selector": (
        "Service",
        lambda o: o["spec"]["selector"].update(extra="y"),
        ["Service spec.selector.extra: y → (absent)"],
    ),
    "a variable": (
        "Deployment",
        lambda o: pod(o)["containers"][0]["env"].append({"name": "B", "value": "2"}),
        ["Deployment spec.template.spec.containers[main].env[B]: {'name': 'B', 'value': '2'} → (absent)"],
    ),
    "a node selector": (
        "Deployment",
        lambda o: pod(o).update(nodeSelector={"disk": "ssd"}),
        ["Deployment spec.template.spec.nodeSelector: {'disk': 'ssd'} → (absent)"],
    ),
    "a strategy in place of the server's": (
        "Deployment",
        lambda o: o["spec"].update(strategy={"type": "Recreate"}),
        [
            "Deployment spec.strategy.rollingUpdate: (absent) → {'maxUnavailable': '25%', 'maxSurge': '25%'}",
            "Deployment spec.strategy.type: Recreate → RollingUpdate",
        ],
    ),
}


@pytest.mark.parametrize("what", ADDED)
async def test_what_somebody_added_is_planned_and_taken_out(
    what: str, platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    kind, change, told = ADDED[what]
    name = platform.name(kind, "app")
    platform.define()
    await platform.up(session)
    before = wanted(await api.get(name))
    await edit(api, name, change)
    assert wanted(await api.get(name)) != before
    assert await planned(platform, session) == told
    assert (await platform.up(session)).verified
    after = wanted(await api.get(name))
    after["annotations"].pop("deployment.kubernetes.io/revision", None)
    before["annotations"].pop("deployment.kubernetes.io/revision", None)
    assert after == before
    assert await planned(platform, session) == []
    seen = await everything()
    assert not (await platform.up(session)).applied
    assert await everything() == seen


async def test_a_container_that_somebody_added_is_taken_out(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    name = platform.name("Deployment", "app")
    await edit(api, name, lambda o: pod(o)["containers"].append({"name": "spy", "image": "example.invalid/spy:1"}))
    (told,) = await planned(platform, session)
    assert told.startswith("Deployment spec.template.spec.containers[spy]: {")
    assert (await platform.up(session)).verified
    live = await api.get(name)
    assert live is not None
    assert [container["name"] for container in pod(live)["containers"]] == ["main"]
    assert await planned(platform, session) == []


async def test_a_port_that_somebody_added_is_taken_out(platform: Platform, session: Session, api: Api) -> None:
    """The API server asks for names as soon as there are two, so the first was edited as well."""
    platform.define()
    await platform.up(session)
    name = platform.name("Service", "app")
    more = {"name": "more", "port": 81, "protocol": "TCP"}
    await edit(api, name, lambda o: o["spec"].update(ports=[{**o["spec"]["ports"][0], "name": "web"}, more]))
    (told,) = await planned(platform, session)
    assert told.startswith("Service spec.ports: [{")
    assert (await platform.up(session)).verified
    live = await api.get(name)
    assert live is not None
    assert live["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert await planned(platform, session) == []


async def test_edits_and_additions_are_put_right_together(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    name = platform.name("ConfigMap", "app")
    await edit(api, name, lambda o: o.update(data={"message": "edited", "more": "1"}))
    assert await planned(platform, session) == [
        "ConfigMap data.message: edited → hello",
        "ConfigMap data.more: 1 → (absent)",
    ]
    await platform.up(session)
    live = await api.get(name)
    assert live is not None
    assert live["data"] == {"message": "hello"}


async def test_what_the_release_and_somebody_else_set_alike_stays(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    name = platform.name("ConfigMap", "app")
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": name.namespace}}
    await api.apply({**obj, "data": {"message": "hello"}}, manager="a-person", force=False)
    assert await planned(platform, session) == []


async def test_what_tools_note_down_and_what_autoscalers_choose_is_no_difference(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    name = platform.name("Deployment", "app")
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    body = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    await api.patch(name, body, manager="kubectl-rollout")
    await scale(api, name, 3, by="kube-controller-manager")
    assert await planned(platform, session) == []
    await scale(api, name, 4, by="kubectl")
    assert await planned(platform, session) == ["Deployment spec.replicas: 4 → 2"]


async def test_an_object_made_anew_by_hand_has_no_additions_in_what_the_server_filled_in(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    for kind in ("Service", "Deployment"):
        live = await api.get(platform.name(kind, "app"))
        assert live is not None
        await api.delete(platform.name(kind, "app"))
        metadata = {key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
        path = (await api.resource(live["apiVersion"], kind)).path(platform.namespace)
        body = {**live, "metadata": metadata}
        await api.request("POST", path, params={"fieldManager": "kubectl-create"}, body=body)
    await platform.up(session)
    assert await planned(platform, session) == []


async def test_what_the_server_does_not_let_go_of_stays_and_hides_nothing_else(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    name = platform.name("ConfigMap", "app")
    await edit(api, name, lambda o: o.update(immutable=True))
    await edit(api, name, lambda o: o["metadata"]["labels"].update(team="a"))
    assert await planned(platform, session) == ["ConfigMap metadata.labels.team: a → (absent)"]
    await platform.up(session)
    live = await api.get(name)
    assert live is not None
    assert live["immutable"]
    assert await planned(platform, session) == []


async def test_a_key_that_a_program_keeps_in_a_secret_stays(platform: Platform, session: Session, api: Api) -> None:
    platform.define(values={"objects": [RENDERED]})
    await platform.up(session)
    name = platform.name("Secret", "rendered")
    await edit(api, name, lambda o: o["data"].update(key="bWFkZQ=="), by="some-server")
    assert await planned(platform, session) == []


async def test_a_manager_named_in_the_definition_may_write(platform: Platform, session: Session, api: Api) -> None:
    platform.define(drift={"managers": ["backup-tool"]})
    await platform.up(session)
    name = platform.name("ConfigMap", "app")
    await edit(api, name, lambda o: o["metadata"]["labels"].update(backup="daily"), by="backup-tool")
    await edit(api, name, lambda o: o["data"].update(message="mine"), by="backup-tool")
    assert await planned(platform, session) == []
    await edit(api, name, lambda o: o["metadata"]["labels"].update(backup="never"), by="kubectl-edit")
    assert await planned(platform, session) == ["ConfigMap metadata.labels.backup: never → (absent)"]
