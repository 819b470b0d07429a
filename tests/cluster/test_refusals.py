"""What the API server can't or won't do with one object is that object's error: told at once, nothing is made anew."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.errors import WebhookFailed
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Verdict
from carbon_platform.errors import Blocked
from carbon_platform.inspect.plans import plans_of
from carbon_platform.release.plan import Action
from carbon_platform.session import Session
from tests.cluster.platform import Platform

WEBHOOK = "prices.guard.example.com"


@pytest.fixture
async def nobody_guards(api: Api, namespace: str) -> AsyncIterator[dict[str, Any]]:
    """A webhook for every ConfigMap of the test's namespace, which nobody serves; to be created."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    hook = {
        "name": WEBHOOK,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 2,
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
        "clientConfig": {"service": {"name": "nobody", "namespace": "default", "path": "/", "port": 443}},
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    configuration = {**kind, "metadata": {"name": namespace}, "webhooks": [hook]}
    yield configuration
    await api.delete(ObjectName.of(configuration))


async def test_a_webhook_that_is_away_is_named_at_once_and_is_no_outage(
    platform: Platform, session: Session, api: Api, nobody_guards: dict[str, Any]
) -> None:
    platform.define(values={"message": "one"})
    assert (await platform.up(session)).revision == 1
    await api.patch(platform.name("ConfigMap", "app"), {"data": {"message": "by hand"}}, manager="kubectl-edit")
    await api.create(nobody_guards)
    before, component = session.api.outage, platform.load().components["app"]

    async with asyncio.timeout(30):
        (drift,) = await compare([component], session)
        while drift.verdict is Verdict.DRIFTED:  # the API server takes a moment to know the webhook
            (drift,) = await compare([component], session)
        assert drift.verdict is Verdict.FAILED
        assert WEBHOOK in drift.reason
        platform.define(values={"message": "two"})
        with pytest.raises(WebhookFailed, match=WEBHOOK) as caught:
            await platform.up(session)
    assert f"ConfigMap {platform.namespace}/app" in caught.value.summary
    assert session.api.outage == before
    assert platform.states() == {"app": "failed"}

    await api.delete(ObjectName.of(nobody_guards))
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await platform.up(session)).revision == 2
                break
            except WebhookFailed:  # nor does it forget at once
                continue


def deployment(**spec: Any) -> dict[str, Any]:
    """A workload of no pods."""
    labels = {"app": "other"}
    container = {"name": "main", "image": "example.invalid/app:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    base = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"}, "spec": base | spec}


def twice() -> dict[str, Any]:
    made = deployment()
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "LEVEL", "value": v} for v in ("a", "b")]
    return made


def other_selector() -> dict[str, Any]:
    made = deployment(selector={"matchLabels": {"app": "another"}})
    made["spec"]["template"]["metadata"]["labels"] = {"app": "another"}
    return made


def other_selector_and_wrong() -> dict[str, Any]:
    made = other_selector()
    made["spec"]["template"]["spec"]["containers"][0]["image"] = ""
    return made


REFUSED = {
    "the same variable twice": (twice(), Action.INVALID, "container main has LEVEL twice in env"),
    "a number that is none": (deployment(replicas=-1), Action.INVALID, "must be greater than or equal to 0"),
    "another selector": (other_selector(), Action.REFUSED, "field is immutable"),
    "another selector, and more": (other_selector_and_wrong(), Action.INVALID, "Required value"),
}


@pytest.mark.parametrize(("changed", "action", "told"), REFUSED.values(), ids=REFUSED.keys())
async def test_only_what_can_not_be_changed_is_to_be_made_anew(
    platform: Platform, session: Session, changed: dict[str, Any], action: Action, told: str
) -> None:
    platform.define(values={"objects": [deployment()]})
    await platform.up(session)
    platform.define(values={"objects": [changed]})
    found = (await plans_of(platform.load(), ["app"], session))["app"]
    assert found.plan is not None
    (change,) = found.plan.changes
    assert (change.action, change.object.name) == (action, "other")
    assert told in change.reason
    if action is Action.INVALID:
        with pytest.raises(Blocked, match="nothing was changed") as caught:
            await platform.up(session)
        assert told in caught.value.cause
