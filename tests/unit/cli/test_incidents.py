"""The story of an incident on a terminal of 80 columns, in a pipe, and as JSON."""

import dataclasses
import datetime

import pytest

from carbon_platform.cli.incidents import as_json
from carbon_platform.cli.story import duration, lines
from carbon_platform.healing.ending import HEALED, MENDED
from carbon_platform.healing.incident import Edit, Incident, Tried
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record
from carbon_platform.release.edited import EditedField

WORDS = ("path", "live", "desired", "by", "at")
OPENED = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC).timestamp()
REPLICAS = EditedField("spec.replicas", "0", "2", "kubectl-scale", "2026-01-01T11:59:58Z")
CLAIM = "PersistentVolumeClaim data/data-redis-0"


def tried(number: int, remedy: Remedy, begun: float, lasted: float | None, **more: object) -> Tried:
    ended = None if lasted is None else OPENED + begun + lasted
    made = Tried("redis-1a2b3c4d", number, "redis", remedy, ("redis",), OPENED + begun, started_at=OPENED + begun)
    return dataclasses.replace(made, ended_at=ended, **more)  # type: ignore[arg-type]


HEALED_ONE = Incident(
    "redis-1a2b3c4d",
    "redis",
    "edited",
    "StatefulSet data/redis",
    f"StatefulSet data/redis: {REPLICAS}",
    "carbon up redis",
    OPENED,
    OPENED + 194.2,
    HEALED,
    waiting=("portal", "web"),
    edits=(Edit("StatefulSet data/redis", REPLICAS),),
    ending="attempt 3, re-apply, healed it",
    lost=("what a pod that was replaced had in memory and in cache (emptyDir)",),
    attempts=(
        tried(1, Remedy.REAPPLY, 0.2, 4.0, cut_short=True, result="the API server can't be reached"),
        tried(2, Remedy.REAPPLY, 20, 61, result="redis_roundtrip: no answer within 5 s"),
        tried(3, Remedy.REAPPLY, 120, 8, helped=True, changed=True, result="update StatefulSet data/redis"),
        dataclasses.replace(tried(4, Remedy.WAKE, 130, 64, helped=True), of=("web", "portal")),
    ),
)
HEALED_AT_80 = """
2026-01-01 12:00:00  redis  healed after 3 min 14 s  redis-1a2b3c4d
  StatefulSet data/redis: spec.replicas: 0 → 2  (by kubectl-scale at
    2026-01-01T11:59:58Z)
  1. re-apply (+0.2 s, 4.0 s)  cut short: the API server can't be reached
  2. re-apply (+20.0 s, 1 min 1 s)  did not help: redis_roundtrip: no answer
    within 5 s
  3. re-apply (+2 min 0 s, 8.0 s)  helped: update StatefulSet data/redis
  4. wake web, portal (+2 min 10 s, 1 min 4 s)  helped
  ended: attempt 3, re-apply, healed it
  lost: what a pod that was replaced had in memory and in cache (emptyDir)
  waited for it: portal, web
"""
MENDED_ONE = dataclasses.replace(
    HEALED_ONE,
    closed_at=OPENED + 42,
    outcome=MENDED,
    waiting=(),
    lost=(),
    ending="kubectl-patch wrote StatefulSet data/redis at 2026-01-01T12:00:30Z",
    edits=(*HEALED_ONE.edits, Edit("Service data/redis", EditedField("spec.port", "1", "2", "me"))),
    attempts=(tried(1, Remedy.REAPPLY, 0.2, 4.0, helped=True, changed=False, result="nothing had to be changed"),),
)
MENDED_AT_80 = """
2026-01-01 12:00:00  redis  mended by others after 42.0 s  redis-1a2b3c4d
  StatefulSet data/redis: spec.replicas: 0 → 2  (by kubectl-scale at
    2026-01-01T11:59:58Z)
  edited: Service data/redis: spec.port: 1 → 2  (by me)
  1. re-apply (+0.2 s, 4.0 s)  found it well: nothing had to be changed
  ended: kubectl-patch wrote StatefulSet data/redis at 2026-01-01T12:00:30Z
"""
WORD = "carbon up redis --confirm empty:PersistentVolumeClaim/data/data-redis-0"
OPEN_ONE = Incident(
    "redis-5e6f7a8b",
    "redis",
    "missing",
    "StatefulSet data/redis",
    "StatefulSet data/redis: it was deleted",
    "carbon up redis",
    OPENED,
    lost=(f"{CLAIM}, which is gone or goes when its pod ends",),
    attempts=(
        tried(1, Remedy.REAPPLY, 0.2, 1, result=f"redis: the plan would touch data: {CLAIM} is gone", fix=WORD),
        tried(2, Remedy.REAPPLY, 12, None),
        dataclasses.replace(tried(3, Remedy.REAPPLY, 20, None), started_at=None),
    ),
)
OPEN_AT_80 = """
2026-01-01 12:00:00  redis  quarantined  redis-5e6f7a8b
  StatefulSet data/redis: it was deleted
  1. re-apply (+0.2 s, 1.0 s)  did not help: redis: the plan would touch data:
    PersistentVolumeClaim data/data-redis-0 is gone
  2. re-apply (+12.0 s)  runs
  3. re-apply (not begun)  asked for
  lost: PersistentVolumeClaim data/data-redis-0, which is gone or goes when
    its pod ends
  1 attempt did not help
  fix: carbon up redis --confirm empty:PersistentVolumeClaim/data/data-redis-0
"""


def told(incident: Incident, state: str, quarantined: str, width: int | None) -> list[str]:
    return [line.plain for line in lines(incident, state, quarantined, width, datetime.UTC)]


@pytest.mark.parametrize(
    ("incident", "state", "quarantined", "golden"),
    [
        (HEALED_ONE, HEALED, "", HEALED_AT_80),
        (MENDED_ONE, MENDED, "", MENDED_AT_80),
        (OPEN_ONE, "quarantined", "1 attempt did not help", OPEN_AT_80),
    ],
    ids=["healed", "mended by others", "open"],
)
def test_the_whole_story_is_read_at_80_columns(incident: Incident, state: str, quarantined: str, golden: str) -> None:
    made = told(incident, state, quarantined, 80)
    assert made == golden.strip().splitlines()
    assert all(len(line) <= 80 for line in made)


@pytest.mark.parametrize("incident", [HEALED_ONE, MENDED_ONE, OPEN_ONE], ids=["healed", "mended", "open"])
@pytest.mark.parametrize("width", [40, 60, 120])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(incident: Incident, width: int) -> None:
    made, whole = told(incident, "state", "", width), told(incident, "state", "", None)
    assert all(len(line) <= width for line in made)
    assert "".join("".join(made).split()) == "".join("".join(whole).split())


def test_in_a_pipe_each_part_is_one_line() -> None:
    made = told(HEALED_ONE, HEALED, "", None)
    assert made[1] == f"  StatefulSet data/redis: {REPLICAS}"
    assert made[3] == "  2. re-apply (+20.0 s, 1 min 1 s)  did not help: redis_roundtrip: no answer within 5 s"
    assert len(made) == 9


def test_a_fix_that_the_quarantine_names_already_is_told_once_and_without_any_the_doctor_is_named() -> None:
    assert sum(WORD in line for line in told(OPEN_ONE, "quarantined", f"refused; {WORD}", None)) == 1
    nothing = dataclasses.replace(OPEN_ONE, fix="", attempts=())
    assert told(nothing, "open", "", None)[-1] == "  fix: carbon doctor redis"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0.0 s"), (4.26, "4.3 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")],
)
def test_a_duration_is_told_as_a_person_says_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_json_tells_the_same_story() -> None:
    made = as_json(HEALED_ONE, {})
    assert made["outcome"] == "healed"
    assert made["ending"] == HEALED_ONE.ending
    assert made["edits"] == [{"object": "StatefulSet data/redis", **{name: getattr(REPLICAS, name) for name in WORDS}}]
    assert made["lost"] == [*HEALED_ONE.lost]
    assert [one["came"] for one in made["attempts"]] == ["cut short", "did not help", "helped", "helped"]
    open_one = as_json(OPEN_ONE, {"redis": Record("redis", quarantined="why")})
    assert (open_one["outcome"], open_one["fix"]) == ("quarantined", WORD)
