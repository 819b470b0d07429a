"""Why something is wrong is asked at once when it changes, and less and less often while it stays the same."""

import dataclasses
import datetime
import time
from typing import Any

import pytest

from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.healing.watcher import _Following, _Settling
from carbon_platform.release.render import Desired
from carbon_platform.settings import Settings

UNREADY = (Symptom(Sign.UNREADY, "Deployment here/app", "0/1 pods available"),)
WORSE = (Symptom(Sign.UNREADY, "Deployment here/app", "0/2 pods available"),)


class Asked(_Following):
    """It counts how often the cluster is asked."""

    times = 0

    async def _why(self, symptoms: tuple[Symptom, ...], desired: Desired) -> tuple[Symptom, ...]:
        self.times += 1
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
