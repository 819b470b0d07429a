"""What could cost data or a service without anybody having asked for it: each is stopped, and said."""

import asyncio

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked, DataAtRisk, Overtaken
from carbon_platform.materialization.progress import Event, listening
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.materialization.verify import verify
from carbon_platform.records import CheckResult
from carbon_platform.release.lease import told
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.healing import healing
from tests.cluster.platform import Platform
from tests.cluster.test_guard import claim
from tests.cluster.test_lease import ELSEWHERE, lease
from tests.cluster.waiting import until

SECRETS = [{"name": "login", "keys": {"password": {"generate": 16}}}]


async def ready(platform: Platform, session: Session) -> CheckResult:
    """What the check `ready` says now, as a sweep asks it."""
    found = await verify(platform.load().components["app"], session)
    return next(check for check in found if check.name == "ready")


@pytest.mark.parametrize("stateful", [False, True])
async def test_what_the_api_server_would_refuse_as_a_new_object_too_is_not_deleted_to_be_made_anew(
    platform: Platform, session: Session, everything: Everything, volumes: str, stateful: bool
) -> None:
    values = {"volume": volumes if stateful else "", "replicas": 1}
    platform.define(stateful=stateful, values=values)
    await platform.up(session)
    before = await everything()
    platform.define(stateful=stateful, values=values | {"memory": "-1Mi"})
    with pytest.raises(Blocked, match="nothing was changed") as caught:
        await platform.up(session)
    assert "the API server refuses" in caught.value.cause
    assert "must be greater than or equal to 0" in caught.value.cause
    assert await everything() == before


async def test_a_generated_secret_that_is_gone_is_made_anew_only_on_a_persons_word(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    platform.define(secrets=SECRETS)
    await platform.up(session)
    secret = platform.name("Secret", "login")
    await api.delete(secret)
    before = await everything()
    for remedy in (Remedy.VERIFY, Remedy.REAPPLY, Remedy.RESTART):
        with pytest.raises(DataAtRisk, match="healing would make Secret"):
            await platform.up(session, remedy=remedy)
    word = f"generate:Secret/{platform.namespace}/login"
    with pytest.raises(DataAtRisk) as caught:
        await platform.up(session)
    assert caught.value.fix.endswith(f"carbon up app --confirm {word}")
    assert await everything() == before
    assert (await platform.up(session, confirm=(word,))).verified
    assert await api.get(secret) is not None


async def test_uninstalling_does_not_take_a_claim_that_the_chart_declares(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    platform.define(values={"objects": [claim(platform, volumes)]})
    await platform.up(session)
    told = (await asyncio.to_thread(platform.run, "down", "--yes", code=1)).stderr
    assert "nothing was uninstalled" in told
    assert f"PersistentVolumeClaim {platform.namespace}/data is part of the release" in told
    assert await api.get(platform.name("Deployment", "app")) is not None
    await asyncio.to_thread(platform.run, "down", "app", "--yes", "--delete-data", "app")
    assert await api.get(platform.name("Deployment", "app")) is None


def settings(platform: Platform, text: str) -> Object:
    metadata = {"name": "settings", "namespace": platform.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": {"a": text}}


async def test_a_definition_that_can_not_be_applied_is_not_verified_by_a_sweep(
    platform: Platform, session: Session
) -> None:
    platform.define(values={"objects": [settings(platform, "one")]})
    await platform.up(session)
    platform.define(values={"objects": [settings(platform, "two")]})
    with pytest.raises(Blocked, match="nothing was changed"):
        await platform.up(session)
    assert (await ready(platform, session)).passed, "what is deployed still works"
    assert (await asyncio.to_thread(platform.states)) == {"app": "blocked"}


async def test_a_definition_that_was_begun_and_never_applied_is_not_verified_by_a_sweep(
    platform: Platform, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer was killed after it had written down what it was about to do."""
    platform.define()
    await platform.up(session)
    platform.define(values={"message": "new"})

    async def killed(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("carbon_platform.materialization.deploy.apply", killed)
    with pytest.raises(KeyboardInterrupt):
        await platform.up(session)
    monkeypatch.undo()
    assert (await ready(platform, session)).passed
    assert (await asyncio.to_thread(platform.states)) == {"app": "stale"}
    assert (await platform.up(session)).revision == 2


async def test_an_edit_does_not_hide_that_it_does_not_work(platform: Platform, session: Session, api: Api) -> None:
    platform.define(values={"replicas": 1})
    await platform.up(session)
    name = platform.name("Deployment", "app")
    much = {"requests": {"memory": "10Ti"}}
    template = {"spec": {"template": {"spec": {"containers": [{"name": "main", "resources": much}]}}}}
    path = f"/apis/apps/v1/namespaces/{name.namespace}/deployments/{name.name}"
    await api.request("PATCH", path, body=template, content_type="application/strategic-merge-patch+json")

    async def passed() -> bool:
        return (await ready(platform, session)).passed

    await until(passed, False)
    assert str(name) in (await ready(platform, session)).detail


async def test_an_empty_volume_in_the_place_of_one_that_was_proven_is_no_pass(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    platform.define(stateful=True, values={"volume": volumes, "replicas": 1})
    assert (await platform.up(session)).verified
    gone = platform.name("PersistentVolumeClaim", "data-app-0")
    pod = platform.name("Pod", "app-0")
    before = (await api.get(pod) or {})["metadata"]["uid"]
    await api.delete(gone)
    await api.delete(pod)

    async def another() -> bool:
        live = await api.get(pod)
        phase = (live or {}).get("status", {}).get("phase")
        return bool(live and live["metadata"]["uid"] != before and phase == "Running")

    await until(another, True)
    told = await ready(platform, session)
    assert not told.passed
    assert f"{gone} is another one than when it was last verified" in told.detail
    outcome = await platform.up(session)
    assert not outcome.verified
    word = f"empty:PersistentVolumeClaim/{platform.namespace}/data-app-0"
    assert told.fix.endswith(f"carbon up app --confirm {word}")
    assert f"what was in {gone}, which was replaced" in outcome.lost
    accepted = await platform.up(session, confirm=(word,))
    assert accepted.verified
    assert f"what was in {gone}, which was replaced" in accepted.lost
    assert (await ready(platform, session)).passed
    assert (await platform.up(session)).lost == ()


@pytest.mark.parametrize("remedy", [Remedy.REAPPLY, Remedy.RESTART, Remedy.ROLL_BACK])
async def test_healing_that_waited_for_another_writer_leaves_what_that_one_did(
    platform: Platform, session: Session, api: Api, everything: Everything, remedy: Remedy
) -> None:
    platform.define(values={"message": "one"})
    await platform.up(session)
    platform.define(values={"message": "two"})
    await platform.up(session)
    session.records.update("app", lambda record: record.__class__(**{**record.__dict__, "verified_revision": 1}))
    await api.delete(platform.name("ConfigMap", "app"))
    await api.create(lease(platform, ELSEWHERE))
    before = await everything()
    waits = asyncio.Event()

    def hear(event: Event) -> None:
        if event.text.startswith(f"waits for {told(str(ELSEWHERE))}"):
            waits.set()

    with listening(hear):
        healing_ = asyncio.create_task(platform.up(session, remedy=remedy))
        async with asyncio.timeout(120):
            await waits.wait()
        assert not healing_.done()
        await api.delete(platform.name("Lease", "carbon-app"))
        with pytest.raises(Overtaken, match="nothing was changed"):
            await healing_
    lease_of_app = "carbon-app"
    after = await everything()
    assert {k for k in after if lease_of_app not in k} == {k for k in before if lease_of_app not in k}
    assert session.records.get("app").failure == ""


async def test_a_chart_that_does_not_render_keeps_nobody_else_from_being_healed(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    platform.define("broken")
    for key in ("app", "broken"):
        await platform.up(session, key)
    platform.define("broken", values={"objects": 7})
    async with healing(platform, session) as loop:
        await loop.quiet()
        await api.delete(platform.name("Deployment", "app"))
        assert (await loop.heal()).outcome == "healed"
    assert await api.get(ObjectName("apps/v1", "Deployment", platform.namespace, "app")) is not None
