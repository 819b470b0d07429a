"""The functional check of declared Iceberg tables."""

from typing import ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.iceberg_session import IcebergCheck
from carbon_platform.checks.iceberg_tables import Table, difference, live_table
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted


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


CHECKS = {"tables": Tables}
