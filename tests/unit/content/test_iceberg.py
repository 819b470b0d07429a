import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from carbon_platform.checks import iceberg as checks
from carbon_platform.content.iceberg import Tables
from carbon_platform.errors import Conflict, DataAtRisk
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_catalogue import StubCatalogue, refused
from tests.unit.checks.stub_reach import StubReach

PRICES = {
    "name": "market.prices",
    "columns": [{"name": "commodity", "type": "string"}, {"name": "observed_at", "type": "timestamptz"}],
    "partition_by": ["day(observed_at)"],
}
WIDER = PRICES | {"columns": [*PRICES["columns"], {"name": "currency", "type": "string"}], "properties": {"owner": "x"}}
RETYPED = PRICES | {"columns": [{"name": "commodity", "type": "long"}, {"name": "observed_at", "type": "timestamptz"}]}


def declared(*tables: dict[str, Any]) -> Tables:
    return Tables.model_validate({"type": "iceberg.tables", "tables": list(tables)})


@contextlib.contextmanager
def reaching(catalogue: StubCatalogue) -> Iterator[StubReach]:
    with serving(catalogue) as port:
        yield StubReach(ports={"iceberg-rest": port})


async def test_what_is_planned_is_applied_and_then_there_is_nothing_to_plan() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        assert [(c.object, c.change) for c in await declared(PRICES).plan(reach)] == [
            ("namespace market", "create"),
            ("table market.prices", "create with 2 columns, partitioned by day(observed_at)"),
        ]
        await declared(PRICES).apply(reach)
        assert await declared(PRICES).plan(reach) == []
        await checks.Tables.model_validate({"type": "iceberg.tables", "tables": [PRICES]}).run(reach)


async def test_a_table_and_a_namespace_that_are_made_are_told_as_such_by_the_names_they_are_known_by() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        made = await declared(PRICES).plan(reach)
        assert [change.object for change in made if change.creates] == list(declared(PRICES).objects())
        await declared(PRICES).apply(reach)
        assert not [change for change in await declared(WIDER).plan(reach) if change.creates]


async def test_planning_changes_nothing() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        await declared(PRICES).plan(reach)
    assert {request.method for request in catalogue.requests} == {"GET"}


async def test_applying_what_is_there_writes_nothing() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        await declared(PRICES).apply(reach)
        catalogue.requests.clear()
        await declared(PRICES).apply(reach)
    assert {request.method for request in catalogue.requests} == {"GET"}


async def test_a_table_is_extended_in_place() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        await declared(PRICES).apply(reach)
        await declared(WIDER).apply(reach)
        assert await declared(WIDER).plan(reach) == []
        assert await declared(PRICES).plan(reach) == []
    assert len(catalogue.namespaces["market"]["prices"]["metadata"]["schemas"]) == 2


async def test_another_type_is_planned_as_a_loss_and_refused_before_any_change() -> None:
    catalogue = StubCatalogue()
    with reaching(catalogue) as reach:
        await declared(PRICES).apply(reach)
        (change,) = await declared(RETYPED).plan(reach)
        assert change.destroys_data
        with pytest.raises(DataAtRisk, match="commodity: string → long"):
            await declared(RETYPED, PRICES | {"name": "market.other"}).apply(reach)
    assert set(catalogue.namespaces["market"]) == {"prices"}


async def test_a_table_that_another_writer_changed_meanwhile_is_a_conflict() -> None:
    def changed(request: Request) -> Answer | None:
        if request.method == "POST" and request.path.endswith("/tables/prices"):
            return refused(409, "CommitFailedException", "Requirement failed: current schema changed")
        return None

    catalogue = StubCatalogue(changed)
    with reaching(catalogue) as reach:
        await declared(PRICES).apply(reach)
        with pytest.raises(Conflict, match=r"market\.prices"):
            await declared(WIDER).apply(reach)


def test_a_table_declared_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"declared twice: market\.prices"):
        declared(PRICES, PRICES)
