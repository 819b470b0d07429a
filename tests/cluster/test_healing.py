"""What breaks is noticed on the watch, healed by what fits, proven, and told; what would cost data is refused."""

import asyncio
import contextlib
import dataclasses
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from carbon_platform.checks.base import Check, Passed
from carbon_platform.checks.run import now
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.errors import CarbonError, CheckFailed, DataAtRisk
from carbon_platform.healing.symptoms import Sign
from carbon_platform.healing.view import View
from carbon_platform.materialization.functional_checks import functional_checks
from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.release import materialize_release
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import CheckResult
from carbon_platform.release.lease import process
from carbon_platform.session import Session
from tests.cluster.healing import healing, live
from tests.cluster.platform import Platform
from tests.cluster.waiting import until

Break = Callable[[Platform, Api], Awaitable[None]]


async def edit(platform: Platform, api: Api, kind: str, patch: Object, name: str = "app") -> None:
    await api.patch(platform.name(kind, name), patch, manager="kubectl-edit")


async def delete_deployment(platform: Platform, api: Api) -> None:
    await api.delete(platform.name("Deployment", "app"))


async def edit_config_map(platform: Platform, api: Api) -> None:
    await edit(platform, api, "ConfigMap", {"data": {"message": "edited by hand"}})


async def point_service_elsewhere(platform: Platform, api: Api) -> None:
    await edit(platform, api, "Service", {"spec": {"selector": {"app": "nobody"}}})


async def scale_to_nothing(platform: Platform, api: Api) -> None:
    await edit(platform, api, "Deployment", {"spec": {"replicas": 0}})


async def change_image(platform: Platform, api: Api) -> None:
    containers = (await live(platform, api, "Deployment"))["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = "example.invalid/app:by-hand"
    await edit(platform, api, "Deployment", {"spec": {"template": {"spec": {"containers": containers}}}})


async def point_alias_elsewhere(platform: Platform, api: Api) -> None:
    await edit(platform, api, "Service", {"spec": {"externalName": "dead.example.invalid"}}, "alias")


FAULTS: dict[str, tuple[Break, Sign, Remedy]] = {
    "a deployment is deleted": (delete_deployment, Sign.MISSING, Remedy.REAPPLY),
    "a config map is edited": (edit_config_map, Sign.EDITED, Remedy.REAPPLY),
    "a service selects nobody": (point_service_elsewhere, Sign.EDITED, Remedy.REAPPLY),
    "it is scaled to nothing": (scale_to_nothing, Sign.EDITED, Remedy.REAPPLY),
    "its image is changed by hand": (change_image, Sign.EDITED, Remedy.REAPPLY),
    "its alias leads elsewhere": (point_alias_elsewhere, Sign.ALIAS, Remedy.REPOINT),
}
ALIAS: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "alias"},
    "spec": {"type": "ExternalName", "externalName": "app.somewhere.svc.cluster.local"},
}


async def specs(platform: Platform, api: Api) -> list[Any]:
    """All that a person could have edited."""
    names = [("Deployment", "app"), ("ConfigMap", "app"), ("Service", "app"), ("Service", "alias")]
    found = [await live(platform, api, *name) for name in names]
    volatile = {"clusterIP", "clusterIPs"}
    return [
        {k: v for k, v in obj.get("spec", {}).items() if k not in volatile} | {"data": obj.get("data")} for obj in found
    ]


@pytest.mark.parametrize(("fault", "sign", "remedy"), FAULTS.values(), ids=FAULTS.keys())
async def test_what_was_broken_by_hand_is_noticed_and_put_back_by_one_run(
    platform: Platform, session: Session, api: Api, fault: Break, sign: Sign, remedy: Remedy
) -> None:
    platform.define(values={"objects": [ALIAS]})
    await platform.up(session)
    before = await specs(platform, api)
    async with healing(platform, session) as loop:
        await loop.quiet()
        await loop.nothing(0.3)
        await fault(platform, api)
        seen = await loop.view(lambda view: bool(view.symptoms))
        assert sign in {symptom.sign for symptom in seen.symptoms["app"]}
        told = await loop.heal()
        assert told.outcome == "healed"
        assert [request.remedy for request in loop.ran] == [remedy]
        assert await specs(platform, api) == before
        await loop.quiet()
        await loop.nothing(0.5)
    assert (await platform.up(session)).applied is False


@contextlib.asynccontextmanager
async def refusing_dry_runs(platform: Platform, api: Api) -> AsyncIterator[None]:
    """A webhook that nobody serves keeps the API server from saying what an apply would change, and from that alone."""
    hook = ObjectName("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", platform.namespace)
    every = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
    await api.create(
        {
            "apiVersion": hook.api_version,
            "kind": hook.kind,
            "metadata": {"name": hook.name},
            "webhooks": [
                {
                    "name": "away.example.invalid",
                    "clientConfig": {"url": "https://127.0.0.1:1/"},
                    "rules": [every],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": platform.namespace}},
                    "matchConditions": [{"name": "dry-run", "expression": "request.dryRun"}],
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                    "failurePolicy": "Fail",
                }
            ],
        }
    )
    config = await live(platform, api, "ConfigMap")
    asked: Object = {key: config[key] for key in ("apiVersion", "kind")}
    asked["metadata"] = {key: config["metadata"][key] for key in ("name", "namespace")}

    async def refused() -> bool:
        try:
            await api.apply(asked, dry_run=True)
        except CarbonError as error:
            return "webhook" in str(error)
        return False

    try:
        await until(refused, True)
        yield
    finally:
        await api.delete(hook)


async def test_an_edit_that_could_not_be_compared_when_it_was_made_is_found_later(
    platform: Platform, session: Session, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    async def told() -> bool:
        return "can't be compared" in caplog.text

    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        async with refusing_dry_runs(platform, api):
            await edit_config_map(platform, api)
            await until(told, True)
            await loop.nothing(0.3)
        seen = await loop.view(lambda view: bool(view.symptoms))
        assert [symptom.sign for symptom in seen.symptoms["app"]] == [Sign.EDITED]
        assert (await loop.heal()).outcome == "healed"


async def test_what_carbon_is_at_work_on_itself_is_no_fault(platform: Platform, session: Session) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        platform.define(values={"message": "new"})
        changing = asyncio.create_task(platform.up(session))
        while not changing.done():
            assert loop.step().requests == ()
            await asyncio.sleep(0.05)
        assert (await changing).verified
        await loop.quiet()
        assert loop.book.incidents() == []


async def test_a_definition_and_a_chart_that_change_are_followed(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        chart = platform.folder / "own"
        chart.mkdir()
        for file in (platform.folder / "charts" / "app").rglob("*"):
            if file.is_file():
                copy = chart / file.relative_to(platform.folder / "charts" / "app")
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(file.read_bytes())
        platform.define(chart={"path": "own"})
        await platform.up(session)
        (chart / "values.yaml").write_text(
            (chart / "values.yaml").read_text(encoding="utf-8").replace("hello", "of the chart"), encoding="utf-8"
        )
        await loop.nothing(0.5)
        await platform.up(session)
        await loop.view(lambda view: bool(view.platform and view.platform.components["app"].digest == digest(platform)))
        await loop.quiet()
        await delete_deployment(platform, api)
        assert (await loop.heal()).outcome == "healed"
        assert (await live(platform, api, "ConfigMap"))["data"] == {"message": "of the chart"}


def digest(platform: Platform) -> str:
    return platform.load().components["app"].digest


def failed_check(session: Session, at: str) -> None:
    """What a sweep records of a check that fails then."""
    check = CheckResult("query", False, "no answer", at)
    session.records.update("app", lambda record: dataclasses.replace(record, checks=(check,)))


@pytest.mark.parametrize("api_seconds", [30, 1], ids=["waited for", "given up"])
async def test_an_api_server_that_goes_away_and_comes_back_breaks_nothing(
    platform: Platform, session: Session, api: Api, api_seconds: float
) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session, api_seconds) as loop:
        await loop.quiet()
        seen: list[View] = []

        async def look() -> None:
            while True:
                seen.append(loop.watcher.view())
                assert loop.step().requests == ()
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        began = now()
        away = platform.server_away()
        await asyncio.to_thread(away.__enter__)
        if api_seconds == 1:
            await loop.view(lambda view: bool(view.unreachable))
        await asyncio.to_thread(away.__exit__, None, None, None)
        await loop.quiet()
        assert not looking.done(), looking.exception()
        looking.cancel()
        assert not any(view.symptoms for view in seen)
        assert loop.book.incidents() == []
        # A check that fails soon after may only wait for a controller that has not noticed that the server is back.
        settled = loop.watcher.view().settled_at
        assert began < settled
        failed_check(session, at=began)
        await loop.nothing(0.3)
        assert loop.book.incidents() == []
        failed_check(session, at=settled)
        request = await loop.request()
        assert request.remedy is Remedy.VERIFY
        await loop.run(request)
        assert (await loop.heal()).outcome == "recovered"
        await edit_config_map(platform, api)
        await loop.view(lambda view: bool(view.symptoms))
        assert (await loop.heal()).outcome == "healed"


async def test_a_check_whose_way_was_cut_by_an_outage_is_run_again_and_nothing_is_found(
    platform: Platform, session: Session
) -> None:
    platform.define()
    await platform.up(session)
    runs: list[str] = []

    class Cut(Check):
        async def run(self, reach: Reach) -> Passed:
            runs.append("begun")
            if len(runs) > 1:
                return Passed("it answers")
            away = platform.server_away()
            await asyncio.to_thread(away.__enter__)
            asking = asyncio.create_task(session.api.get(platform.name("Service", "app")))
            await asyncio.to_thread(away.__exit__, None, None, None)
            assert await asking is not None
            raise CheckFailed("the connection was cut", "its way leads through the API server")

    cut = dataclasses.replace(platform.load().components["app"], checks={"cut": Cut(type="test.cut")})
    (result,) = await functional_checks(cut, session, 0.0)
    assert (result.passed, result.detail, len(runs)) == (True, "it answers", 2)


async def test_a_database_whose_volumes_were_deleted_is_not_made_anew_and_says_why(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    platform.define(stateful=True, values={"volume": volumes, "replicas": 2, "podManagement": "Parallel"})
    assert (await platform.up(session)).verified
    async with healing(platform, session) as loop:
        await loop.quiet()
        for kind, name in (
            ("StatefulSet", "app"), ("PersistentVolumeClaim", "data-app-0"), ("PersistentVolumeClaim", "data-app-1")
        ):  # fmt: skip
            await api.delete(platform.name(kind, name))
        request = await loop.request()
        assert request.remedy is Remedy.REAPPLY
        refused = await loop.run(request)
        assert isinstance(refused, DataAtRisk)
        assert "an empty volume would be made in its place" in refused.cause
        await loop.nothing()
        assert len(loop.ran) == 1
    names = [platform.name("PersistentVolumeClaim", f"data-app-{number}") for number in range(2)]
    assert await api.get(platform.name("StatefulSet", "app")) is None

    async def claims() -> list[str]:
        found = await api.list("v1", "PersistentVolumeClaim", platform.namespace)
        return [claim["metadata"]["name"] for claim in found if not claim["metadata"].get("deletionTimestamp")]

    assert await claims() == []
    (told,) = (await asyncio.to_thread(platform.json, "status", code=1))["components"]
    assert told["state"] == "quarantined"
    assert "PersistentVolumeClaim" in told["reason"]
    (incident,) = (await asyncio.to_thread(platform.json, "incidents", code=1))["incidents"]
    assert (incident["outcome"], incident["closed_at"]) == ("quarantined", None)
    assert "DataAtRisk" not in incident["attempts"][0]["result"]
    assert "an empty volume would be made" in incident["attempts"][0]["result"]
    assert incident["lost"] == [f"{name}, which is gone or goes when its pod ends" for name in names]
    (doctor,) = (await asyncio.to_thread(platform.json, "doctor", code=1))["components"]
    words = [f"empty:PersistentVolumeClaim/{name.namespace}/{name.name}" for name in names]
    command = f"carbon up app {' '.join(f'--confirm {word}' for word in words)}"
    assert incident["fix"] == f"if that is meant: {command}"
    assert doctor["causes"][0]["fix"] == f"bring its volumes back; if they may be empty: {command}"
    await asyncio.to_thread(platform.run, *command.split()[1:])
    async with healing(platform, session) as loop:
        told_ = await loop.heal()
    assert told_.outcome == "mended by others"
    assert told_.ending.startswith("carbon up (run ")
    assert {f"{name} with its data, in whose place an empty volume was made" for name in names} <= set(told_.lost)


async def test_what_a_person_mends_while_carbon_only_looks_is_told_as_theirs_with_who_edited_it_as_drift_says(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        await scale_to_nothing(platform, api)
        request = await loop.request()
        (drift,) = await compare([platform.load().components["app"]], session)
        (drifted,) = drift.objects
        (edit_,) = loop.book.incidents()[0].edits
        assert (edit_.object, edit_.field) == (drifted.object, drifted.fields[0])
        assert (edit_.field.path, edit_.field.by) == ("spec.replicas", "kubectl-edit")
        deployment = platform.name("Deployment", "app")
        await api.patch(deployment, {"spec": {"replicas": 2}}, manager="kubectl-patch")
        outcome = await loop.run(request)
        assert isinstance(outcome, Outcome)
        assert (outcome.verified, outcome.applied) == (True, False)
        told = await loop.heal()
    assert told.outcome == "mended by others"
    assert told.ending.startswith(f"kubectl-patch wrote {deployment} at ")
    assert edit_.field.head in told.cause
    assert [attempt.came for attempt in told.attempts] == ["found it well"]
    (shown,) = (await asyncio.to_thread(platform.json, "incidents"))["incidents"]
    assert (shown["outcome"], shown["ending"]) == (told.outcome, told.ending)
    assert shown["edits"] == [edit_.told]
    lines = (await asyncio.to_thread(platform.run, "incidents")).stdout.splitlines()
    assert f"  ended: {told.ending}" in lines
    assert f"  {told.cause}" in lines


async def test_what_carbon_puts_back_is_no_edit_of_anybody(platform: Platform, session: Session, api: Api) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        await edit_config_map(platform, api)
        await edit(platform, api, "ConfigMap", {"metadata": {"annotations": {"team": "a"}}})
        told = await loop.heal()
    assert told.outcome == "healed"
    assert told.ending == "attempt 1, re-apply, healed it"


async def test_a_restart_under_a_volume_that_is_being_deleted_is_refused(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    """It goes when its pod ends, and with it the data."""
    platform.define(stateful=True, values={"volume": volumes, "replicas": 1})
    assert (await platform.up(session)).verified
    await api.delete(platform.name("PersistentVolumeClaim", "data-app-0"))
    pod = (await live(platform, api, "Pod", "app-0"))["metadata"]["uid"]
    with pytest.raises(DataAtRisk, match="healing by restart could cost data"):
        await platform.up(session, remedy=Remedy.RESTART)
    assert (await live(platform, api, "Pod", "app-0"))["metadata"]["uid"] == pod
    assert session.records.get("app").quarantined
    assert (await live(platform, api, "PersistentVolumeClaim", "data-app-0"))["metadata"]["deletionTimestamp"]


async def test_a_run_that_is_killed_in_the_middle_is_followed_by_another_that_ends_well(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.quiet()
        await delete_deployment(platform, api)
        request = await loop.request()
        running = platform.start("up", "app")
        loop.book.started(request.incident, request.number, str(process(running.pid)), "run", time.time())
        await asyncio.to_thread(reads, running, "app: apply")
        running.send_signal(signal.SIGKILL)
        await asyncio.to_thread(running.communicate)
        told = await loop.heal()
    assert told.attempts[0].result == "its process ended"
    assert len(told.attempts) == 1 + len(loop.ran)
    assert await api.get(platform.name("Deployment", "app")) is not None
    assert (await asyncio.to_thread(platform.states)) == {"app": "verified"}


def reads(running: Any, words: str) -> None:
    for line in running.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended before it printed {words!r}")


async def test_the_lease_is_held_until_it_is_proven_and_a_second_materialization_waits(
    platform: Platform, session: Session
) -> None:
    platform.define()
    await platform.up(session)
    platform.define(values={"message": "new"})
    proving, proven = asyncio.Event(), asyncio.Event()

    class Slow(Check):
        async def run(self, reach: Reach) -> Passed:
            proving.set()
            await proven.wait()
            return Passed("at last")

    slow = dataclasses.replace(platform.load().components["app"], checks={"slow": Slow(type="test.slow")})

    async def first() -> Outcome:
        return await materialize_release(slow, session, Options())

    async with healing(platform, session) as loop:
        mine = asyncio.create_task(first())
        await proving.wait()
        other = platform.start("up", "--redeploy", "app")
        await asyncio.to_thread(reads, other, "waits for")
        assert "app" in (await loop.view(lambda view: bool(view.busy))).busy
        assert session.records.get("app").verified_at < session.records.get("app").changed_at
        await loop.nothing(0.5)
        proven.set()
        assert (await mine).verified
        told, _ = await asyncio.to_thread(other.communicate)
        assert other.returncode == 0, told
        await loop.quiet()
    assert session.records.get("app").revision == 3


async def test_a_component_removed_while_it_is_broken_is_left_and_its_incident_closed(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define()
    platform.define("other")
    await platform.up(session)
    async with healing(platform, session) as loop:
        await loop.view(lambda view: "app" not in view.symptoms)
        await delete_deployment(platform, api)
        request = await loop.request()
        (platform.file("app")).unlink()
        assert (await loop.heal()).outcome == "removed from the platform"
        assert loop.ran == []
        assert loop.book.incidents()[0].attempts[0].number == request.number
    assert await api.get(platform.name("Deployment", "app")) is None
