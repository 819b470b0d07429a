"""Jobs that failed and revisions that do not work: run again, rolled back, or left to people."""

import asyncio

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import Blocked, NotReady
from carbon_platform.materialization.apply_remedy import IDEMPOTENT
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.session import Session
from tests.cluster.healing import healing, live
from tests.cluster.platform import Platform
from tests.cluster.waiting import until


async def test_a_bad_definition_is_rolled_back_and_not_applied_again_by_itself(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(values={"replicas": 1})
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        platform.define(values={"replicas": 1, "memory": "10Ti"})
        with pytest.raises(NotReady):
            await platform.up(session)
        told = await loop.heal()
        assert (told.outcome, [request.remedy for request in loop.ran]) == ("healed", [Remedy.ROLL_BACK])
        await loop.nothing()
        containers = (await live(platform, api, "Deployment"))["spec"]["template"]["spec"]["containers"]
        assert containers[0]["resources"]["requests"]["memory"] == "16Mi"
        (seen,) = (await asyncio.to_thread(platform.json, "status", code=1))["components"]
        assert seen["state"] == "stale"
        assert "rolled back to revision 3" in seen["reason"]
        await api.delete(platform.name("Deployment", "app"))
        await loop.view(lambda view: bool(view.symptoms))
        await loop.nothing(1)
        platform.define(values={"replicas": 1, "memory": "17Mi"})
        assert (await platform.up(session)).verified
    assert (await asyncio.to_thread(platform.states)) == {"app": "verified"}


def job(namespace: str, **annotations: str) -> Object:
    """A Job that runs on a simulated node with the test's own label alone."""
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {f"test/{namespace[-6:]}": "yes"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "containers": [{"name": "main", "image": "example.invalid/job:1"}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "annotations": annotations},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


async def fail_job(platform: Platform, session: Session, api: Api, **annotations: str) -> str:
    """A component that worked, whose new Job has failed; the UID of that Job."""
    platform.define(values={"replicas": 1})
    await platform.up(session)
    platform.define(values={"replicas": 1, "objects": [job(platform.namespace, **annotations)]})
    deploying = asyncio.create_task(platform.up(session))

    async def pods() -> list[Object]:
        return await api.list("v1", "Pod", platform.namespace, labels="job-name=migrate")

    async def there() -> bool:
        return bool(await pods())

    await until(there, True)
    name = (await pods())[0]["metadata"]["name"]
    path = f"/api/v1/namespaces/{platform.namespace}/pods/{name}/status"
    failed = {"status": {"phase": "Failed", "reason": "Error", "message": "exit code 1"}}
    await api.request("PATCH", path, body=failed, content_type="application/merge-patch+json")
    with pytest.raises(NotReady):
        await deploying

    async def over() -> bool:
        conditions = (await live(platform, api, "Job", "migrate"))["status"].get("conditions", ())
        return any(c["type"] == "Failed" and c["status"] == "True" for c in conditions)

    await until(over, True)
    node = (await api.list("v1", "Node"))[0]["metadata"]["name"]
    patch = {"metadata": {"labels": {f"test/{platform.namespace[-6:]}": "yes"}}}
    await api.request("PATCH", f"/api/v1/nodes/{node}", body=patch, content_type="application/merge-patch+json")
    return str((await live(platform, api, "Job", "migrate"))["metadata"]["uid"])


async def test_a_failed_job_that_may_run_twice_is_run_again_once(
    platform: Platform, session: Session, api: Api
) -> None:
    failed = await fail_job(platform, session, api, **{IDEMPOTENT: "true"})
    async with healing(platform, session) as loop:
        assert (await loop.heal()).outcome == "healed"
        assert [request.remedy for request in loop.ran] == [Remedy.RERUN_JOB]
    again = await live(platform, api, "Job", "migrate")
    assert again["metadata"]["uid"] != failed
    assert again["status"]["succeeded"] == 1


async def test_a_failed_job_that_may_not_is_left_and_told(platform: Platform, session: Session, api: Api) -> None:
    """Nor is the release rolled back: what the job has done to data stays done."""
    failed = await fail_job(platform, session, api)
    async with healing(platform, session) as loop:
        await loop.run(await loop.request())

        async def given_up() -> bool:
            assert loop.step().requests == ()
            return bool(session.records.get("app").quarantined)

        await until(given_up, True)
        assert [request.remedy for request in loop.ran] == [Remedy.RERUN_JOB]
    assert (await live(platform, api, "Job", "migrate"))["metadata"]["uid"] == failed
    assert "Job" in session.records.get("app").quarantined
    assert (await asyncio.to_thread(platform.states)) == {"app": "quarantined"}


async def test_what_a_newer_revision_has_migrated_is_not_rolled_back_under_it(
    platform: Platform, session: Session, api: Api
) -> None:
    done = job(platform.namespace)
    done["spec"]["template"]["spec"]["nodeSelector"] = {}
    platform.define(values={"replicas": 1})
    await platform.up(session)
    platform.define(values={"replicas": 1, "memory": "10Ti", "objects": [done]})
    with pytest.raises(NotReady):
        await platform.up(session)
    with pytest.raises(Blocked, match="can't be rolled back; nothing was changed"):
        await platform.up(session, remedy=Remedy.ROLL_BACK)
    assert await api.get(platform.name("Job", "migrate")) is not None
