"""What Carbon last knew of each component of a cluster. Kept beside Dagster's storage, never in the cluster.

Dagster's event log is the history; this is the present: small, and readable in a millisecond without Dagster.
"""

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_BUSY_SECONDS = 30
"""How long to wait for another process that writes."""
OUTDATED_COPIES = "outdated_copies"
"""In the evidence of a check: keys of Secrets that no longer follow the Secret they are copied from."""
LOST = "lost"
"""In the evidence of a check: data that is gone."""
_SCHEMA = """
create table if not exists record (
  cluster text not null, component text not null, body text not null, primary key (cluster, component)
)
"""


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The outcome of one check, the last time it ran."""

    name: str
    passed: bool
    detail: str
    at: str
    """ISO 8601, UTC."""
    seconds: float = 0.0
    fix: str = ""
    evidence: Mapping[str, str | int | float | bool] = dataclasses.field(default_factory=dict)
    warning: bool = False
    """When it does not pass, that is told, and no failure."""

    @property
    def failed(self) -> bool:
        """True when the component does not work because of it."""
        return not self.passed and not self.warning


@dataclasses.dataclass(frozen=True)
class Materialization:
    """One that no attempt of healing made."""

    at: str
    """When it ended; ISO 8601, UTC."""
    by: str
    """By which way it was asked for: `carbon up`, Dagster."""
    run_id: str = ""
    changed: bool = False
    """It wrote to the cluster, or to the component."""
    failure: str = ""
    """Why it did not end well; empty when it did."""
    lost: tuple[str, ...] = ()
    """Data and work that are gone with it."""


MATERIALIZATIONS = 10
"""How many are remembered of a component."""


@dataclasses.dataclass(frozen=True)
class Record:
    """The last known truth about one component. Times are ISO 8601, UTC; empty when it never happened."""

    component: str
    digest: str = ""
    """Of the definition that was last applied."""
    checks_digest: str = ""
    revision: int | None = None
    changed_at: str = ""
    """When something was last applied."""
    verified_at: str = ""
    """When all checks last passed."""
    failed_at: str = ""
    failure: str = ""
    """Why the last materialization failed; empty when it did not."""
    blocked: bool = False
    """True when it failed for want of something else: a need, a permission, an image."""
    checks: tuple[CheckResult, ...] = ()
    verified_revision: int | None = None
    """The Helm revision that was last proven to work: where a rollback leads."""
    volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The volume claims it had when it was last verified: namespace/name → UID."""
    rolled_back: str = ""
    """Digest of the definition that was rolled back from; healing does not apply it again."""
    quarantined: str = ""
    """Why Carbon heals it no more by itself; empty when it does. A verification ends it."""
    generated: tuple[str, ...] = ()
    """Keys of Secrets that were generated for it, as namespace/name/key: also those of earlier definitions."""
    content: tuple[str, ...] = ()
    """Topics, tables and the like that were there, by the names its changes have."""
    materialized: tuple[Materialization, ...] = ()
    """The last that no attempt of healing made, the newest last."""
    life: int = 0
    """How often it was forgotten. What was begun in an earlier life is recorded no more."""


def current(record: Record, digest: str, checks_digest: str) -> bool:
    """True when the record is of this definition, its last checks passed, and nothing failed or changed since."""
    return (
        record.digest == digest
        and record.checks_digest == checks_digest
        and bool(record.verified_at)
        and record.verified_at >= record.changed_at
        and record.verified_at >= record.failed_at
        and not any(check.failed for check in record.checks)
    )


def stale_because(record: Record, needs: Mapping[str, Record]) -> str | None:
    """The need that changed after this component was verified, or None."""
    later = [key for key, need in needs.items() if need.changed_at > record.verified_at]
    return min(later) if later else None


class Records:
    """The records of one cluster, in a SQLite file that several processes may use at once."""

    def __init__(self, file: Path, cluster: str) -> None:
        self._file, self._cluster = file, cluster

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS)
        try:
            with connection:
                connection.execute(_SCHEMA)
                yield connection
        finally:
            connection.close()

    def all(self) -> dict[str, Record]:
        """Every record of the cluster, by component, but those of which nothing is known any more."""
        return {key: record for key, record in self._all().items() if record != Record(key, life=record.life)}

    def get(self, component: str) -> Record:
        """The record of a component; an empty one when nothing is known."""
        return self._all().get(component, Record(component))

    def _all(self) -> dict[str, Record]:
        if not self._file.exists():
            return {}
        with self._open() as db:
            rows = db.execute("select component, body from record where cluster = ?", (self._cluster,)).fetchall()
        return {component: _decode(component, json.loads(body)) for component, body in rows}

    def put(self, record: Record) -> None:
        """Remember it in place of what was known."""
        self.update(record.component, lambda _: record)

    def update(self, component: str, change: Callable[[Record], Record], *, life: int | None = None) -> Record:
        """Change what is known, with nobody else changing it meanwhile; the record as it is then.

        `life`: what the change is about began in that life of the record. It is dropped when that is over.
        """
        with self._open() as db:
            db.execute("begin immediate")
            key = (self._cluster, component)
            row = db.execute("select body from record where cluster = ? and component = ?", key).fetchone()
            before = _decode(component, json.loads(row[0])) if row else Record(component)
            if life is not None and before.life != life:
                return before
            record = change(before)
            body = json.dumps(dataclasses.asdict(record))
            db.execute("insert or replace into record values (?, ?, ?)", (*key, body))
        return record

    def version(self) -> tuple[int, int]:
        """Changes whenever any record does."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_size

    def forget(self, component: str) -> None:
        """Know nothing of it any more, but that it was forgotten: nobody who began before may bring it back."""
        self.update(component, lambda record: Record(component, life=record.life + 1))

    def take_over(self, cluster: str) -> None:
        """Know what is known of it under another name, where nothing is known under this one."""
        with self._open() as db:
            known = "insert or ignore into record select ?, component, body from record where cluster = ?"
            db.execute(known, (self._cluster, cluster))


def _decode(component: str, body: dict[str, Any]) -> Record:
    values = _known(Record, body)
    values["checks"] = tuple(CheckResult(**_known(CheckResult, check)) for check in body.get("checks", ()))
    values["materialized"] = tuple(_materialization(one) for one in body.get("materialized", ()))
    values |= {name: tuple(body.get(name, ())) for name in ("generated", "content")}
    return Record(**{**values, "component": component})


def _materialization(body: dict[str, Any]) -> Materialization:
    return Materialization(**{**_known(Materialization, body), "lost": tuple(body.get("lost", ()))})


def _known(kind: type[Record | CheckResult | Materialization], body: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that only another version of Carbon knows."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {key: value for key, value in body.items() if key in names}
