"""The stand-in's state in a real PostgreSQL, so that it fails when PostgreSQL does."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import Any, cast

import psycopg
from psycopg.types.json import Jsonb

from tests.stand_ins.dolphinscheduler.state import INITIAL_PASSWORD, DatabaseLost, Document, State, md5

_ONE_AT_A_TIME = 4142
"""Key of the advisory lock that all processes of the stand-in take for a transaction."""

# The two tables that the chart's own scripts use are named as the product's.
_TABLES = """
CREATE TABLE IF NOT EXISTS t_ds_version (id int PRIMARY KEY, version text NOT NULL);
CREATE TABLE IF NOT EXISTS t_ds_user (id int PRIMARY KEY, user_name text NOT NULL UNIQUE, user_password text NOT NULL);
CREATE TABLE IF NOT EXISTS stand_in (kind text, key bigint, body jsonb NOT NULL, PRIMARY KEY (kind, key));
CREATE SEQUENCE IF NOT EXISTS stand_in_id START 2;
"""


def connection_info() -> str:
    """Where the database is, by the variables that the chart gives every server."""
    url = re.fullmatch(r"jdbc:postgresql://([^:/]+):(\d+)/([^?]+).*", os.environ["SPRING_DATASOURCE_URL"])
    assert url, "SPRING_DATASOURCE_URL is no JDBC URL of PostgreSQL"
    return psycopg.conninfo.make_conninfo(
        host=url[1],
        port=url[2],
        dbname=url[3],
        user=os.environ["SPRING_DATASOURCE_USERNAME"],
        password=os.environ["SPRING_DATASOURCE_PASSWORD"],
        connect_timeout=3,
        application_name="dolphinscheduler-stand-in",
    )


def make_tables(info: str, version: str) -> None:
    """What the product's upgrade-schema.sh is for. What is there already stays."""
    with psycopg.connect(info) as connection:
        connection.execute(cast(Any, _TABLES))
        connection.execute(
            "INSERT INTO t_ds_user VALUES (1, 'admin', %s) ON CONFLICT DO NOTHING", (md5(INITIAL_PASSWORD),)
        )
        connection.execute(
            "INSERT INTO t_ds_version VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET version = excluded.version",
            (version,),
        )


class PostgresKeeper:
    """One connection, made anew when it was lost."""

    def __init__(self, info: str) -> None:
        self._info = info
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[State]:
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._info)
                with self._connection.transaction():
                    self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ONE_AT_A_TIME,))
                    yield _PostgresState(self._connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if self._connection is not None:
                    self._connection.close()
                raise DatabaseLost(" ".join(str(error).split())) from error


class _PostgresState:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def _first(self, sql: str, *values: object) -> Any:
        row = self._connection.execute(cast(Any, sql), values).fetchone()
        return row[0] if row else None

    def new_id(self) -> int:
        return int(self._first("SELECT nextval('stand_in_id')"))

    def get(self, kind: str, key: int) -> Document | None:
        found: Document | None = self._first("SELECT body FROM stand_in WHERE kind = %s AND key = %s", kind, key)
        return found

    def all(self, kind: str) -> list[Document]:
        rows = self._connection.execute("SELECT body FROM stand_in WHERE kind = %s ORDER BY key", (kind,))
        return [body for (body,) in rows.fetchall()]

    def put(self, kind: str, key: int, body: Document) -> None:
        self._connection.execute(
            "INSERT INTO stand_in VALUES (%s, %s, %s) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, key, Jsonb(body)),
        )

    def delete(self, kind: str, key: int) -> None:
        self._connection.execute("DELETE FROM stand_in WHERE kind = %s AND key = %s", (kind, key))

    def password_hash(self, user: str) -> str | None:
        found: str | None = self._first("SELECT user_password FROM t_ds_user WHERE user_name = %s", user)
        return found
