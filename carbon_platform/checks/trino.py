"""Functional checks of Trino: a statement runs, and a table goes from SQL down to the store."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.iceberg_session import probe_name, stale_probes
from carbon_platform.checks.trino_session import Trino, TrinoCheck
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted


class Query(TrinoCheck):
    """A statement runs to its end; with `expect`, it gives exactly these rows."""

    summary: ClassVar[str] = "The statement runs to its end and gives what is expected."

    sql: str = Field(min_length=1)
    expect: list[list[Any]] | None = Field(None, description="The rows it must give, in this order.")

    async def run(self, reach: Reach) -> Passed:
        async with self.trino(reach) as trino:
            outcome = await trino.query(self.sql)
        if self.expect is not None and outcome.rows != self.expect:
            raise CheckFailed(
                "Trino gives other rows than expected",
                f"{self.sql} gave {_shown(outcome.rows)}, expected {_shown(self.expect)}",
                f"see query {outcome.query}",
            )
        return Passed(
            counted(len(outcome.rows), "row"),
            {"rows": len(outcome.rows), "query_ms": outcome.elapsed_ms, "id": outcome.query},
        )


def _shown(rows: list[list[Any]]) -> str:
    text = str(rows[:3])
    return text if len(text) <= 200 else f"{text[:200]}…"


class Iceberg(TrinoCheck):
    """A table made, filled and read by SQL; its files are found in the object store; then all of it is dropped.

    Its schema has a name of its own, so probes do not meet each other or anybody's tables. What killed probes
    left behind goes after an hour.
    """

    summary: ClassVar[str] = "SQL makes, fills and reads a table whose files are in the object store, and drops it."

    catalog: str = Field("iceberg", pattern=r"^[a-z][a-z0-9_]*$")
    bucket: str = Field(description="Bucket in which the catalogue keeps its tables.")
    store: str = Field("minio-service", description="Service of the object store.")
    store_port: int = Field(9000, ge=1, le=65535)
    store_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    secret: str = Field("object-store-credentials", description="Secret with the store's keys.")
    access_key: str = "access-key"
    secret_key: str = "secret-key"  # noqa: S105 - the name of a key, no secret
    region: str = "us-east-1"

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with self.trino(reach) as trino:
            async with self._probe_schema(trino) as schema:
                table = f"{schema}.probe"
                await trino.query(f"create table {table} (id bigint, word varchar) with (partitioning = array['id'])")
                await trino.query(f"insert into {table} values (1, 'one'), (2, 'two'), (3, 'three')")  # noqa: S608
                written = time.perf_counter()
                await self._read_back(trino, table)
                read = time.perf_counter()
                files = await self._files(trino, reach, table)
            left = await self._left(reach, files)
        return Passed(
            f"a table with {counted(len(files), 'data file')} was made, read, found in the store and dropped",
            {
                "files": len(files),
                "bytes": sum(files.values()),
                "files_left": left,
                "write_ms": round((written - began) * 1000, 1),
                "read_ms": round((read - written) * 1000, 1),
                "total_ms": round((time.perf_counter() - began) * 1000, 1),
            },
        )

    @contextlib.asynccontextmanager
    async def _probe_schema(self, trino: Trino) -> AsyncIterator[str]:
        rows = (await trino.query(f"show schemas from {self.catalog}")).rows
        for stale in stale_probes((row[0] for row in rows), time.time()):
            with contextlib.suppress(CheckFailed):  # another probe may be at it
                await trino.query(f"drop schema if exists {self.catalog}.{stale} cascade")
        schema = f"{self.catalog}.{probe_name()}"
        await trino.query(f"create schema {schema}")
        try:
            yield schema
        except BaseException:
            with contextlib.suppress(CheckFailed):  # what failed first is what is told
                await self._drop(trino, schema)
            raise
        await self._drop(trino, schema)

    @staticmethod
    async def _drop(trino: Trino, schema: str) -> None:
        await trino.query(f"drop table if exists {schema}.probe")
        await trino.query(f"drop schema {schema}")

    @staticmethod
    async def _read_back(trino: Trino, table: str) -> None:
        rows = (await trino.query(f"select id, word from {table} order by id")).rows  # noqa: S608 - a name of ours
        if rows != [[1, "one"], [2, "two"], [3, "three"]]:
            raise CheckFailed(
                "Trino reads other rows than it wrote", f"{table} gave {_shown(rows)}", "see the worker's log"
            )

    async def _files(self, trino: Trino, reach: Reach, table: str) -> dict[str, int]:
        """The table's data files as the store itself has them: keys and sizes."""
        paths = [str(row[0]) for row in (await trino.query(f'select distinct "$path" from {table}')).rows]  # noqa: S608
        keys = [data_key(path, self.bucket) for path in paths]
        folder = keys[0].rsplit("/data/", 1)[0] + "/"
        there = await self._listed(reach, folder)
        missing = [key for key in keys if not there.get(key)]
        if missing:
            raise CheckFailed(
                "the table's data files are not in the object store",
                f"{len(missing)} of {len(keys)} are missing or empty in s3://{self.bucket}: {missing[0]}",
                "see that Trino and the catalogue use this very object store",
            )
        return {key: there[key] for key in keys}

    async def _left(self, reach: Reach, files: dict[str, int]) -> int:
        """How many of the files are still there after the table is gone."""
        folder = next(iter(files)).rsplit("/data/", 1)[0] + "/"
        there = await self._listed(reach, folder)
        return len(files.keys() & there.keys())

    async def _listed(self, reach: Reach, folder: str) -> dict[str, int]:
        host, port = await reach.service(self.store, self.store_port, self.store_namespace)
        access = await reach.secret(self.secret, self.access_key)
        secret = await reach.secret(self.secret, self.secret_key)
        return await asyncio.to_thread(_list, f"{host}:{port}", access, secret, self.region, self.bucket, folder)


def data_key(path: str, bucket: str) -> str:
    """The object's key of a data file's path. Raises CheckFailed when it lies elsewhere."""
    start = f"s3://{bucket}/"
    if not path.startswith(start):
        raise CheckFailed(
            "the table's data files are not in the declared bucket",
            f"{path} is not under {start}",
            "correct the catalogue's warehouse, or the check's bucket",
        )
    return path.removeprefix(start)


def _list(address: str, access: str, secret: str, region: str, bucket: str, folder: str) -> dict[str, int]:
    import minio
    import urllib3

    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=20), retries=False) as pool:
        client = minio.Minio(
            address, access_key=access, secret_key=secret, secure=False, region=region, http_client=pool
        )
        try:
            return {str(o.object_name): int(o.size or 0) for o in client.list_objects(bucket, folder, recursive=True)}
        except (minio.error.MinioException, urllib3.exceptions.HTTPError) as error:
            cause = f"listing s3://{bucket}/{folder}: {error}"
            raise CheckFailed("the object store does not list the table's files", cause, "see its checks") from error


CHECKS = {"query": Query, "iceberg": Iceberg}
