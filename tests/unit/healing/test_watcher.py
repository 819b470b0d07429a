"""What changes is asked about at once; what stays the same, or is not answered, less and less often."""

import asyncio
import dataclasses
import datetime
import time
from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, Unreachable
from carbon_platform.healing import edits, explanations
from carbon_platform.healing.edits import Edits
from carbon_platform.healing.explanations import Explanations
from carbon_platform.healing.retry import Retry
from carbon_platform.healing.settling import Settling
from carbon_platform.healing.sources import files_below, taken_in_by
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.view import View
from carbon_platform.healing.watcher import Watcher
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.plan import Action, Change
from carbon_platform.settings import Settings
from carbon_platform.spec.rules import NO_RULES
from tests.definitions import Definitions

UNREADY = (Symptom(Sign.UNREADY, "Deployment here/app", "0/1 pods available"),)
CONFIG: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "here"}}
WORSE = (Symptom(Sign.UNREADY, "Deployment here/app", "0/2 pods available"),)


class Cluster:
    """Stands in for the cluster that is asked for causes; it counts how often."""

    def __init__(self) -> None:
        self.asked = 0
        self.hangs = False
        self.failure: Exception | None = None
        self.known = Explanations(self._why)

    async def _why(self, key: str, symptoms: tuple[Symptom, ...]) -> tuple[Symptom, ...]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure
        return tuple(dataclasses.replace(symptom, fix=f"told {self.asked}") for symptom in symptoms)

    async def explained(self, symptoms: tuple[Symptom, ...]) -> tuple[Symptom, ...]:
        return await self.known.of("app", symptoms)

    def hurry(self) -> float:
        """Let the pause be over; how long it was."""
        last = self.known._known["app"]
        self.known._known["app"] = dataclasses.replace(last, retry=Retry(0.0, last.retry.pause))
        return last.retry.pause


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_what_stays_the_same_is_not_asked_about_at_each_look(cluster: Cluster) -> None:
    first = await cluster.explained(UNREADY)
    assert await cluster.explained(UNREADY) is first
    assert cluster.asked == 1


async def test_what_changes_is_asked_about_at_once(cluster: Cluster) -> None:
    await cluster.explained(UNREADY)
    (told,) = await cluster.explained(WORSE)
    assert (told.text, told.fix) == ("0/2 pods available", "told 2")


async def test_what_is_forgotten_is_asked_about_anew(cluster: Cluster) -> None:
    await cluster.explained(UNREADY)
    cluster.known.forget_all_but([])
    (told,) = await cluster.explained(UNREADY)
    assert told.fix == "told 2"


async def test_what_can_not_be_told_in_time_is_what_was_told_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "_ANSWER_SECONDS", 0.01)
    first = await cluster.explained(UNREADY)
    cluster.hangs = True
    cluster.hurry()
    assert await cluster.explained(UNREADY) is first
    assert await cluster.explained(WORSE) == WORSE
    cluster.hangs = False
    cluster.hurry()
    (told,) = await cluster.explained(WORSE)
    assert told.fix == "told 4"


async def test_a_crash_while_one_is_explained_is_logged_with_its_place_and_ends_nothing(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.failure = KeyError("replicas")
    assert await cluster.explained(UNREADY) == UNREADY
    assert "KeyError: 'replicas'" in caplog.text
    assert "explanations.py" in caplog.text


async def test_that_the_cluster_is_away_is_no_matter_of_one_component(cluster: Cluster) -> None:
    cluster.failure = Unreachable("nobody answers")
    with pytest.raises(Unreachable):
        await cluster.explained(UNREADY)


async def test_each_pause_is_twice_the_one_before_up_to_a_longest_and_short_again_after_a_change(
    cluster: Cluster,
) -> None:
    pauses = []
    for number in range(1, 7):
        (told,) = await cluster.explained(UNREADY)
        assert told.fix == f"told {number}"
        pauses.append(cluster.hurry())
    assert pauses == [2, 4, 8, 16, 30, 30]
    await cluster.explained(WORSE)
    assert cluster.hurry() == 2


def written(version: str, message: str = "as declared") -> Object:
    """What is live."""
    return {**CONFIG, "metadata": CONFIG["metadata"] | {"resourceVersion": version}, "data": {"message": message}}


class InMemoryApi:
    """Stands in for the API server's answer to a comparison, and for what is live."""

    def __init__(self) -> None:
        nobody: Any = None
        self.edits = Edits(nobody, lambda name: self.live)
        self.live: Object | None = None
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
        edited = self.live is not None and self.live["data"]["message"] == "edited"
        return Change(Action.UPDATE, ObjectName.of(obj), (field,)) if edited else None

    async def look(self) -> list[str]:
        """The fields that were found edited."""
        await self.edits.update([(CONFIG, NO_RULES)])
        return [field.path for change in self.edits.found.values() for field in change.fields]

    def hurry(self) -> float:
        """Let the pause be over; how long it was."""
        ((name, last),) = self.edits._unanswered.items()
        self.edits._unanswered[name] = Retry(0.0, last.pause)
        return last.pause


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> InMemoryApi:
    made = InMemoryApi()
    monkeypatch.setattr(edits, "compare", made.compare)
    return made


async def test_only_what_somebody_wrote_is_compared(server: InMemoryApi) -> None:
    server.live = written("1")
    assert await server.look() == await server.look() == []
    server.live = written("2")
    assert await server.look() == []
    assert server.asked == 1
    server.live = written("3", "edited")
    assert await server.look() == ["data.message"]
    assert server.asked == 2


async def test_an_edit_that_could_not_be_compared_is_looked_for_again_after_pauses_that_grow(
    server: InMemoryApi,
) -> None:
    server.failure = CarbonError("no answer", "a webhook is away")
    server.live = written("1", "edited")
    pauses = []
    for number in range(1, 7):
        assert await server.look() == await server.look() == []
        assert server.asked == number, "it is not asked at each look"
        pauses.append(server.hurry())
    assert pauses == [2, 4, 8, 16, 30, 30]
    server.failure = None
    assert await server.look() == ["data.message"]
    assert await server.look() == ["data.message"]
    assert server.asked == 7


async def test_a_comparison_that_hangs_does_not_keep_back_the_others(
    server: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "_ANSWER_SECONDS", 0.01)
    server.hangs = True
    server.live = written("1", "edited")
    assert await server.look() == []
    server.hangs = False
    server.hurry()
    assert await server.look() == ["data.message"]


async def test_what_was_deleted_and_made_again_with_the_same_edit_is_compared_anew(server: InMemoryApi) -> None:
    server.live = written("1", "edited")
    assert await server.look() == ["data.message"]
    server.live = None
    assert await server.look() == []
    server.live = written("3", "edited")
    assert await server.look() == ["data.message"]


def test_that_nothing_can_be_seen_is_logged_once_and_that_it_can_again(caplog: pytest.LogCaptureFixture) -> None:
    made, seen = Watcher(Settings()), View(unreachable="")
    for view in (seen, View(unreachable="no node"), View(unreachable="no node", cluster_id="x"), seen, seen):
        made._publish(view)
    assert caplog.messages == ["the platform can't be seen: no node", "the platform is seen again"]


def settles_in(settling: Settling) -> float:
    """Seconds from now."""
    now = datetime.datetime.now(datetime.UTC)
    return (datetime.datetime.fromisoformat(settling.at) - now).total_seconds()


@pytest.mark.parametrize(("lasted", "pause"), [(0, 0), (2, 4), (30, 60), (300, 60)])
def test_a_cluster_has_settled_when_the_longest_pause_of_who_watches_is_over(lasted: float, pause: float) -> None:
    settling, now = Settling(), time.monotonic()
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
    watched = taken_in_by(definitions.load())
    assert {folder / "a.yaml", folder} <= set(files_below(watched))
    (folder / "a.yaml").unlink()
    assert folder / "a.yaml" not in set(files_below(watched))
