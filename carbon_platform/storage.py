"""Dagster's SQLite storage with its connections kept open: made anew for each event, they cost more than the event.

The files are those of Dagster's own SQLite storage, so either can go on where the other stopped.
"""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listen
from sqlalchemy.pool import QueuePool

from carbon_platform.instance import opening

_OPEN_RUNS = 8
"""Event logs kept open in one process; each run has a file of its own."""


def _engine(url: str) -> Engine:
    """An engine that keeps one connection and its compiled statements; more connections are made while needed."""
    timeout = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=-1, connect_args=timeout)
    listen(engine, "connect", _sync_less)
    return engine


def _sync_less(connection: Any, _record: object) -> None:
    """Beside a write-ahead log, a power cut may take back the last events but breaks nothing, and a kill loses none."""
    connection.execute("pragma synchronous=normal")


class _Engines:
    """The engines last used, by URL."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, url: str) -> Engine:
        with self._lock:
            engine = self._kept.pop(url, None) or _engine(url)
            self._kept[url] = engine
            if len(self._kept) > self._most:
                # What is in use stays so until it is given back: disposing of an engine closes idle connections.
                self._kept.popitem(last=False)[1].dispose()
            return engine

    def close(self) -> None:
        with self._lock:
            for engine in self._kept.values():
                engine.dispose()
            self._kept.clear()


class _EventLog(SqliteEventLogStorage):
    def __init__(self, base_dir: str) -> None:
        self._engines = _Engines(_OPEN_RUNS + 1)  # and the index of all runs
        self._there: set[str] = set()
        super().__init__(base_dir)

    @contextlib.contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.of(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(event)
        # The web UI follows a run by changes of its file. Kept open, SQLite writes to the log beside it instead.
        os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        # Dagster asks again for each event. What is there stays there.
        if table_name not in self._there and super().has_table(table_name):
            self._there.add(table_name)
        return table_name in self._there

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        column = f"asset_keys.{column_name}"
        if column not in self._there and super()._has_asset_key_col_on_connection(conn, column_name):
            self._there.add(column)
        return column in self._there

    def wipe(self) -> None:
        self._there.clear()
        self._engines.close()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._engines.close()


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = _engine(conn_string)
        super().__init__(conn_string, inst_data)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class _Schedules(SqliteScheduleStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = _engine(conn_string)
        super().__init__(conn_string, inst_data)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class SqliteStorage(DagsterSqliteStorage):
    """What dagster.yaml names as `storage`; `base_dir` is DAGSTER_HOME, as for Dagster's own."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._inst_data = inst_data
        folder = Path(base_dir)
        with opening(folder):
            self._run_storage = _Runs.from_local(str(folder / "history"))
            self._event_log_storage = _EventLog(str(folder / "history" / "runs"))
            self._schedule_storage = _Schedules.from_local(str(folder / "schedules"))
        # Not that of the class between: it opens storages of its own.
        DagsterStorage.__init__(self)  # type: ignore[no-untyped-call, arg-type]

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> "SqliteStorage":
        """As Dagster makes it from dagster.yaml."""
        return cls.from_local(config_value["base_dir"], inst_data)
