"""The book of incidents: what several processes write at once happens once."""

import contextlib
import dataclasses
import multiprocessing
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from carbon_platform.healing.incident import Came, Edit, Ended
from carbon_platform.healing.incidents import Book
from carbon_platform.healing.result import Result
from carbon_platform.healing.symptoms import CauseKey
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.edited import EditedField

NOW = 1_000_000.0
KEY = CauseKey("missing", "StatefulSet here/db")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the book is; nothing is there yet."""
    return tmp_path / "new" / "incidents.db"


@pytest.fixture
def book(file: Path) -> Book:
    """The book of one cluster."""
    return Book(file, "cluster")


def opened(book: Book, component: str = "db", now: float = NOW) -> str:
    return book.open(component, KEY, "it was deleted", "put it back", now)


def test_nothing_is_written_by_reading(book: Book, file: Path) -> None:
    assert book.incidents() == []
    assert book.attempts_since(0) == []
    assert not file.exists()


def test_a_story_is_read_as_it_was_written(book: Book) -> None:
    incident = opened(book)
    first = book.claim(incident, "db", Remedy.REAPPLY, NOW + 1)
    assert first is not None
    book.started(incident, first.number, "host_boot_1_2", "run-1", NOW + 2)
    book.started(incident, first.number, "host_boot_1_2", "run-1", NOW + 3)
    book.ended(incident, first.number, Result(True, "created StatefulSet here/db"), NOW + 5)
    book.ended(incident, first.number, Result(False, "its process ended"), NOW + 6)
    book.wait(incident, ["portal", "app"])
    book.wait(incident, ["app"])
    book.explain(incident, "deleted", "somebody deleted it", "ask who")
    book.explain(incident, "another", "somebody deleted it", "ask who")
    book.close(incident, Ended("healed"), NOW + 7)
    book.close(incident, Ended("never healed"), NOW + 8)
    (told,) = book.incidents()
    (attempt,) = told.attempts
    assert (told.opened_at, told.closed_at, told.outcome) == (NOW, NOW + 7, "healed")
    assert (told.cause, told.fix, told.waiting) == ("somebody deleted it", "ask who", ("app", "portal"))
    assert (attempt.started_at, attempt.ended_at, attempt.helped) == (NOW + 2, NOW + 5, True)
    assert (attempt.run_id, attempt.of, attempt.result) == ("run-1", ("db",), "created StatefulSet here/db")
    assert attempt.for_decision().ended == NOW + 5
    assert attempt.for_decision().cause == told.key == dataclasses.replace(KEY, kind="deleted"), "as it was told first"


def test_one_component_has_one_open_incident_and_another_after_that_was_closed(book: Book) -> None:
    first = opened(book)
    assert opened(book) == first
    assert opened(book, "app") != first
    book.close(first, Ended("healed"), NOW)
    assert opened(book) != first
    assert len(book.incidents(only_open=True)) == 2
    assert len(book.incidents()) == 3


def test_clusters_have_books_of_their_own_and_without_one_all_are_read(book: Book, file: Path) -> None:
    incident = opened(book)
    other = Book(file, "other")
    assert other.incidents() == []
    assert opened(other) != incident
    assert other.attempts_since(0) == []
    assert len(Book(file, None).incidents()) == 2


def test_an_attempt_under_way_lets_no_other_begin_and_a_closed_incident_none_at_all(book: Book) -> None:
    incident = opened(book)
    first = book.claim(incident, "db", Remedy.REAPPLY, NOW)
    assert first is not None
    assert book.claim(incident, "db", Remedy.RESTART, NOW) is None
    book.ended(incident, first.number, Result(False, ""), NOW)
    second = book.claim(incident, "db", Remedy.WAKE, NOW, ["app", "portal"])
    assert second is not None
    assert (second.number, second.of) == (2, ("app", "portal"))
    book.close(incident, Ended("removed from the platform"), NOW + 1)
    assert book.claim(incident, "db", Remedy.RESTART, NOW) is None
    assert [(a.ended_at, a.result) for a in book.incidents()[0].attempts] == [
        (NOW, ""),
        (NOW + 1, "removed from the platform"),
    ]


def test_attempts_are_told_in_the_order_in_which_they_were_made_whatever_the_clock_said(book: Book) -> None:
    for number, at in enumerate((NOW, NOW - 3600, NOW + 5)):
        incident = opened(book, f"c{number}")
        made = book.claim(incident, f"c{number}", Remedy.VERIFY, at)
        assert made is not None
    assert [attempt.component for attempt in book.attempts_since(NOW - 7200)] == ["c0", "c1", "c2"]
    for component in ("c0", "c1"):
        book.ended(opened(book, component), 1, Result(False, ""), NOW)
    book.close(opened(book, "c1"), Ended("healed"), NOW)
    told = [a.component for a in book.attempts_since(NOW + 1)]
    assert told == ["c0", "c2"], "those of an incident that is open are always told"


def test_an_attempt_that_has_ended_is_not_begun_again(book: Book) -> None:
    """Somebody may run its Dagster run a second time by hand."""
    incident = opened(book)
    book.claim(incident, "db", Remedy.VERIFY, NOW)
    book.started(incident, 1, "first", "run-1", NOW)
    book.ended(incident, 1, Result(True, ""), NOW)
    book.started(incident, 1, "second", "run-2", NOW)
    assert book.incidents()[0].attempts[0].run_id == "run-1"


def test_an_attempt_that_was_taken_for_one_that_helped_may_turn_out_not_to_have(book: Book) -> None:
    incident = opened(book)
    for helped in (True, False):
        made = book.claim(incident, "db", Remedy.REAPPLY, NOW)
        assert made is not None
        book.ended(incident, made.number, Result(helped, "it was applied"), NOW)
        book.did_not_help(incident, made.number, "it is still missing")
    told = [(attempt.helped, attempt.result) for attempt in book.incidents()[0].attempts]
    assert told == [(False, "it is still missing"), (False, "it was applied")], "a failure keeps its own reason"


EARLIER = """
create table incident (
  id text primary key, cluster text not null, component text not null, sign text not null, object text not null,
  cause text not null, fix text not null, opened_at real not null, closed_at real, outcome text not null default '',
  waiting text not null default '[]'
);
insert into incident (id, cluster, component, sign, object, cause, fix, opened_at)
values ('db-1', 'cluster', 'db', 'missing', 'StatefulSet here/db', 'it was deleted', 'put it back', 1000000);
"""
"""A book that Carbon 0.1 wrote."""


@pytest.fixture
def earlier(file: Path) -> Path:
    """That book, where the present one is looked for."""
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript(EARLIER)
    return file


LATER = """
alter table incident add column kind text not null default '';
create table attempt (
  incident text not null references incident, number integer not null, component text not null, remedy text not null,
  of text not null,
  at real not null, writer text not null default '', run_id text not null default '', started_at real, ended_at real,
  helped integer not null default 0, result text not null default '', primary key (incident, number)
);
insert into attempt values ('db-1', 1, 'db', 'verify', '["db"]', 1000001, '', 'run-1', 1000002, 1000003, 1, 'fine');
insert into incident (id, cluster, component, sign, object, cause, fix, opened_at, closed_at, outcome)
values ('app-1', 'cluster', 'app', 'missing', 'Deployment a', 'gone', '', 1000000, 1000009, 'recovered by itself');
"""
"""What a later one added to it."""


def test_a_book_without_endings_edits_and_losses_is_read_and_says_that_they_are_not_known(earlier: Path) -> None:
    with contextlib.closing(sqlite3.connect(earlier)) as db:
        db.executescript(LATER)
    told = {incident.id: incident for incident in Book(earlier, "cluster").incidents()}
    assert (told["app-1"].outcome, told["app-1"].ending) == ("recovered", "by whom was not written down")
    assert (told["db-1"].before, told["db-1"].edits, told["db-1"].lost) == (None, (), ())
    (attempt,) = told["db-1"].attempts
    assert (attempt.changed, attempt.lost, attempt.fix, attempt.came) == (None, (), "", Came.FOUND_WELL)
    Book(earlier, "cluster").close("db-1", Ended("recovered", "no edit seen", ("a topic",)), NOW)
    (closed,) = (one for one in Book(earlier, "cluster").incidents() if one.id == "db-1")
    assert (closed.ending, closed.lost) == ("no edit seen", ("a topic",))


def test_a_book_of_an_earlier_carbon_is_read_and_written_on(earlier: Path) -> None:
    book = Book(earlier, "cluster")
    (told,) = book.incidents()
    assert (told.id, told.key) == ("db-1", KEY)
    assert opened(book) == "db-1", "what was open still is"
    assert book.claim("db-1", "db", Remedy.REAPPLY, NOW) is not None
    book.explain("db-1", "crash loop", "it ends with code 1", "see its log")
    assert [attempt.cause for attempt in book.attempts_since(NOW)] == [dataclasses.replace(KEY, kind="crash loop")]


def _read(file: Path) -> str:
    return Book(file, "cluster").incidents()[0].key.kind


def test_processes_that_find_a_book_of_an_earlier_carbon_at_once_all_read_it(
    earlier: Path, processes: ProcessPoolExecutor
) -> None:
    assert list(processes.map(_read, [earlier] * 16)) == [""] * 16


def test_what_waits_already_is_not_written_again(book: Book, file: Path) -> None:
    incident = opened(book)
    book.wait(incident, ["app"])
    before = file.stat().st_mtime_ns, file.read_bytes()
    book.wait(incident, ["app"])
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def _open(file: Path) -> str:
    return opened(Book(file, "cluster"))


def _claim(told: tuple[Path, str]) -> bool:
    return Book(told[0], "cluster").claim(told[1], "db", Remedy.REAPPLY, NOW) is not None


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Four of them, of which each has a Python of its own."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("forkserver")) as pool:
        yield pool


def test_processes_that_open_an_incident_at_once_open_one(file: Path, processes: ProcessPoolExecutor) -> None:
    assert len(set(processes.map(_open, [file] * 16))) == 1


def test_of_processes_that_claim_an_attempt_at_once_one_gets_it(file: Path, processes: ProcessPoolExecutor) -> None:
    incident = _open(file)
    assert sum(processes.map(_claim, [(file, incident)] * 16)) == 1


def test_a_book_that_another_process_writes_is_waited_for(
    book: Book, file: Path, processes: ProcessPoolExecutor
) -> None:
    incident = opened(book)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin exclusive")
        waits = processes.submit(_claim, (file, incident))
        with pytest.raises(TimeoutError):
            waits.result(0.3)
        other.execute("commit")
        assert waits.result(20)


REPLICAS = EditedField("spec.replicas", "0", "1", "kubectl-scale", "2026-01-01T12:00:00Z")


def test_what_was_done_before_who_edited_what_and_what_is_lost_is_read_as_it_was_written(book: Book) -> None:
    before = ["kubectl-scale wrote Deployment here/db at 2026-01-01T12:00:00Z"]
    incident = book.open("db", KEY, "it was edited", "carbon up db", NOW, before)
    edit = Edit("Deployment here/db", REPLICAS)
    other = Edit("Deployment here/db", dataclasses.replace(REPLICAS, live="3"))
    for seen in ([edit], [], [edit, other]):
        book.edited(incident, seen)
    claim = "PersistentVolumeClaim here/data"
    for number, result in enumerate((Result(False, "refused", lost=(claim,), fix="give the word"), Result(True)), 1):
        assert book.claim(incident, "db", Remedy.REAPPLY, NOW)
        book.ended(incident, number, result, NOW)
    book.close(incident, Ended("mended by others", "somebody did", (claim, "a topic")), NOW)
    (told,) = book.incidents()
    assert (told.before, told.edits, told.lost) == (tuple(before), (edit, other), (claim, "a topic"))
    assert (told.ending, told.mend) == ("somebody did", "give the word")
    assert [attempt.lost for attempt in told.attempts] == [(claim,), ()]


def test_an_attempt_that_ended_with_its_incident_was_cut_short_by_it(book: Book) -> None:
    incident = opened(book)
    book.claim(incident, "db", Remedy.REAPPLY, NOW)
    book.close(incident, Ended("removed from the platform"), NOW)
    assert [attempt.came for attempt in book.incidents()[0].attempts] == [Came.CUT_SHORT]


@pytest.mark.parametrize(
    ("result", "fix"),
    [
        (Result(False, "no", fix="mend it so"), "mend it so"),
        (Result(False, "no"), "put it back"),
        (Result(False, "away", cut_short=True, fix="start the API server"), "put it back"),
        (Result(True, fix="nothing"), "put it back"),
    ],
)
def test_what_an_attempt_failed_for_says_how_to_mend_it(book: Book, result: Result, fix: str) -> None:
    incident = opened(book)
    book.claim(incident, "db", Remedy.REAPPLY, NOW)
    book.ended(incident, 1, result, NOW)
    assert book.incidents()[0].mend == fix
