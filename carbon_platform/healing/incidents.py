"""The book of incidents: what broke, what was tried, and how it ended. Beside Carbon's records, never in the cluster.

Several processes write it: the sensor that decides, and the runs that heal. What only one of them may do (opening an
incident, claiming an attempt) is one transaction, so that two daemons never do it twice.
"""

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carbon_platform.healing.incident import Edit, Ended, Incident, Tried
from carbon_platform.healing.result import Result
from carbon_platform.healing.symptoms import CauseKey
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.edited import EditedField
from carbon_platform.session import platform_key
from carbon_platform.settings import Settings

_BUSY_SECONDS = 30
_SCHEMA = """
create table if not exists incident (
  id text primary key, cluster text not null, component text not null, sign text not null, object text not null,
  cause text not null, fix text not null, opened_at real not null, closed_at real, outcome text not null default '',
  waiting text not null default '[]'
);
create unique index if not exists one_open on incident (cluster, component) where closed_at is null;
create table if not exists attempt (
  incident text not null references incident, number integer not null, component text not null, remedy text not null,
  of text not null,
  at real not null, writer text not null default '', run_id text not null default '', started_at real, ended_at real,
  helped integer not null default 0, result text not null default '', primary key (incident, number)
);
create table if not exists asked (
  incident text not null, number integer not null, by text not null, at real not null, primary key (incident, number)
);
create table if not exists cut_short (
  incident text not null, number integer not null, primary key (incident, number)
);
create unique index if not exists one_under_way on attempt (component, incident) where ended_at is null;
"""
_ADDED = {
    "incident": {
        "kind": "text not null default ''",
        "before": "text",
        "edits": "text not null default '[]'",
        "ending": "text not null default ''",
        "lost": "text not null default '[]'",
    },
    "attempt": {
        "changed": "integer",
        "lost": "text not null default '[]'",
        "fix": "text not null default ''",
    },
}
"""Columns that a book of an earlier Carbon has not, by table."""
_TOLD_ANEW = """
update incident set outcome = 'recovered', ending = 'by whom was not written down' where outcome = 'recovered by itself'
"""
"""What an earlier Carbon said of every incident that no attempt of its own ended, whoever did."""
_TRIED = """
select attempt.*, sign, object, kind, cut_short.number is not null as cut_short
from attempt join incident on incident.id = attempt.incident left join cut_short using (incident, number)
"""


class Book:
    """The incidents of one cluster; without a cluster, those of all can be read."""

    def __init__(self, file: Path, cluster: str | None) -> None:
        self._file, self._cluster = file, cluster

    @contextlib.contextmanager
    def _open(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            db.executescript(_SCHEMA)
            _migrate(db)
            if not write:
                yield db
                return
            db.execute("begin immediate")
            try:
                yield db
            except BaseException:
                db.execute("rollback")
                raise
            db.execute("commit")
        finally:
            db.close()

    def incidents(self, *, only_open: bool = False, most: int = 200) -> list[Incident]:
        """The newest first, each with its attempts."""
        if not self._file.exists():
            return []
        with self._open(write=False) as db:
            rows = db.execute(
                "select * from incident where cluster = coalesce(?, cluster) and (closed_at is null or not ?) "
                "order by opened_at desc limit ?",
                (self._cluster, only_open, most),
            ).fetchall()
            return [_incident(row, self._attempts(db, row["id"])) for row in rows]

    @staticmethod
    def _attempts(db: sqlite3.Connection, incident: str) -> list[Tried]:
        rows = db.execute(f"{_TRIED} where attempt.incident = ? order by attempt.number", (incident,))
        return [_tried(row) for row in rows]

    def attempts_since(self, then: float) -> list[Tried]:
        """Attempts decided after `then`, and all of incidents that are open, in the order in which they were made."""
        if not self._file.exists():
            return []
        with self._open(write=False) as db:
            rows = db.execute(
                f"{_TRIED} where cluster = ? and (at >= ? or closed_at is null) order by attempt.rowid",
                (self._cluster, then),
            )
            return [_tried(row) for row in rows]

    def open(self, component: str, key: CauseKey, cause: str, fix: str, now: float, before: Iterable[str] = ()) -> str:
        """The id of the open incident of a component; it is opened when there is none.

        `before`: what is known to have been done by others up to now.
        """
        with self._open() as db:
            row = db.execute(
                "select id from incident where cluster = ? and component = ? and closed_at is null",
                (self._cluster, component),
            ).fetchone()
            if row:
                return str(row["id"])
            identity = f"{component}-{uuid.uuid4().hex[:8]}"
            db.execute(
                "insert into incident (id, cluster, component, sign, object, kind, cause, fix, opened_at, before) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    identity,
                    self._cluster,
                    component,
                    key.sign,
                    key.object,
                    key.kind,
                    cause,
                    fix,
                    now,
                    json.dumps([*before]),
                ),
            )
            return identity

    def explain(self, incident: str, kind: str, cause: str, fix: str) -> None:
        """A better cause than was known when it was opened. The first kind that was told stays: it is known by that."""
        with self._open() as db:
            db.execute(
                "update incident set cause = ?, fix = ?, kind = case kind when '' then ? else kind end where id = ?",
                (cause, fix, kind, incident),
            )

    def edited(self, incident: str, edits: Iterable[Edit]) -> None:
        """What somebody changed, as it shows now; what is known already is not written again."""
        seen = [*edits]
        if not seen:
            return
        with self._open() as db:
            row = db.execute("select edits from incident where id = ?", (incident,)).fetchone()
            known = json.loads(row["edits"])
            new = [told for edit in seen if (told := edit.told) not in known]
            if new:
                db.execute("update incident set edits = ? where id = ?", (json.dumps(known + new), incident))

    def claim(self, incident: str, component: str, remedy: Remedy, now: float, of: Sequence[str] = ()) -> Tried | None:
        """A new attempt; None when one is under way already, or the incident is closed: somebody else was first.

        `of`: the components that its run materializes; the incident's own when not given.
        """
        with self._open() as db:
            row = db.execute(
                "select count(*) as made, sum(ended_at is null) as under_way from attempt where incident = ?",
                (incident,),
            ).fetchone()
            still_open = db.execute("select 1 from incident where id = ? and closed_at is null", (incident,)).fetchone()
            if row["under_way"] or not still_open:
                return None
            number = int(row["made"]) + 1
            materialized = tuple(of) or (component,)
            db.execute(
                "insert into attempt (incident, number, component, remedy, of, at) values (?, ?, ?, ?, ?, ?)",
                (incident, number, component, remedy.value, json.dumps(materialized), now),
            )
            return Tried(incident, number, component, remedy, materialized, now)

    def ask(self, incident: str, number: int, by: str, now: float, may: Callable[[str, float], bool]) -> bool:
        """True when the process `by` is the one to ask for the attempt's run, now; nobody else is then.

        `may` says so of who asked for it last, and when; nobody has when it was never asked for.
        """
        with self._open() as db:
            key = (incident, number)
            last = db.execute("select by, at from asked where incident = ? and number = ?", key).fetchone()
            if last and not may(last["by"], last["at"]):
                return False
            db.execute("insert or replace into asked values (?, ?, ?, ?)", (*key, by, now))
            return True

    def started(self, incident: str, number: int, writer: str, run_id: str, now: float) -> None:
        """Its run has begun."""
        with self._open() as db:
            db.execute(
                "update attempt set writer = ?, run_id = ?, started_at = coalesce(started_at, ?) "
                "where incident = ? and number = ? and ended_at is null",
                (writer, run_id, now, incident, number),
            )

    def ended(self, incident: str, number: int, result: Result, now: float) -> None:
        """How it ended; the first to say so is right."""
        with self._open() as db:
            done = db.execute(
                "update attempt set ended_at = ?, helped = ?, result = ?, changed = ?, lost = ?, fix = ? "
                "where incident = ? and number = ? and ended_at is null",
                (
                    now,
                    result.helped,
                    result.told,
                    result.changed,
                    json.dumps(result.lost),
                    result.fix,
                    incident,
                    number,
                ),
            )
            if not done.rowcount:
                return
            if result.cut_short:
                db.execute("insert or ignore into cut_short values (?, ?)", (incident, number))
            _lose(db, incident, result.lost)

    def did_not_help(self, incident: str, number: int, result: str) -> None:
        """An attempt that was taken for one that helped did not, as was seen after its end."""
        with self._open() as db:
            db.execute(
                "update attempt set helped = 0, result = ? where incident = ? and number = ? and helped",
                (result, incident, number),
            )

    def wait(self, incident: str, components: Sequence[str]) -> None:
        """These are broken as well, and wait for the incident's component."""
        with self._open() as db:
            row = db.execute("select waiting from incident where id = ?", (incident,)).fetchone()
            known = set(json.loads(row["waiting"]))
            if not known.issuperset(components):
                waiting = json.dumps(sorted(known.union(components)))
                db.execute("update incident set waiting = ? where id = ?", (waiting, incident))

    def close(self, incident: str, end: Ended, now: float) -> None:
        """Its end; an attempt still under way is cut short by it. The first to say so is right."""
        with self._open() as db:
            done = db.execute(
                "update incident set closed_at = ?, outcome = ?, ending = ? where id = ? and closed_at is null",
                (now, end.outcome, end.told, incident),
            )
            if done.rowcount:
                _lose(db, incident, end.lost)
            db.execute(
                "insert or ignore into cut_short select incident, number from attempt "
                "where incident = ? and ended_at is null",
                (incident,),
            )
            db.execute(
                "update attempt set ended_at = ?, result = ? where incident = ? and ended_at is null",
                (now, end.outcome, incident),
            )


def book_of(settings: Settings, cluster_id: str | None) -> Book:
    """The book of the settings' platform on a cluster, or on any when it is not known which."""
    return Book(settings.state / "incidents.db", platform_key(cluster_id, settings) if cluster_id else None)


def _migrate(db: sqlite3.Connection) -> None:
    """Add what a book of an earlier Carbon has not; several processes may find it so at once."""

    def missing() -> list[str]:
        found = []
        for table, columns in _ADDED.items():
            there = {row["name"] for row in db.execute(f"pragma table_info({table})")}
            found += [
                f"alter table {table} add column {name} {of}" for name, of in columns.items() if name not in there
            ]
        return found

    if missing():
        db.execute("begin immediate")
        for statement in missing():
            db.execute(statement)
        db.execute(_TOLD_ANEW)
        db.execute("commit")


def _lose(db: sqlite3.Connection, incident: str, lost: Iterable[str]) -> None:
    row = db.execute("select lost from incident where id = ?", (incident,)).fetchone()
    known = json.loads(row["lost"])
    told = json.dumps([*dict.fromkeys([*known, *lost])])
    db.execute("update incident set lost = ? where id = ?", (told, incident))


def _tried(row: sqlite3.Row) -> Tried:
    values = dict(row)
    values["cause"] = CauseKey(values.pop("sign"), values.pop("object"), values.pop("kind"))
    values |= {"remedy": Remedy(values["remedy"]), **_tuples(values, "of", "lost")}
    values["changed"] = None if values["changed"] is None else bool(values["changed"])
    return Tried(**{**values, **{flag: bool(values[flag]) for flag in ("helped", "cut_short")}})


def _incident(row: sqlite3.Row, attempts: Sequence[Tried]) -> Incident:
    values = dict(row)
    del values["cluster"]
    values |= _tuples(values, "waiting", "lost", *(["before"] if values["before"] is not None else []))
    edits = (Edit(one.pop("object"), EditedField(**one)) for one in json.loads(values["edits"]))
    return Incident(**{**values, "edits": tuple(edits), "attempts": tuple(attempts)})


def _tuples(values: Mapping[str, Any], *names: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(json.loads(values[name])) for name in names}
