"""What Carbon remembers of components."""

import dataclasses
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.records import CheckResult, Record, Records

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=10)
CHECKS = st.builds(
    CheckResult,
    name=TEXT,
    passed=st.booleans(),
    detail=TEXT,
    at=TEXT,
    seconds=st.floats(0, 100),
    fix=TEXT,
    evidence=st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=2),
)
RECORDS = st.builds(
    Record,
    component=TEXT,
    digest=TEXT,
    revision=st.none() | st.integers(),
    changed_at=TEXT,
    failure=TEXT,
    blocked=st.booleans(),
    checks=st.lists(CHECKS, max_size=2).map(tuple),
    generated=st.lists(TEXT, max_size=2).map(tuple),
    content=st.lists(TEXT, max_size=2).map(tuple),
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_put(tmp_path_factory: object, record: Record) -> None:
    records = Records(tmp_path_factory.mktemp("records") / "new" / "r.db", "cluster")  # type: ignore[attr-defined]
    records.put(record)
    assert records.get(record.component) == record
    assert records.all() == ({} if record == Record(record.component) else {record.component: record})


def test_nothing_known_is_an_empty_record_and_no_file(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.db", "cluster")
    assert records.get("app") == Record("app")
    assert not (tmp_path / "r.db").exists()


def test_clusters_do_not_see_each_others_records(tmp_path: Path) -> None:
    one, other = (Records(tmp_path / "r.db", name) for name in ("one", "other"))
    one.put(Record("app", "1"))
    other.put(Record("app", "2"))
    one.forget("app")
    assert one.all() == {}
    assert other.get("app").digest == "2"


def test_what_was_forgotten_is_not_brought_back_by_who_began_before(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.db", "cluster")
    records.put(Record("app", "1", generated=("here/login/password",)))
    began = records.get("app").life
    records.forget("app")
    nothing = records.get("app")
    assert records.update("app", lambda record: dataclasses.replace(record, digest="1"), life=began) == nothing
    assert (records.get("app"), records.all()) == (nothing, {})
    now = nothing.life
    assert records.update("app", lambda record: dataclasses.replace(record, digest="2"), life=now).digest == "2"
    assert records.all()["app"].generated == ()


def test_what_is_forgotten_twice_is_forgotten_to_who_began_in_between(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.db", "cluster")
    records.forget("app")
    between = records.get("app").life
    records.forget("app")
    records.update("app", lambda record: dataclasses.replace(record, digest="1"), life=between)
    assert records.all() == {}


def test_what_is_known_under_another_name_is_taken_over_where_nothing_is_known_yet(tmp_path: Path) -> None:
    before, now = (Records(tmp_path / "records.db", name) for name in ("c before", "c now"))
    for record in (Record("app", digest="old"), Record("db", volumes={"here/data": "1"})):
        before.put(record)
    now.put(Record("app", digest="new"))
    now.take_over("c before")
    assert {key: record.digest for key, record in now.all().items()} == {"app": "new", "db": ""}
    assert now.get("db").volumes == {"here/data": "1"}
    assert before.get("app").digest == "old"


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "r.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: Records(file, "cluster").put(Record(f"c{i}", str(i))), range(40)))
    assert {r.component: r.digest for r in Records(file, "cluster").all().values()} == {
        f"c{i}": str(i) for i in range(40)
    }


def test_many_that_change_one_record_at_once_lose_none_of_it(tmp_path: Path) -> None:
    file = tmp_path / "r.db"

    def count(_: int) -> Record:
        return Records(file, "cluster").update(
            "app", lambda record: dataclasses.replace(record, revision=(record.revision or 0) + 1)
        )

    with ThreadPoolExecutor(8) as pool:
        seen = [record.revision for record in pool.map(count, range(40))]
    assert sorted(number for number in seen if number) == list(range(1, 41))
    assert Records(file, "cluster").get("app").revision == 40


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.db", "cluster")
    records.put(Record("app", "1"))
    with pytest.raises(ZeroDivisionError):
        records.update("app", lambda record: dataclasses.replace(record, revision=1 // 0))
    assert records.get("app") == Record("app", "1")
    assert records.update("app", lambda record: dataclasses.replace(record, revision=2)).revision == 2


def test_the_version_changes_with_every_record_and_with_nothing_else(tmp_path: Path) -> None:
    records = Records(tmp_path / "r.db", "cluster")
    versions = [records.version()]
    for number in range(3):
        records.put(Record("app", str(number)))
        versions.append(records.version())
    assert len(set(versions)) == 4
    records.all()
    assert records.version() == versions[-1]


def test_a_field_that_another_version_wrote_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "r.db"
    Records(file, "cluster").put(Record("app", "1"))
    with sqlite3.connect(file) as db:
        body = """{"digest": "1", "from_the_future": 1, "checks": [{"name": "a", "passed": true, "detail": "", "at": "",
                  "also_new": 2}]}"""
        db.execute("update record set body = ?", (body,))
    db.close()
    assert Records(file, "cluster").get("app") == Record("app", "1", checks=(CheckResult("a", True, "", ""),))
