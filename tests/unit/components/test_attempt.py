"""A healing run that Dagster could not begin ends its attempt; one that may still begin does not."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from carbon_platform.components.attempt import attempt_of, over_before_it_began, tags
from carbon_platform.errors import DataAtRisk
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import Book
from carbon_platform.healing.loop import Request
from carbon_platform.healing.symptoms import CauseKey
from carbon_platform.materialization.author import Author, author
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.settings import settings

QUEUED = dg.DagsterRunStatus.QUEUED
"""Dagster stores such a run only together with the code location that it is of."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Asked for; its attempt is in the book."""
    monkeypatch.setenv("CARBON_HOME", str(tmp_path))
    settings.cache_clear()
    identity = book().open("cache", CauseKey("gone", "StatefulSet cache"), "it was deleted", "", time.time())
    attempt = book().claim(identity, "cache", Remedy.REAPPLY, time.time())
    assert attempt is not None
    return Request(identity, attempt.number, ("cache",), Remedy.REAPPLY, "it was deleted")


def book() -> Book:
    return Book(settings().home / "incidents.db", "a cluster")


def incident() -> Incident:
    (one,) = book().incidents()
    return one


def test_without_a_run_it_may_still_begin(instance: dg.DagsterInstance, request_: Request) -> None:
    assert not over_before_it_began(request_, instance)
    assert incident().attempts[0].ended_at is None


@pytest.mark.parametrize("status", [status for status in dg.DagsterRunStatus if status is not QUEUED])
def test_a_run_that_is_over_ends_its_attempt_and_another_s_does_not(
    instance: dg.DagsterInstance, request_: Request, status: dg.DagsterRunStatus
) -> None:
    other = Request(request_.incident, request_.number + 1, ("cache",), Remedy.REAPPLY, "")
    instance.add_run(dg.DagsterRun("heal", run_id=str(uuid.uuid4()), status=status, tags=tags(request_)))
    over = status in {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    assert not over_before_it_began(other, instance)
    assert over_before_it_began(request_, instance) is over
    assert (incident().attempts[0].ended_at is not None) is over
    if over:
        assert incident().attempts[0].result.endswith(f"before it began: {status.value.lower()}")


@pytest.mark.parametrize(
    ("tags_", "by"),
    [
        ({"carbon/command": "up"}, "carbon up"),
        ({"dagster/schedule_name": "nightly"}, "schedule nightly in Dagster"),
        ({"dagster/sensor_name": "files"}, "sensor files in Dagster"),
        ({}, "a run in Dagster"),
    ],
)
def test_a_run_that_heals_nothing_says_who_asked_for_it(tags_: dict[str, str], by: str) -> None:
    run = dg.DagsterRun("up", run_id="run-1", tags=tags_)
    with attempt_of(run).under_way(print):
        assert author() == Author(by, "run-1")
    assert author().run_id == ""


def test_a_run_that_heals_writes_down_what_it_came_to(request_: Request) -> None:
    refused = DataAtRisk("refused", "it is gone", "carbon up cache --confirm it", lost=["a volume"])
    attempt = attempt_of(dg.DagsterRun("heal", run_id="run-1", tags=tags(request_)))
    with pytest.raises(DataAtRisk), attempt.under_way(print):
        raise refused
    made = incident().attempts[0]
    assert (made.result, made.lost, made.cut_short) == ("refused: it is gone", ("a volume",), False)
    assert incident().mend == "carbon up cache --confirm it"


def run_of(request: Request, **more: str) -> dg.DagsterRun:
    return dg.DagsterRun("heal", run_id=str(uuid.uuid4()), tags=tags(request), **more)


def test_a_run_does_the_remedy_of_its_tags_and_a_person_s_has_none(request_: Request) -> None:
    assert attempt_of(run_of(request_)).remedy is Remedy.REAPPLY
    assert attempt_of(dg.DagsterRun("any", run_id=str(uuid.uuid4()))).remedy is None


def test_a_healing_run_that_a_person_runs_again_is_an_ordinary_materialization(request_: Request) -> None:
    parent = str(uuid.uuid4())
    again = attempt_of(run_of(request_, parent_run_id=parent, root_run_id=parent))
    assert again.remedy is None
    with again.under_way(lambda _: None):
        assert incident().attempts[0].started_at is None
    assert incident().attempts[0].ended_at is None
