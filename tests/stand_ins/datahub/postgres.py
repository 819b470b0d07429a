"""PostgreSQL under the stand-in for DataHub: the aspects, and what the consumer has indexed."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extras import Json

_TABLES = """
CREATE TABLE IF NOT EXISTS metadata_aspect_v2 (
  urn text NOT NULL, aspect text NOT NULL, version bigint NOT NULL, metadata jsonb NOT NULL,
  PRIMARY KEY (urn, aspect, version)
);
CREATE TABLE IF NOT EXISTS stand_in_index (urn text PRIMARY KEY, words text NOT NULL);
"""


class Database:
    """One connection, opened anew when it was lost. Raises psycopg2.Error when the database does not do its work."""

    def __init__(self, address: str, name: str, user: str, password: str) -> None:
        host, _, port = address.partition(":")
        self._where = {"host": host, "port": port or "5432", "dbname": name, "user": user, "password": password}
        self._lock = threading.Lock()
        self._connection: Any = None

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own; its rows."""
        with self._lock:
            try:
                return self._run(sql, values)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._connection = None  # one that died with the server is noticed only when it is used
                return self._run(sql, values)

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = psycopg2.connect(**self._where, connect_timeout=5)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    def prepare(self) -> None:
        """Make the tables that are not there."""
        self.run(_TABLES)


class Aspects:
    """The store: the newest version of each aspect."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, urn: str) -> Mapping[str, Mapping[str, Any]]:
        rows = self._database.run("SELECT aspect, metadata FROM metadata_aspect_v2 WHERE urn = %s AND version = 0", urn)
        return {aspect: value if isinstance(value, dict) else json.loads(value) for aspect, value in rows}

    def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None:
        self._database.run(
            "INSERT INTO metadata_aspect_v2 (urn, aspect, version, metadata) VALUES (%s, %s, 0, %s) "
            "ON CONFLICT (urn, aspect, version) DO UPDATE SET metadata = excluded.metadata",
            urn,
            aspect,
            Json(dict(value)),
        )

    def delete(self, urn: str) -> None:
        self._database.run("DELETE FROM metadata_aspect_v2 WHERE urn = %s", urn)


class Indexed:
    """The index: names of entities, as the consumer has brought them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, text: str) -> list[str]:
        rows = self._database.run("SELECT urn FROM stand_in_index WHERE %s = '*' OR words LIKE %s || '%%'", text, text)
        return [urn for (urn,) in rows]

    def put(self, urn: str, text: str) -> None:
        self._database.run(
            "INSERT INTO stand_in_index (urn, words) VALUES (%s, %s) "
            "ON CONFLICT (urn) DO UPDATE SET words = excluded.words",
            urn,
            text,
        )

    def remove(self, urn: str) -> None:
        self._database.run("DELETE FROM stand_in_index WHERE urn = %s", urn)


def when_there(database: Database, seconds: float) -> None:
    """Return once the database answers; raise what it said last when it does not in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            database.run("SELECT 1")
        except psycopg2.Error:
            if time.monotonic() >= end:
                raise
            time.sleep(0.5)
        else:
            return
