"""Functional checks of an Iceberg REST catalogue: it answers, keeps namespaces, and commits tables."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.iceberg_session import Catalogue, IcebergCheck, probe_namespace
from carbon_platform.checks.iceberg_tables import Table, difference, live_table
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted

_NOBODY = "00000000-0000-4000-8000-000000000000"


def _milliseconds(since: float) -> float:
    return round((time.perf_counter() - since) * 1000, 1)


class Config(IcebergCheck):
    """The catalogue tells clients its configuration."""

    summary: ClassVar[str] = "The catalogue answers /v1/config as the protocol says."

    async def probe(self, reach: Reach) -> Passed:
        async with self.catalogue(reach) as session:
            began = time.perf_counter()
            answer = await session.config()
            return Passed(
                "the catalogue gives its configuration",
                {"endpoints": len(answer.get("endpoints") or []), "latency_ms": _milliseconds(began)},
            )


class Namespace(IcebergCheck):
    """A namespace can be made, is there, is listed, and is gone after its removal: the database keeps it."""

    summary: ClassVar[str] = "A namespace is made, found, listed and removed."

    async def probe(self, reach: Reach) -> Passed:
        async with self.catalogue(reach) as session:
            began = time.perf_counter()
            async with probe_namespace(session) as name:
                if not await session.has_namespace(name):
                    raise _forgot(f"namespace {name}", "it was made a moment ago and is not there")
                names = await session.namespaces()
                if name not in names:
                    raise _forgot(f"namespace {name}", "it is there but not listed")
            if await session.has_namespace(name):
                raise _forgot(f"the removal of namespace {name}", "it was removed and is still there")
            return Passed(
                "a namespace was made, found and removed",
                {"namespaces": len(names) - 1, "latency_ms": _milliseconds(began)},
            )


class Commit(IcebergCheck):
    """A table is made, committed to and read back, refuses a commit on stale state, and is removed with its files."""

    summary: ClassVar[str] = "A table commit is kept, and one on stale state is refused."

    async def probe(self, reach: Reach) -> Passed:
        async with self.catalogue(reach) as session:
            began = time.perf_counter()
            async with probe_namespace(session) as namespace:
                table = await session.create_table(namespace, _PROBE_TABLE)
                committed = await self._commit(session, namespace, table)
                await self._stale(session, namespace)
            return Passed(
                "a table was made, committed to and removed",
                {"commit_ms": committed, "latency_ms": _milliseconds(began)},
            )

    async def _commit(self, session: Catalogue, namespace: str, table: Mapping[str, Any]) -> float:
        """Milliseconds of a commit that is found again when the table is loaded."""
        began = time.perf_counter()
        uuid = table["metadata"]["table-uuid"]
        update = {"action": "set-properties", "updates": {"carbon.probe": namespace}}
        answer = await session.commit(namespace, "probe", [{"type": "assert-table-uuid", "uuid": uuid}], [update])
        took = _milliseconds(began)
        if answer is None:
            raise _forgot("a commit", "it was refused as if the probe's table had changed meanwhile")
        loaded = await session.load_table(namespace, "probe")
        if loaded is None or loaded["metadata"].get("properties", {}).get("carbon.probe") != namespace:
            raise _forgot("a commit", "it was accepted, but the table loads without it")
        if loaded["metadata-location"] == table["metadata-location"]:
            raise _forgot("a commit", "the table's current metadata file is still the one before it")
        return took

    async def _stale(self, session: Catalogue, namespace: str) -> None:
        update = {"action": "set-properties", "updates": {"carbon.stale": "true"}}
        refused = await session.commit(namespace, "probe", [{"type": "assert-table-uuid", "uuid": _NOBODY}], [update])
        if refused is not None:
            raise CheckFailed(
                "the Iceberg catalogue accepts a commit on a state that never was",
                "a requirement that does not hold was not checked: concurrent writers would lose data",
                "take the catalogue out of use until it is mended",
            )


_PROBE_TABLE: dict[str, Any] = {
    "name": "probe",
    "schema": {
        "type": "struct",
        "schema-id": 0,
        "fields": [{"id": 1, "name": "id", "type": "long", "required": True}],
    },
    "properties": {"format-version": "2"},
}


def _forgot(what: str, cause: str) -> CheckFailed:
    return CheckFailed(f"the Iceberg catalogue does not keep {what}", cause, "see its log, and its database")


class Tables(IcebergCheck):
    """Every declared table is there with the declared columns, partitions and properties."""

    summary: ClassVar[str] = "The declared tables are there as declared."

    tables: list[Table] = Field(min_length=1)

    async def probe(self, reach: Reach) -> Passed:
        async with self.catalogue(reach) as session:
            snapshots, problems = 0, []
            for table in self.tables:
                loaded = await session.load_table(table.namespace, table.table)
                live = live_table(loaded["metadata"]) if loaded else None
                snapshots += len(loaded["metadata"].get("snapshots") or []) if loaded else 0
                found = difference(table, live)
                problems += [f"table {table.name}: {text}" for text, _ in found.steps()] if found else []
            if problems:
                raise CheckFailed(
                    f"{counted(len(problems), 'problem')} with the declared Iceberg tables",
                    problems[0],
                    "materialize the tables",
                    problems[:10],
                )
            return Passed(
                f"{counted(len(self.tables), 'table')} as declared",
                {"tables": len(self.tables), "snapshots": snapshots},
            )


CHECKS = {"config": Config, "namespace": Namespace, "commit": Commit, "tables": Tables}
