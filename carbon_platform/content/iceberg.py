"""Namespaces and tables of an Iceberg catalogue."""

import contextlib
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from carbon_platform.checks.iceberg_session import Catalogue, catalogue
from carbon_platform.checks.iceberg_tables import Table, TableDifference, creation, difference, evolution, live_table
from carbon_platform.cluster.reach import Reach
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import Conflict, DataAtRisk


class Tables(Content):
    """Declared tables and the namespaces they are in: made and extended; no column, table or namespace is dropped."""

    summary: ClassVar[str] = "Iceberg tables with their columns, partitions and properties."

    service: str = Field("iceberg-rest", description="Service of the REST catalogue.")
    port: int = Field(8181, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    tables: list[Table] = Field(min_length=1)

    @field_validator("tables")
    @classmethod
    def _each_once(cls, value: list[Table]) -> list[Table]:
        names = [table.name for table in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"declared twice: {', '.join(twice)}")
        return value

    def objects(self) -> tuple[str, ...]:
        """The tables, and the namespaces that they are in."""
        namespaces = dict.fromkeys(table.namespace for table in self.tables)
        return (*(f"namespace {name}" for name in namespaces), *(f"table {table.name}" for table in self.tables))

    async def plan(self, reach: Reach) -> list[ContentChange]:
        """Namespaces and tables to make, columns to add or widen, partitions and properties to set."""
        async with self._catalogue(reach) as session:
            missing = await self._missing_namespaces(session)
            found = await self._differences(session)
        return planned(missing, found)

    async def apply(self, reach: Reach) -> None:
        """Make it so. Raises DataAtRisk before the first change when existing rows would not bear what is declared."""
        async with self._catalogue(reach) as session:
            found = await self._differences(session)
            refuse_losses(found)
            for name in await self._missing_namespaces(session):
                await session.create_namespace(name)
            for one in found:
                if one.live is None:
                    await session.create_table(one.table.namespace, creation(one.table))
                else:
                    await _evolve(session, one)

    def _catalogue(self, reach: Reach) -> contextlib.AbstractAsyncContextManager[Catalogue]:
        return catalogue(reach, self.service, self.port, self.service_namespace)

    async def _missing_namespaces(self, session: Catalogue) -> list[str]:
        there = await session.namespaces()
        return sorted({table.namespace for table in self.tables} - set(there))

    async def _differences(self, session: Catalogue) -> list[TableDifference]:
        found = []
        for table in self.tables:
            loaded = await session.load_table(table.namespace, table.table)
            one = difference(table, live_table(loaded["metadata"]) if loaded else None)
            if one is not None:
                found.append(one)
        return found


def planned(namespaces: Sequence[str], differences: Sequence[TableDifference]) -> list[ContentChange]:
    """The steps that make what is missing and change what differs."""
    made = [ContentChange(f"namespace {name}", "create", creates=True) for name in namespaces]
    return made + [
        ContentChange(f"table {d.table.name}", text, lost, d.live is None)
        for d in differences
        for text, lost in d.steps()
    ]


def refuse_losses(differences: Sequence[TableDifference]) -> None:
    """Raises DataAtRisk when a declaration does not fit the rows there are: they would be lost or unreadable."""
    refused = [d for d in differences if d.impossible]
    if refused:
        raise DataAtRisk(
            f"{', '.join(d.table.name for d in refused)}: declared so that existing rows would not fit",
            "; ".join(f"{d.table.name}: {text}" for d in refused for text in d.impossible),
            "declare what is there; for another type, add a new column, fill it, and leave the old one",
        )


async def _evolve(session: Catalogue, one: TableDifference) -> None:
    requirements, updates = evolution(one)
    if await session.commit(one.table.namespace, one.table.table, requirements, updates) is None:
        raise Conflict(
            f"table {one.table.name} was changed by somebody else meanwhile",
            "its schema is not the one that was looked at",
            "materialize the tables again",
        )


CONTENT = {"tables": Tables}
