"""Checks of PostgreSQL: that it takes writes, that its consumers can work, that its replicas follow."""

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.postgres_session import PostgresCheck, row, session
from carbon_platform.checks.service import ServiceName, ready_endpoints
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted

if TYPE_CHECKING:
    from carbon_platform.checks.postgres_session import Session

_STATE = """
SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool, current_setting('server_version'),
       (SELECT system_identifier::text FROM pg_control_system()),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
       extract(epoch FROM now() - pg_postmaster_start_time())::float8
"""
_INSERT = "INSERT INTO carbon_probe.written (id) VALUES (%s)"
_READ = (
    "SELECT count(*), (SELECT system_identifier::text FROM pg_control_system()) FROM carbon_probe.written WHERE id = %s"
)
_DELETE = "DELETE FROM carbon_probe.written WHERE id = %s OR at < now() - interval '1 hour'"


class Write(PostgresCheck):
    """A row written and committed is read back by another session.

    The rows live in the schema `carbon_probe` of the database `postgres`, which stays; each run
    removes its own row and what runs that were killed left more than an hour ago.
    """

    summary: ClassVar[str] = "A committed row is read back by another session of the one primary."

    service: str | None = Field(None, description="The primary's Service: exactly one ready endpoint may be behind it.")

    async def run(self, reach: Reach) -> Passed:
        if self.service is not None:
            await _one_writer(reach, ServiceName(self.service, reach.namespace))
        probe = uuid.uuid4()
        async with await self.superuser(reach) as writer:
            version, system, connections, limit, uptime = await _writable(writer)
            await _prepare(writer)
            try:
                began = time.perf_counter()
                await writer.execute(_INSERT, [probe])
                written = time.perf_counter()
                async with await self.superuser(reach) as reader:
                    await _read_back(reader, probe, system)
                read = time.perf_counter()
            finally:
                await writer.execute(_DELETE, [probe])
        return Passed(
            f"PostgreSQL {version} wrote and read back a row",
            {
                "version": version,
                "system_identifier": system,
                "latency_ms": round((written - began) * 1000, 2),
                "read_ms": round((read - written) * 1000, 2),
                "connections": connections,
                "connections_limit": limit,
                "uptime_s": round(uptime),
            },
        )


async def _one_writer(reach: Reach, service: ServiceName) -> None:
    ready = await ready_endpoints(reach, service)
    if not ready:
        raise CheckFailed(
            f"no PostgreSQL primary stands behind Service {service}",
            "it has no ready endpoint",
            "see the primary's pod, its log, and the selector of the Service",
        )
    if len(ready) > 1:
        raise CheckFailed(
            f"Service {service} has {len(ready)} primaries",
            f"its ready endpoints are {', '.join(ready)}; with more than one, two servers may take writes",
            "stop the clients and find out which holds the data",
        )


async def _writable(connection: "Session") -> tuple[str, str, int, int, float]:
    recovery, read_only, version, system, connections, limit, reserved, uptime = await row(connection, _STATE)
    if recovery:
        raise CheckFailed("PostgreSQL is a replica", "it is in recovery, so it takes no writes", "find the primary")
    if read_only:
        raise CheckFailed(
            "PostgreSQL is set read-only", "default_transaction_read_only is on", "find out who set it, then reset it"
        )
    if connections >= limit - reserved:
        raise CheckFailed(
            "PostgreSQL has no connection left for its clients",
            f"{connections} of {limit} are in use, {reserved} are kept for superusers",
            "find who holds them in pg_stat_activity, or raise max_connections",
        )
    return str(version).split()[0], system, connections, limit, uptime


async def _prepare(connection: "Session") -> None:
    """Make the probe table where it is missing; the lock is for two first runs at the same time."""
    if (await row(connection, "SELECT to_regclass('carbon_probe.written')"))[0] is not None:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('carbon_probe'))")
        await connection.execute("CREATE SCHEMA IF NOT EXISTS carbon_probe")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS carbon_probe.written"
            " (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        )


async def _read_back(connection: "Session", probe: uuid.UUID, system: str) -> None:
    found, other = await row(connection, _READ, [probe])
    if other != system:
        raise CheckFailed(
            "two PostgreSQL servers answer under one name", f"system identifiers {system} and {other}",
            "stop the clients and find out which holds the data",
        )  # fmt: skip
    if found != 1:
        raise CheckFailed("PostgreSQL lost a committed row", f"another session reads {found} rows, not 1")


class Database(BaseModel):
    """A database, and the role that owns it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    owner: str


class Databases(PostgresCheck):
    """Every consumer's role logs in with its own password and can make a table in its own database.

    The table is made in a transaction that is rolled back. Also proves that passwords are asked for.
    """

    summary: ClassVar[str] = "Each declared role logs in to its own database and may write there."

    databases: list[Database]

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with await self.superuser(reach) as connection:
            problems = await self._missing(connection) + await _open_doors(connection)
        if not problems:
            problems = [p for p in await asyncio.gather(*(self._use(reach, d) for d in self.databases)) if p]
        if problems:
            raise CheckFailed(
                "the consumers of PostgreSQL can't work as declared",
                "; ".join(problems),
                "the log of the provisioner pod, which keeps roles and databases as declared, says why",
            )
        milliseconds = round((time.perf_counter() - began) * 1000, 2)
        roles = len({d.owner for d in self.databases})
        return Passed(
            f"{counted(len(self.databases), 'database')} usable by {counted(roles, 'role')}",
            {"databases": len(self.databases), "roles": roles, "latency_ms": milliseconds},
        )

    async def _missing(self, connection: "Session") -> list[str]:
        cursor = await connection.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin")
        roles = {name for (name,) in await cursor.fetchall()}
        cursor = await connection.execute("SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datallowconn")
        owners = dict(await cursor.fetchall())
        return missing(self.databases, roles, owners)

    async def _use(self, reach: Reach, database: Database) -> str | None:
        try:
            host, port = await reach.endpoint()
            password = await reach.secret(self.secret, database.owner)
            async with (
                session(host, port, database.owner, password, database.name) as connection,
                connection.transaction(force_rollback=True),
            ):
                table = f"carbon_probe_{uuid.uuid4().hex}"
                await connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS written".encode())
                await row(connection, "SELECT 1 FROM pg_class WHERE relname = %s", [table])
        except CheckFailed as failure:
            return f"{database.name} for {database.owner}: {failure.summary} ({failure.cause})"
        return None


def missing(declared: list[Database], roles: set[str], owners: dict[str, str]) -> list[str]:
    """What is declared and not there: one sentence each. `roles` can log in; `owners` is by database."""
    problems = [f"role {owner} is missing" for owner in sorted({d.owner for d in declared} - roles)]
    for database in declared:
        owner = owners.get(database.name)
        if owner is None:
            problems.append(f"database {database.name} is missing")
        elif owner != database.owner:
            problems.append(f"database {database.name} belongs to {owner}, declared is {database.owner}")
    return problems


async def _open_doors(connection: "Session") -> list[str]:
    cursor = await connection.execute(
        "SELECT line_number, coalesce(error, auth_method) FROM pg_hba_file_rules"
        " WHERE error IS NOT NULL OR auth_method NOT IN ('scram-sha-256', 'cert', 'reject')"
    )
    return [f"pg_hba.conf line {line}: {method}, not scram-sha-256" for line, method in await cursor.fetchall()]


class Replication(PostgresCheck):
    """Every declared replica streams and has what was committed just now."""

    summary: ClassVar[str] = "All replicas stream, and replay what the primary has just committed."

    replicas: int = Field(ge=0)
    service: str | None = Field(None, description="Service of the replicas: one of them is asked as well.")
    catch_up: float = Field(10, gt=0, description="Seconds a replica may take to replay the newest change.")

    async def run(self, reach: Reach) -> Passed:
        if self.replicas == 0:
            return Passed("no replicas are declared", {"replicas": 0})
        async with await self.superuser(reach) as primary:
            position, began = await _mark(primary), time.perf_counter()
            while True:
                behind = await _behind(primary, position)
                if len(behind) >= self.replicas and not any(behind.values()):
                    break
                if time.perf_counter() - began > self.catch_up:
                    raise lagging(behind, self.replicas)
                await asyncio.sleep(0.05)
            milliseconds = round((time.perf_counter() - began) * 1000, 2)
        if self.service is not None:
            await self._ask_replica(reach, self.service, position)
        return Passed(
            f"{counted(len(behind), 'replica')} replayed the newest change",
            {"replicas": len(behind), "latency_ms": milliseconds},
        )

    async def _ask_replica(self, reach: Reach, service: str, position: str) -> None:
        host, port = await reach.service(service, await self._port(reach, service))
        password = await reach.secret(self.secret, self.superuser_key)
        async with session(host, port, "postgres", password, "postgres") as replica:
            recovery, replayed = await row(
                replica, "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]
            )
        if not recovery:
            raise CheckFailed(
                f"Service {service} leads to a server that is no replica", "it is not in recovery",
                "two primaries may write: stop the clients and find out which holds the data",
            )  # fmt: skip
        if not replayed:
            raise CheckFailed(f"the replica behind {service} reads old data", f"it has not replayed {position}")

    @staticmethod
    async def _port(reach: Reach, service: str) -> int:
        found = await reach.get("v1", "Service", service)
        if found is None:
            raise CheckFailed(f"Service {service} does not exist", "", "re-apply the declared Service")
        return int(found["spec"]["ports"][0]["port"])


async def _mark(connection: "Session") -> str:
    """Commit a message of no effect to the write-ahead log; the position that holds it."""
    await connection.execute("SELECT pg_logical_emit_message(true, 'carbon', 'probe')")
    (position,) = await row(connection, "SELECT pg_current_wal_flush_lsn()::text")
    return str(position)


async def _behind(connection: "Session", position: str) -> dict[str, int]:
    """Bytes each streaming replica still has to replay up to `position`; 0 when it has it."""
    cursor = await connection.execute(
        "SELECT application_name, greatest(0, pg_wal_lsn_diff(%s::pg_lsn, replay_lsn))::bigint"
        " FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn IS NOT NULL",
        [position],
    )
    return {str(name): int(count) for name, count in await cursor.fetchall()}


def lagging(behind: dict[str, int], wanted: int) -> CheckFailed:
    late = [f"{name} is {count} bytes behind" for name, count in sorted(behind.items()) if count]
    return CheckFailed(
        f"{len(behind) - len(late)} of {wanted} replicas follow PostgreSQL",
        "; ".join(late) or f"only {len(behind)} stream",
        "see the log of the replica; one whose log position is gone needs a new copy, which only a person may order",
    )


CHECKS = {"write": Write, "databases": Databases, "replication": Replication}
