"""What somebody else has is left to them, and what can't be made is told, before anything of it is made."""

from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Deed
from carbon_platform.errors import Blocked
from carbon_platform.release.plan import Action
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.healing import healing
from tests.cluster.made import changes, numbers, seen
from tests.cluster.platform import Platform

TRACKING = {"argocd.argoproj.io/tracking-id": "prices:/ConfigMap:data/app"}
OTHER_RELEASE = {"meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "elsewhere"}
OWNERS: dict[str, tuple[dict[str, Any], str]] = {
    "another Helm release": (
        {"annotations": OTHER_RELEASE, "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "Helm release elsewhere/other",
    ),
    "Argo CD": ({"annotations": TRACKING}, "Argo CD application prices"),
    "Flux": ({"labels": {"kustomize.toolkit.fluxcd.io/name": "prices"}}, "Flux Kustomization prices"),
    "somebody by hand": ({}, "no Helm release: somebody made it by hand or with another tool"),
}


@pytest.mark.parametrize(("metadata", "whose"), OWNERS.values(), ids=OWNERS.keys())
async def test_what_somebody_else_has_is_told_and_nothing_is_changed(
    platform: Platform, session: Session, api: Api, everything: Everything, metadata: dict[str, Any], whose: str
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}}
    await api.create(namespace)
    theirs = {"name": "app", "namespace": platform.namespace, **metadata}
    await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs, "data": {"message": "theirs"}})
    platform.define()
    assert changes(await seen(platform, session))[0] == "owned ConfigMap/app"
    assert f"belongs to {whose}" in platform.run("plan").stdout.replace("\n", " ").replace("  ", " ")
    before = await everything()
    with pytest.raises(Blocked) as caught:
        await platform.up(session)
    assert f"ConfigMap {platform.namespace}/app: it is there already, and belongs to {whose}" in caught.value.cause
    after = await everything()
    # The namespace tells its environment, and has its account by now.
    assert {key: after[key] for key in before if "configmaps" in key} == {
        key: text for key, text in before.items() if "configmaps" in key
    }
    assert not [key for key in after.keys() - before.keys() if "serviceaccounts" not in key and "root-ca" not in key]
    assert await numbers(platform, api) == []


async def test_what_argo_cd_takes_over_is_drift_that_healing_leaves(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    assert (await platform.up(session)).verified
    async with healing(platform, session) as loop:
        await loop.quiet()
        config = platform.name("ConfigMap", "app")
        patch = {"metadata": {"annotations": TRACKING}, "data": {"message": "theirs"}}
        await api.patch(config, patch, manager="argocd-controller")
        (drift,) = await compare([platform.load().components["app"]], session)
        assert [(one.deed, one.reason) for one in drift.objects] == [
            (Deed.OWNED, "it is there already, and belongs to Argo CD application prices")
        ]
        await loop.nothing()
    live = await api.get(config)
    assert live is not None
    assert live["data"] == {"message": "theirs"}
    assert await numbers(platform, api) == [1]


def deployment(**spec: Any) -> Object:
    """A workload that the API server refuses, whatever is there."""
    template = {"metadata": {"labels": {"app": "wrong"}}, "spec": {"containers": [{"name": "main", "image": ""}]}}
    base = {"selector": {"matchLabels": {"app": "wrong"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "wrong"}, "spec": base | spec}


async def test_what_is_invalid_is_told_before_half_of_it_is_installed(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    platform.define(values={"objects": [deployment()]})
    found = await seen(platform, session)
    assert "invalid Deployment/wrong" in changes(found)
    assert found.plan is not None
    (change,) = [one for one in found.plan.changes if one.action is Action.INVALID]
    assert "image: Required value" in change.reason
    with pytest.raises(Blocked, match="image: Required value"):
        await platform.up(session)
    assert await everything() == {}


async def test_what_is_in_a_namespace_that_nobody_makes_is_told_before_half_of_it_is_installed(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    missing = f"{platform.namespace}-missing"
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": missing}}
    platform.define(values={"objects": [there]})
    found = await seen(platform, session)
    assert "deferred ConfigMap/there" in changes(found)
    assert found.plan is not None
    (change,) = [one for one in found.plan.changes if one.action is Action.DEFERRED]
    assert change.reason == f"its namespace {missing} does not exist"
    with pytest.raises(Blocked, match=f"its namespace {missing} does not exist") as caught:
        await platform.up(session)
    assert "namespaces" in caught.value.fix
    assert await everything() == {}

    platform.define(values={"objects": [there]}, namespaces=[missing])
    try:
        assert "create ConfigMap/there" in changes(await seen(platform, session))
        assert (await platform.up(session)).verified
    finally:
        from carbon_platform.cluster.resources import ObjectName

        await api.delete(ObjectName("v1", "Namespace", "", missing))


async def test_an_object_of_a_kind_that_nobody_brings_is_told_before_anything_is_made(
    platform: Platform, session: Session, everything: Everything
) -> None:
    monitor = {"apiVersion": "monitoring.carbon.test/v1", "kind": "Monitor", "metadata": {"name": "app"}}
    platform.define(values={"objects": [monitor]})
    found = await seen(platform, session)
    assert "deferred Monitor/app" in changes(found)
    with pytest.raises(Blocked, match=r"the cluster has no kind Monitor of monitoring\.carbon\.test/v1") as caught:
        await platform.up(session)
    assert "needs" in caught.value.fix
    assert await everything() == {}
