"""Kinds that charts bring, wherever in a chart they are; and a kind that the API server can't serve."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Deed, Verdict
from carbon_platform.session import Session
from tests.cluster.made import changes, chart, seen
from tests.cluster.platform import Platform
from tests.cluster.waiting import until

CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}


def crd(namespace: str, kind: str, *versions: str) -> Object:
    """A CRD of a group of the test's own; the first version is stored."""
    plural, group = f"{kind.lower()}s", f"{namespace[-6:]}.carbon.test"
    return {
        "apiVersion": CRD[0],
        "kind": CRD[1],
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {"name": version, "served": True, "storage": version == (versions or ("v1",))[0], "schema": SCHEMA}
                for version in versions or ("v1",)
            ],
        },
    }


def custom(namespace: str, kind: str, version: str = "v1") -> Object:
    """One of the kind."""
    return {
        "apiVersion": f"{namespace[-6:]}.carbon.test/{version}",
        "kind": kind,
        "metadata": {"name": kind.lower()},
        "size": 1,
    }


@pytest.fixture(autouse=True)
def forget_kinds(platform: Platform) -> Iterator[None]:
    """The test's kinds are gone afterwards."""
    yield

    async def forget() -> None:
        async with platform.api() as api:
            for one in await api.list(*CRD):
                if one["spec"]["group"] == f"{platform.namespace[-6:]}.carbon.test":
                    await api.delete(ObjectName.of(one))

    asyncio.run(forget())


@pytest.fixture
def bringing(platform: Platform) -> dict[str, str]:
    """A chart that brings a kind in each of its places, and one object of each."""
    namespace = platform.namespace
    files = {
        "crds/alpha.yaml": json.dumps(crd(namespace, "Alpha")),
        "crds/README.md": "# Not a manifest\n\nkind: neither\n",
        "templates/alpha.yaml": json.dumps(custom(namespace, "Alpha")),
        "templates/gamma.yaml": "\n---\n".join(map(json.dumps, (crd(namespace, "Gamma"), custom(namespace, "Gamma")))),
        "charts/below/Chart.yaml": json.dumps({"apiVersion": "v2", "name": "below", "version": "1.0.0"}),
        "charts/below/crds/beta.yaml": f"# Of the chart below\n{json.dumps(crd(namespace, 'Beta'))}",
        "charts/below/templates/beta.yaml": json.dumps(custom(namespace, "Beta")),
    }
    return chart(platform, files)


async def test_kinds_in_all_places_are_made_with_objects_of_them(
    platform: Platform, session: Session, api: Api, bringing: dict[str, str]
) -> None:
    platform.define(chart=bringing)
    assert (await platform.up(session)).verified
    for kind in ("Alpha", "Beta", "Gamma"):
        live = await api.get(
            ObjectName.of(
                custom(platform.namespace, kind) | {"metadata": {"name": kind.lower(), "namespace": platform.namespace}}
            )
        )
        assert live is not None
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 1


@pytest.mark.parametrize("kind", ["Alpha", "Beta", "Gamma"])
async def test_a_kind_that_is_deleted_is_drift_and_is_put_back(
    platform: Platform, session: Session, api: Api, bringing: dict[str, str], kind: str
) -> None:
    platform.define(chart=bringing)
    await platform.up(session)
    name = ObjectName.of(crd(platform.namespace, kind))
    await api.delete(name)
    await until(lambda: api.get(name), None)
    (drift,) = await compare([platform.load().components["app"]], session)
    told = {(one.deed, one.object.partition(" ")[0]) for one in drift.objects}
    assert told == {(Deed.DELETED, "CustomResourceDefinition"), (Deed.DELETED, kind)}
    assert (await platform.up(session)).verified
    (drift,) = await compare([platform.load().components["app"]], session)
    assert drift.verdict is Verdict.IN_SYNC


async def test_two_releases_may_bring_the_same_kind_beside_their_templates(
    platform: Platform, session: Session
) -> None:
    where = chart(
        platform,
        {"crds/alpha.yaml": json.dumps(crd(platform.namespace, "Alpha"))},
    )
    for key in ("app", "other"):
        platform.define(key, chart=where)
        assert (await platform.up(session, key)).verified
    for key in ("app", "other"):
        assert changes(await seen(platform, session, key)) == []
        assert (await platform.up(session, key)).revision == 1


async def test_what_a_chart_makes_only_where_its_own_kind_is_there_comes_with_it(
    platform: Platform, session: Session, api: Api
) -> None:
    alpha = custom(platform.namespace, "Alpha")
    template = f'{{{{ if .Capabilities.APIVersions.Has "{alpha["apiVersion"]}" }}}}\n{json.dumps(alpha)}\n{{{{ end }}}}'
    files = {"crds/alpha.yaml": json.dumps(crd(platform.namespace, "Alpha")), "templates/alpha.yaml": template}
    platform.define(chart=chart(platform, files))
    assert (await platform.up(session)).verified
    assert await api.get(ObjectName(alpha["apiVersion"], "Alpha", platform.namespace, "alpha")) is not None
    session.api.forget_capabilities()
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 1


async def test_a_kind_that_nobody_converts_is_told_of_its_component_alone(
    platform: Platform, session: Session, api: Api
) -> None:
    kind = crd(platform.namespace, "Delta", "v1", "v2")
    await api.create(kind)
    delta = custom(platform.namespace, "Delta", "v2")
    platform.define("deltas", values={"objects": [delta]})
    platform.define("app")
    await until(lambda: _served(api, delta), True)
    for key in ("deltas", "app"):
        assert (await platform.up(session, key)).verified

    service = {"name": "nobody", "namespace": "default", "path": "/", "port": 443}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": {"service": service}}
    conversion: dict[str, Any] = {"strategy": "Webhook", "webhook": webhook}
    await api.patch(ObjectName.of(kind), {"spec": {"conversion": conversion}}, manager="a-person")
    components = platform.load().components

    async def verdicts() -> dict[str, Verdict]:
        found = await compare([components["deltas"], components["app"]], session)
        return {drift.component.key: drift.verdict for drift in found}

    await until(verdicts, {"deltas": Verdict.FAILED, "app": Verdict.IN_SYNC})
    (drift,) = await compare([components["deltas"]], session)
    assert drift.error is not None
    assert "conversion webhook" in drift.error.told
    assert (await seen(platform, session, "app")).reason == ""
    told = {one["key"]: one for one in (await asyncio.to_thread(platform.json, "status", code=None))["components"]}
    assert told["app"]["state"] == "verified"
    assert told["deltas"]["state"] != "verified"
    planned = await asyncio.to_thread(platform.json, "plan", code=1)
    errors = {one["key"]: one["error"] for one in planned["components"]}
    assert errors["app"] is None
    assert "conversion webhook" in json.dumps(errors["deltas"])


async def _served(api: Api, obj: Object) -> bool:
    groups = (await api.request("GET", "/apis"))["groups"]
    return obj["apiVersion"] in {one["groupVersion"] for group in groups for one in group["versions"]}
