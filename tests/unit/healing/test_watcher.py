"""What changes is asked about at once; what stays the same, or is not answered, less and less often."""

import asyncio
import dataclasses
import datetime
import time
from types import SimpleNamespace
from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError
from carbon_platform.healing import watcher
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.watcher import View, _Following, _Settling
from carbon_platform.release.desired import Desired
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.plan import Action, Change
from carbon_platform.settings import Settings
from carbon_platform.spec.rules import NO_RULES
from tests.definitions import Definitions

UNREADY = (Symptom(Sign.UNREADY, "Deployment here/app", "0/1 pods available"),)
CONFIG: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "here"}}
WORSE = (Symptom(Sign.UNREADY, "Deployment here/app", "0/2 pods available"),)


class Asked(_Following):
    """It counts how often the cluster is asked."""

    times = 0
    hangs = False

    async def _why(self, symptoms: tuple[Symptom, ...], desired: Desired) -> tuple[Symptom, ...]:
        self.times += 1
        if self.hangs:
            await asyncio.Event().wait()
        return tuple(dataclasses.replace(symptom, fix=f"told {self.times}") for symptom in symptoms)

    def pass_(self) -> float:
        """Let the pause be over; how long it was."""
        last = self._explanations["app"]
        self._explanations["app"] = dataclasses.replace(last, due=0.0)
        return last.pause


@pytest.fixture
def following() -> Asked:
    nowhere: Any = None
    made = Asked(Settings(), nowhere, lambda view: None, _Settling())
    made._desired["app"] = nowhere
    return made


async def test_what_stays_the_same_is_not_asked_about_at_each_look(following: Asked) -> None:
    first = await following._explained("app", UNREADY)
    assert await following._explained("app", UNREADY) is first
    assert following.times == 1


async def test_what_changes_is_asked_about_at_once(following: Asked) -> None:
    await following._explained("app", UNREADY)
    (told,) = await following._explained("app", WORSE)
    assert (told.text, told.fix) == ("0/2 pods available", "told 2")


async def test_what_somebody_worked_on_is_asked_about_anew_when_they_have_ended(following: Asked) -> None:
    await following._explained("app", UNREADY)
    assert await following._explained("app", UNREADY, busy=True) == UNREADY
    assert following.times == 1
    (told,) = await following._explained("app", UNREADY)
    assert told.fix == "told 2"


async def test_what_can_not_be_told_in_time_is_what_was_told_before(
    following: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_ANSWER_SECONDS", 0.01)
    first = await following._explained("app", UNREADY)
    following.hangs = True
    following.pass_()
    assert await following._explained("app", UNREADY) is first
    assert await following._explained("app", WORSE) == WORSE
    following.hangs = False
    following.pass_()
    (told,) = await following._explained("app", WORSE)
    assert told.fix == "told 4"


async def test_each_pause_is_twice_the_one_before_up_to_a_longest_and_short_again_after_a_change(
    following: Asked,
) -> None:
    pauses = []
    for number in range(1, 7):
        (told,) = await following._explained("app", UNREADY)
        assert told.fix == f"told {number}"
        pauses.append(following.pass_())
    assert pauses == [2, 4, 8, 16, 30, 30]
    await following._explained("app", WORSE)
    assert following.pass_() == 2


class Declared(_Following):
    """One ConfigMap, and what the cluster has in its place."""

    live: Object | None = None

    def _find(self, name: ObjectName) -> Object | None:
        return self.live

    async def look(self) -> list[str]:
        """The fields that were found edited."""
        await self._compare([(CONFIG, NO_RULES)])
        return [field.path for fields in self._edits.values() for field in fields]

    def hurry(self) -> float:
        """Let the pause be over; how long it was."""
        ((name, last),) = self._unanswered.items()
        self._unanswered[name] = dataclasses.replace(last, due=0.0)
        return last.pause


def written(version: str, message: str = "as declared") -> Object:
    """What is live."""
    return {**CONFIG, "metadata": CONFIG["metadata"] | {"resourceVersion": version}, "data": {"message": message}}


class InMemoryApi:
    """Stands in for the API server's answer to a comparison, and for who asks it."""

    def __init__(self) -> None:
        nobody: Any = SimpleNamespace(api=None)
        self.following = Declared(Settings(), nobody, lambda view: None, _Settling())
        self.asked = 0
        self.failure: CarbonError | None = None
        self.hangs = False

    async def compare(self, obj: Object, *_: object) -> Change | None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure
        field = FieldChange("data.message", "edited", "as declared")
        edited = self.following.live is not None and self.following.live["data"]["message"] == "edited"
        return Change(Action.UPDATE, ObjectName.of(obj), (field,)) if edited else None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> InMemoryApi:
    made = InMemoryApi()
    monkeypatch.setattr(watcher, "compare", made.compare)
    return made


async def test_only_what_somebody_wrote_is_compared(server: InMemoryApi) -> None:
    seen = server.following
    seen.live = written("1")
    assert await seen.look() == await seen.look() == []
    seen.live = written("2")
    assert await seen.look() == []
    assert server.asked == 1
    seen.live = written("3", "edited")
    assert await seen.look() == ["data.message"]
    assert server.asked == 2


async def test_an_edit_that_could_not_be_compared_is_looked_for_again_after_pauses_that_grow(
    server: InMemoryApi,
) -> None:
    seen, server.failure = server.following, CarbonError("no answer", "a webhook is away")
    seen.live = written("1", "edited")
    pauses = []
    for number in range(1, 7):
        assert await seen.look() == await seen.look() == []
        assert server.asked == number, "it is not asked at each look"
        pauses.append(seen.hurry())
    assert pauses == [2, 4, 8, 16, 30, 30]
    server.failure = None
    assert await seen.look() == ["data.message"]
    assert await seen.look() == ["data.message"]
    assert server.asked == 7


async def test_a_comparison_that_hangs_does_not_keep_back_the_others(
    server: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_ANSWER_SECONDS", 0.01)
    seen, server.hangs = server.following, True
    seen.live = written("1", "edited")
    assert await seen.look() == []
    server.hangs = False
    seen.hurry()
    assert await seen.look() == ["data.message"]


async def test_what_was_deleted_and_made_again_with_the_same_edit_is_compared_anew(server: InMemoryApi) -> None:
    seen = server.following
    seen.live = written("1", "edited")
    assert await seen.look() == ["data.message"]
    seen.live = None
    assert await seen.look() == []
    seen.live = written("3", "edited")
    assert await seen.look() == ["data.message"]


def test_that_nothing_can_be_seen_is_logged_once_and_that_it_can_again(caplog: pytest.LogCaptureFixture) -> None:
    made, seen = watcher.Watcher(Settings()), View(unreachable="")
    for view in (seen, View(unreachable="no node"), View(unreachable="no node", cluster_id="x"), seen, seen):
        made._publish(view)
    assert caplog.messages == ["the platform can't be seen: no node", "the platform is seen again"]


def settles_in(settling: _Settling) -> float:
    """Seconds from now."""
    now = datetime.datetime.now(datetime.UTC)
    return (datetime.datetime.fromisoformat(settling.at) - now).total_seconds()


@pytest.mark.parametrize(("lasted", "pause"), [(0, 0), (2, 4), (30, 60), (300, 60)])
def test_a_cluster_has_settled_when_the_longest_pause_of_who_watches_is_over(lasted: float, pause: float) -> None:
    settling, now = _Settling(), time.monotonic()
    assert settling.at == ""
    settling.after((now - lasted, now))
    assert settles_in(settling) == pytest.approx(pause, abs=0.5)
    told = settling.at
    settling.after((now - lasted, now))
    assert settling.at == told, "the same outage is told the same way"
    settling.after((now - 10, now - 5))
    assert settling.at == told, "an earlier one does not count any more"


def test_files_that_a_definition_takes_in_are_watched_with_it(definitions: Definitions) -> None:
    folder = definitions.manifests("objects", files=["parts/*.yaml"]).parent / "parts"
    folder.mkdir()
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
    (folder / "a.yaml").write_text(text % "a", encoding="utf-8")
    watched = watcher._charts(definitions.load())
    assert {folder / "a.yaml", folder} <= set(watcher._files(watched))
    (folder / "a.yaml").unlink()
    assert folder / "a.yaml" not in set(watcher._files(watched))
