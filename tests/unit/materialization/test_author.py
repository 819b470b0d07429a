"""Who asked for a materialization is remembered where no attempt of healing did."""

import dataclasses
from pathlib import Path
from typing import cast

import pytest

from carbon_platform.errors import NotReady
from carbon_platform.materialization.author import Author, asked_by, author
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.materialization.record import record_failure, record_outcome
from carbon_platform.records import MATERIALIZATIONS, CheckResult, Record, Records
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions

DONE = Outcome("db", 1, "digest", True, (), (CheckResult("ready", True, "", "2026-01-01"),), {}, {}, {}, ("a topic",))


@dataclasses.dataclass
class StubSession:
    """Stands in for a Session where only the records are used."""

    records: Records


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return cast(Session, StubSession(Records(tmp_path / "records.db", "cluster")))


@pytest.fixture
def component(definitions: Definitions) -> Component:
    definitions.chart()
    definitions.release("db")
    return definitions.load().components["db"]


def test_a_person_s_materialization_is_remembered_with_its_run_and_healing_s_is_not(
    session: Session, component: Component
) -> None:
    record_outcome(DONE, component, session, healing=True)
    with asked_by(Author("carbon up", "run-1")):
        record_outcome(DONE, component, session, healing=False)
    (made,) = session.records.get("db").materialized
    assert (made.by, made.run_id, made.changed, made.failure, made.lost) == (
        "carbon up",
        "run-1",
        True,
        "",
        ("a topic",),
    )


def test_one_whose_checks_failed_or_that_did_not_get_so_far_says_why(session: Session, component: Component) -> None:
    failed = dataclasses.replace(DONE, checks=(CheckResult("query", False, "no answer", "2026-01-01"),))
    record_outcome(failed, component, session, healing=False)
    error = NotReady("db can't become ready", "no room")
    record_failure(error, component, session, "2026-01-01", healing=False)
    session.records.update("db", lambda record: dataclasses.replace(record, changed_at="2026-01-02"))
    record_failure(error, component, session, "2026-01-01", healing=False)
    record_failure(error, component, session, "2026-01-01", healing=True)
    told = [(one.failure, one.changed) for one in session.records.get("db").materialized]
    why = "db can't become ready: no room"
    assert told == [("query: no answer", True), (why, False), (why, True)]


def test_only_the_last_ones_are_remembered_and_old_records_have_none(session: Session, component: Component) -> None:
    for _ in range(MATERIALIZATIONS + 2):
        record_outcome(DONE, component, session, healing=False)
    assert len(session.records.get("db").materialized) == MATERIALIZATIONS
    assert Record("db").materialized == ()


def test_without_anybody_who_says_so_it_is_this_process() -> None:
    with asked_by(Author("carbon up", "run-1")):
        assert author() == Author("carbon up", "run-1")
    assert "process" in author().by
