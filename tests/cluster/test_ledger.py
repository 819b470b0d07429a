"""What guards data is in the cluster too: whoever comes, from whichever machine, is bound alike."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import Blocked, DataAtRisk, Overtaken
from carbon_platform.inspect.plans import plans_of
from carbon_platform.materialization.content import materialize_content
from carbon_platform.materialization.down import uninstall
from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.materialization.verify import Proof, verify, wait_and_verify
from carbon_platform.records import CheckResult
from carbon_platform.session import Session, open_session
from carbon_platform.spec.platform import Component
from tests.cluster.conftest import Everything
from tests.cluster.healing import healing, live
from tests.cluster.platform import Platform

SECRETS = [{"name": "login", "keys": {"password": {"generate": 16}, "token": {"generate": 16}}}]
COPIES = [{"name": "copy", "keys": {"secret": {"value_from": {"secret": "login", "key": "token"}}}}]


async def ledger(platform: Platform, api: Api) -> dict[str, Any] | None:
    found = await api.get(platform.name("ConfigMap", "carbon-app"))
    return json.loads(found["data"]["ledger.json"]) if found else None


def workload(platform: Platform, kind: str, image: str, **container: Any) -> Object:
    """One that runs on a simulated node."""
    pod = {
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "containers": [{"name": "main", "image": image, **container}],
    }
    labels = {"app": "one"}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    spec["template"]["spec"] = pod
    if kind == "StatefulSet":
        spec["serviceName"] = "one"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "one"}, "spec": spec}


async def refused(platform: Platform, session: Session, **options: Any) -> DataAtRisk:
    with pytest.raises(DataAtRisk) as caught:
        await platform.up(session, **options)
    assert "nothing was changed" in caught.value.summary
    return caught.value


@pytest.mark.parametrize("gone", ["secret", "key"])
async def test_a_generated_value_that_is_gone_is_guarded_whatever_else_changed(
    platform: Platform, session: Session, api: Api, everything: Everything, gone: str
) -> None:
    platform.define(secrets=SECRETS)
    await platform.up(session)
    name = platform.name("Secret", "login")
    if gone == "secret":
        await api.delete(name)
    else:
        await api.patch(name, {"data": {"token": None}})
    before = await everything()
    word = f"generate:Secret/{platform.namespace}/login"
    platform.define(secrets=SECRETS, values={"message": "an edited definition"})
    assert (await refused(platform, session)).fix.endswith(f"--confirm {word}")
    session.records.update("app", lambda record: dataclasses.replace(record, digest="", rolled_back="x"))
    assert word in (await refused(platform, session)).fix
    session.records.forget("app")
    assert word in (await refused(platform, session)).fix
    assert await everything() == before
    assert (await platform.up(session, confirm=(word,))).verified


async def test_a_key_that_is_declared_anew_takes_no_word(platform: Platform, session: Session) -> None:
    platform.define(secrets=SECRETS)
    await platform.up(session)
    more = {"name": "login", "keys": {**SECRETS[0]["keys"], "salt": {"generate": 8}}}  # type: ignore[dict-item]
    platform.define(secrets=[more, {"name": "second", "keys": {"key": {"generate": 8}}}])
    assert (await platform.up(session)).verified


async def test_a_new_machine_knows_the_volumes_and_what_it_accepts_holds_for_the_first_one(
    platform: Platform, session: Session, api: Api, volumes: str, tmp_path: Path
) -> None:
    values = {"volume": volumes, "replicas": 1}
    platform.define(stateful=True, values=values)
    assert (await platform.up(session)).verified
    claim = platform.name("PersistentVolumeClaim", "data-app-0")
    uid = (await live(platform, api, "PersistentVolumeClaim", claim.name))["metadata"]["uid"]
    written = await ledger(platform, api)
    assert written is not None
    assert (written["volumes"], written["revision"]) == ({f"{platform.namespace}/data-app-0": uid}, 1)
    await api.delete(platform.name("StatefulSet", "app"))
    await api.delete(platform.name("Pod", "app-0"))
    await api.delete(claim)
    word = f"empty:PersistentVolumeClaim/{platform.namespace}/data-app-0"
    async with open_session(platform.settings(home=tmp_path / "another machine")) as another:
        assert another.records.all() == {}
        assert word in (await refused(platform, another)).fix
        assert (await platform.up(another, confirm=(word,))).verified
    ready = await verify(platform.load().components["app"], session)
    assert [check.passed for check in ready] == [True], ready


async def test_what_guards_nothing_is_not_written_and_what_is_written_is_not_written_again(
    platform: Platform, session: Session, api: Api, everything: Everything, tmp_path: Path
) -> None:
    platform.define()
    await platform.up(session)
    assert await ledger(platform, api) is None
    platform.define(secrets=SECRETS)
    await platform.up(session)
    written = await ledger(platform, api)
    assert written is not None
    assert written["generated"] == [f"{platform.namespace}/login/{key}" for key in ("password", "token")]
    before = await everything()
    assert (await platform.up(session)).verified
    async with open_session(platform.settings(home=tmp_path / "another machine")) as another:
        assert (await platform.up(another)).verified
    assert await everything() == before


async def test_it_outlives_the_release_as_the_data_does_and_goes_with_it(
    platform: Platform, session: Session, api: Api, volumes: str
) -> None:
    platform.define(stateful=True, secrets=SECRETS, values={"volume": volumes, "replicas": 1})
    await platform.up(session)
    before = await ledger(platform, api)
    await asyncio.to_thread(platform.run, "down", "--yes")
    assert await ledger(platform, api) == before
    assert session.records.all() == {}
    await api.delete(platform.name("PersistentVolumeClaim", "data-app-0"))
    word = f"empty:PersistentVolumeClaim/{platform.namespace}/data-app-0"
    assert word in (await refused(platform, session)).fix
    await asyncio.to_thread(platform.run, "down", "app", "--yes", "--delete-data", "app")
    assert await ledger(platform, api) is None
    assert (await platform.up(session)).verified


async def test_a_ledger_that_cannot_be_read_stops_what_it_guards(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    platform.define(secrets=SECRETS)
    await platform.up(session)
    await api.patch(platform.name("ConfigMap", "carbon-app"), {"data": {"ledger.json": "{"}})
    before = await everything()
    platform.define(secrets=SECRETS, values={"message": "new"})
    with pytest.raises(Exception, match="can't be read"):
        await platform.up(session)
    assert await everything() == before


async def test_a_lower_image_is_a_downgrade_also_of_what_was_uninstalled_before(
    platform: Platform, session: Session, everything: Everything
) -> None:
    def define(tag: str) -> None:
        platform.define(
            stateful=True,
            secrets=SECRETS,
            values={"objects": [workload(platform, "StatefulSet", f"example.invalid/db:{tag}")]},
        )

    define("16.2")
    await platform.up(session)
    before = await everything()
    define("15.4-alpine")
    error = await refused(platform, session)
    assert error.fix == "if that is meant: carbon up app --confirm downgrade:app"
    assert "image of main/db 16.2 → 15.4-alpine" in error.cause
    assert await everything() == before
    await asyncio.to_thread(platform.run, "down", "--yes")
    assert "16.2 → 15.4-alpine" in (await refused(platform, session)).cause
    assert (await platform.up(session, confirm=("downgrade:app",))).verified
    define("15.5-alpine")
    assert (await platform.up(session)).verified


async def copied(platform: Platform, session: Session, api: Api, kind: str = "Deployment") -> str:
    """A Secret copied from another, with a reader and a bystander; the value that the original was changed to."""
    environment = [{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "copy", "key": "secret"}}}]
    reader = workload(platform, kind, "example.invalid/reader:1", env=environment)
    platform.define("base", secrets=SECRETS)
    platform.define(needs=["base"], secrets=COPIES, values={"objects": [reader]})
    for key in ("base", "app"):
        await platform.up(session, key)
    changed = base64.b64encode(b"another value").decode()
    await api.patch(platform.name("Secret", "login"), {"data": {"token": changed}})
    return changed


async def template(platform: Platform, api: Api, name: str) -> Object:
    found: Object = (await live(platform, api, "Deployment", name))["spec"]["template"]
    return found


async def test_a_copied_secret_follows_its_original_and_who_reads_it_is_restarted(
    platform: Platform, session: Session, api: Api, everything: Everything
) -> None:
    changed = await copied(platform, session, api)
    bystander, reader = await template(platform, api, "app"), await template(platform, api, "one")
    told = f"Secret {platform.namespace}/copy key secret differs from its original Secret {platform.namespace}/login"
    loaded = platform.load()
    assert (await plans_of(loaded, ["app"], session))["app"].reason == told
    output = (await asyncio.to_thread(platform.run, "plan")).stdout
    assert "differs from its original" in output
    assert "another value" not in output
    assert changed not in output
    (ready,) = await verify(loaded.components["app"], session)
    assert (ready.passed, ready.detail) == (False, told)
    outcome = await platform.up(session)
    assert outcome.verified
    assert f"copied secret of Secret {platform.namespace}/copy again" in outcome.changes
    assert (await live(platform, api, "Secret", "copy"))["data"]["secret"] == changed
    assert await template(platform, api, "app") == bystander
    assert await template(platform, api, "one") != reader
    assert (await verify(loaded.components["app"], session))[0].passed
    before = await everything()
    assert not (await platform.up(session)).applied
    assert await everything() == before


async def test_a_kill_between_copying_and_restarting_loses_no_restart(
    platform: Platform, session: Session, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await copied(platform, session, api)
    reader = await template(platform, api, "one")

    async def killed(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("carbon_platform.materialization.deploy.restart_readers", killed)
    with pytest.raises(KeyboardInterrupt):
        await platform.up(session)
    monkeypatch.undo()
    (ready,) = await verify(platform.load().components["app"], session)
    assert "who reads it not restarted since" in ready.detail
    assert (await platform.up(session)).verified
    assert await template(platform, api, "one") != reader


async def test_healing_copies_a_secret_again(platform: Platform, session: Session, api: Api) -> None:
    changed = await copied(platform, session, api)
    async with healing(platform, session) as loop:
        await loop.quiet()
        await verify(platform.load().components["app"], session)
        incident = await loop.heal()
        assert (incident.outcome, loop.ran[0].remedy) == ("healed", Remedy.RECOPY)
    assert (await live(platform, api, "Secret", "copy"))["data"]["secret"] == changed


async def test_what_was_taken_down_is_not_brought_back_by_who_looked_before(
    platform: Platform, session: Session, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep, and a materialization that has nothing to do, hold no lease; they end after the uninstallation."""
    platform.define()
    await platform.up(session)
    component, over = platform.load().components["app"], asyncio.Event()
    looked = {"run": asyncio.Event(), "sweep": asyncio.Event()}

    async def proves(*told: Any) -> Proof:
        proof = await wait_and_verify(*told)
        looked["run"].set()
        await over.wait()
        return proof

    async def checks(*told: Any) -> list[CheckResult]:
        looked["sweep"].set()
        await over.wait()
        return []

    monkeypatch.setattr("carbon_platform.materialization.release.wait_and_verify", proves)
    monkeypatch.setattr("carbon_platform.materialization.verify.run_checks", checks)
    run, sweep = asyncio.create_task(platform.up(session)), asyncio.create_task(verify(component, session))
    await asyncio.gather(*(one.wait() for one in looked.values()))
    assert await uninstall(component, session, delete_data=False) == "uninstalled"
    over.set()
    assert (await run).verified
    await sweep
    assert session.records.all() == {}
    for remedy in (Remedy.REAPPLY, Remedy.VERIFY, Remedy.RESTART):
        with pytest.raises(Overtaken, match="it was taken down"):
            await platform.up(session, remedy=remedy)
    assert await api.get(platform.name("Deployment", "app")) is None
    monkeypatch.undo()
    assert (await platform.up(session)).verified
    assert session.records.get("app").verified_at


async def test_healing_of_another_machine_does_not_bring_back_what_was_uninstalled(
    platform: Platform, session: Session, api: Api, tmp_path: Path
) -> None:
    platform.define()
    async with open_session(platform.settings(home=tmp_path / "another machine")) as another:
        for one in (session, another):
            assert (await platform.up(one)).verified
        await uninstall(platform.load().components["app"], session, delete_data=False)
        assert another.records.get("app").verified_at
        with pytest.raises(Blocked, match="was uninstalled, so healing leaves it"):
            await platform.up(another, remedy=Remedy.REAPPLY)
    assert await api.get(platform.name("Deployment", "app")) is None


class Shelf(Content):
    """Content whose live state a test has in its hands."""

    live: ClassVar[dict[str, str]] = {}

    declared: dict[str, str]

    def objects(self) -> tuple[str, ...]:
        return tuple(f"topic {name}" for name in self.declared)

    async def plan(self, reach: Reach) -> list[ContentChange]:
        return [
            ContentChange(f"topic {name}", "change" if name in self.live else "create", creates=name not in self.live)
            for name, text in self.declared.items()
            if self.live.get(name) != text
        ]

    async def apply(self, reach: Reach) -> None:
        self.live.update(self.declared)


@pytest.fixture
def shelf(platform: Platform) -> Component:
    """Content with two topics, in the place of the release."""
    Shelf.live.clear()
    platform.define("base")
    platform.define()
    return _content(platform, a="1", b="1")


def _content(platform: Platform, policy: str = "correct", **declared: str) -> Component:
    platform.define(drift={"policy": policy})
    component = platform.load().components["app"]
    return dataclasses.replace(component, release=None, content=Shelf(type="test.shelf", declared=declared))


async def materialize(component: Component, session: Session, *words: str, remedy: Remedy | None = None) -> Outcome:
    return await materialize_content(component, session, Options(confirm=words, remedy=remedy))


async def words_for(component: Component, session: Session, **options: Any) -> Sequence[str]:
    with pytest.raises(DataAtRisk) as caught:
        await materialize(component, session, **options)
    return [part.split("'")[0] for part in caught.value.fix.split("--confirm '")[1:]]


async def test_content_that_was_there_and_is_gone_is_made_anew_on_a_word_only(
    platform: Platform, session: Session, shelf: Component, tmp_path: Path, api: Api
) -> None:
    assert (await materialize(shelf, session)).verified
    written = await ledger(platform, api)
    assert written is not None
    assert written["content"] == ["topic a", "topic b"]
    del Shelf.live["a"]
    assert await words_for(shelf, session) == ["content:topic a"]
    assert await words_for(shelf, session, remedy=Remedy.REAPPLY) == ["content:topic a"]
    assert "--confirm 'content:topic a'" in session.records.get("app").quarantined
    more = _content(platform, a="1", b="1", c="1")
    assert await words_for(more, session) == ["content:topic a"]
    async with open_session(platform.settings(home=tmp_path / "another machine")) as another:
        assert await words_for(more, another) == ["content:topic a"]
    assert set(Shelf.live) == {"b"}
    assert (await materialize(more, session, "content:topic a")).verified
    assert set(Shelf.live) == {"a", "b", "c"}


async def test_a_new_topic_takes_no_word_and_a_try_that_made_none_asks_for_none_later(
    platform: Platform, session: Session, shelf: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Shelf, reach: Reach) -> None:
        raise Blocked("the brokers are away")

    monkeypatch.setattr(Shelf, "apply", fails)
    with pytest.raises(Blocked):
        await materialize(shelf, session)
    monkeypatch.undo()
    assert (await materialize(shelf, session)).verified


async def test_healing_leaves_edits_of_content_that_are_to_be_told_only(platform: Platform, session: Session) -> None:
    Shelf.live.clear()
    shelf = _content(platform, "report", a="1", b="1")
    await materialize(shelf, session)
    Shelf.live["a"] = "edited"
    for remedy in (Remedy.REAPPLY, Remedy.VERIFY):
        outcome = await materialize(shelf, session, remedy=remedy)
        assert (outcome.verified, outcome.changes) == (True, ())
        (told,) = outcome.checks
        assert (told.passed, told.warning, told.failed) == (False, True, False)
    assert Shelf.live["a"] == "edited"
    assert (await materialize(shelf, session)).changes == ("topic a: change",)
    del Shelf.live["a"]
    assert await words_for(shelf, session, remedy=Remedy.REAPPLY) == ["content:topic a"]


async def test_the_name_of_the_ledger_may_be_nobody_elses(platform: Platform, session: Session, api: Api) -> None:
    metadata = {"name": "carbon-app", "namespace": platform.namespace}
    platform.define(values={"objects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}]})
    await platform.up(session)
    with pytest.raises(Exception, match="is not the ledger of app"):
        await platform.up(session)
    assert await api.get(ObjectName("v1", "ConfigMap", platform.namespace, "carbon-app")) is not None
