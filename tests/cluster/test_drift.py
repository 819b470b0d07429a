"""Drift: what is live otherwise than it was deployed, who did it and when; and nothing else."""

import asyncio
import base64

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare, drifts
from carbon_platform.drift.drift import Drift, Verdict
from carbon_platform.release.lease import held
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.edits import edit, scale
from tests.cluster.platform import Platform
from tests.cluster.waiting import until

PASSWORD = base64.b64encode(b"hunter2-in-a-chart").decode()
RENDERED = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rendered"}, "data": {"password": PASSWORD}}


async def found(platform: Platform, session: Session, key: str = "app") -> Drift:
    (drift,) = await compare([platform.load().components[key]], session)
    return drift


def told(drift: Drift) -> list[str]:
    return [f"{one.deed} {one.object.partition(' ')[0]}" for one in drift.objects]


async def test_a_fresh_deployment_has_not_drifted_and_looking_writes_nothing(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define()
    await platform.up(session)
    before = await everything()
    drift = await found(platform, session)
    assert (drift.verdict, drift.objects, drift.error) == (Verdict.IN_SYNC, (), None)
    assert await everything() == before


async def test_every_kind_of_drift_is_told_with_who_and_when(platform: Platform, session: Session, api: Api) -> None:
    platform.define(values={"objects": [RENDERED]})
    await platform.up(session)
    await api.delete(platform.name("Service", "app"))
    await edit(api, platform.name("ConfigMap", "app"), lambda o: o["metadata"]["labels"].update(team="a"))
    await edit(api, platform.name("Secret", "rendered"), lambda o: o["data"].update(password="eA=="), by="a-person")
    await scale(api, platform.name("Deployment", "app"), 5)
    drift = await found(platform, session)
    assert drift.verdict is Verdict.DRIFTED
    assert told(drift) == ["edited Secret", "added to ConfigMap", "deleted Service", "edited Deployment"]
    assert drift.differences == 4
    fields = {f.path: (f.live, f.desired, f.by) for one in drift.objects for f in one.fields}
    assert fields == {
        "data.password": ("(hidden)", "(hidden)", "a-person"),
        "metadata.labels.team": ("a", "(absent)", "kubectl-edit"),
        "spec.replicas": ("5", "2", "kubectl"),
    }
    config = await api.get(platform.name("ConfigMap", "app"))
    assert config is not None
    (at,) = [e["time"] for e in config["metadata"]["managedFields"] if e["manager"] == "kubectl-edit"]
    assert [f.at for one in drift.objects for f in one.fields if f.by == "kubectl-edit"] == [at]


async def test_a_definition_that_changed_is_no_drift_until_it_is_deployed(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(values={"message": "old"})
    await platform.up(session)
    platform.define(values={"message": "new", "replicas": 3})
    assert (await found(platform, session)).verdict is Verdict.IN_SYNC
    await edit(api, platform.name("ConfigMap", "app"), lambda o: o["data"].update(message="edited"))
    (one,) = (await found(platform, session)).objects
    assert [str(f).partition("  (by ")[0] for f in one.fields] == ["data.message: edited → old"]


async def test_definitions_of_kinds_drift_as_well(platform: Platform, session: Session, api: Api) -> None:
    platform.define(chart={"path": "charts/operator"})
    await platform.up(session)
    definition = ObjectName("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "gadgets.carbon.test")
    try:
        assert (await found(platform, session)).verdict is Verdict.IN_SYNC
        await api.patch(definition, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}}, manager="me")
        assert told(await found(platform, session)) == ["edited CustomResourceDefinition"]
        await api.delete(definition)
        await until(lambda: api.get(definition), None)
        drift = await found(platform, session)
        assert told(drift) == ["deleted CustomResourceDefinition", "deleted Gadget"]
    finally:
        await api.delete(definition)


async def test_what_is_not_installed_has_not_drifted(platform: Platform, session: Session) -> None:
    platform.define()
    assert (await found(platform, session)).verdict is Verdict.ABSENT


async def test_what_somebody_is_at_work_on_has_not_drifted(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    await edit(api, platform.name("ConfigMap", "app"), lambda o: o["data"].update(message="x"))
    async with held(api, platform.namespace, "app", 5, lambda _: None):
        assert (await found(platform, session)).verdict is Verdict.DEPLOYING
    assert (await found(platform, session)).verdict is Verdict.DRIFTED


async def test_what_goes_wrong_with_one_component_is_told_of_that_one(platform: Platform, session: Session) -> None:
    platform.define("good")
    platform.define("bad")
    for key in ("good", "bad"):
        await platform.up(session, key)
    (secret,) = await session.api.list("v1", "Secret", platform.namespace, labels="owner=helm,name=bad")
    await session.api.replace({**secret, "data": {"release": "bm90IGEgcmVsZWFzZQ=="}})
    assert (await found(platform, session, "good")).verdict is Verdict.IN_SYNC
    bad = await found(platform, session, "bad")
    assert bad.verdict is Verdict.FAILED
    assert bad.error is not None


async def test_a_comparison_has_a_deadline(platform: Platform, session: Session) -> None:
    platform.define()
    await platform.up(session)
    session.settings = platform.settings(check_seconds=0.001)
    drift = await found(platform, session)
    assert (drift.verdict, drift.reason) == (Verdict.FAILED, "not compared in time")


def test_without_an_api_server_drift_is_unknown(platform: Platform) -> None:
    platform.define()
    platform.deploy()
    with platform.server_away():
        (drift,) = asyncio.run(drifts(platform.load(), ["app"], platform.settings()))
        assert drift.verdict is Verdict.UNKNOWN
        assert platform.json("drift", code=1)["components"][0]["state"] == "unknown"


def test_the_command_tells_people_and_scripts_and_its_exit_code_says_whether(platform: Platform) -> None:
    platform.define("app")
    platform.define("later")
    platform.deploy()
    assert "no drift" in platform.run("drift").stdout

    async def patch() -> None:
        async with platform.api() as api:
            name = platform.name("ConfigMap", "app")
            await edit(api, name, lambda o: o["metadata"]["labels"].update(team="a"))

    asyncio.run(patch())
    shown = platform.run("drift", code=1).stdout
    assert "metadata.labels.team: a → (absent)  (by kubectl-edit at " in shown
    assert "later  not installed" in shown
    app, later = platform.json("drift", code=1)["components"]
    assert (app["state"], app["policy"], app["differences"]) == ("drifted", "correct", 1)
    (one,) = app["objects"]
    assert (one["action"], one["object"]) == ("added to", f"ConfigMap {platform.namespace}/app")
    assert (later["state"], later["objects"]) == ("absent", [])
    assert platform.json("drift", "later")["components"][0]["state"] == "absent"
    platform.run("drift", "nobody", code=2)
