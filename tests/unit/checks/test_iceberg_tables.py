from typing import Any

import pytest
from pydantic import ValidationError

from carbon_platform.checks.iceberg_tables import (
    LiveTable,
    PartitionField,
    Table,
    creation,
    difference,
    evolution,
    may_widen,
    partition_field,
    partition_spec,
)


def table(*columns: str, partition_by: tuple[str, ...] = (), **properties: str) -> Table:
    """Columns as `name type`, with `!` after those that are required."""
    return Table.model_validate(
        {
            "name": "market.prices",
            "columns": [
                {"name": text.split()[0], "type": text.split()[1].rstrip("!"), "required": text.endswith("!")}
                for text in columns
            ],
            "partition_by": list(partition_by),
            "properties": properties,
        }
    )


def live(declared: Table, **changed: Any) -> LiveTable:
    request = creation(declared)
    fields = tuple(request["schema"]["fields"])
    given: dict[str, Any] = {"uuid": "u", "schema_id": 0, "fields": fields, "last_column_id": len(fields)}
    given |= {"partitions": declared.partitions, "properties": dict(declared.properties)}
    given |= {"specs": (request["partition-spec"],)}
    return LiveTable(**(given | changed))


def steps(declared: Table, there: LiveTable | None) -> list[tuple[str, bool]]:
    found = difference(declared, there)
    return found.steps() if found else []


def test_a_table_as_declared_has_nothing_to_do() -> None:
    declared = table("id long!", "at timestamptz", partition_by=("day(at)",), owner="data")
    assert difference(declared, live(declared)) is None


def test_columns_and_properties_that_nobody_declared_are_left_alone() -> None:
    there = live(table("id long", "extra string"), properties={"write.format.default": "orc"})
    assert steps(table("id long"), there) == []


def test_a_missing_table_is_made() -> None:
    assert steps(table("id long", partition_by=("id",)), None) == [("create with 1 columns, partitioned by id", False)]


def test_new_columns_wider_types_and_looser_columns_lose_nothing() -> None:
    there = live(table("id int!", "price float"))
    assert steps(table("id long", "price double", "currency string"), there) == [
        ("add column currency string", False),
        ("column id: int → long", False),
        ("column price: float → double", False),
        ("column id: no value needed any more", False),
    ]


@pytest.mark.parametrize(
    ("declared", "step"),
    [
        (table("id string"), "column id: long → string"),
        (table("id int"), "column id: long → int"),
        (table("id long!"), "column id: required, which existing rows may not have"),
        (table("id long", "at date!"), "add column at: required, which existing rows can't have"),
    ],
)
def test_what_existing_rows_do_not_bear_would_lose_data(declared: Table, step: str) -> None:
    assert steps(declared, live(table("id long"))) == [(step, True)]


def test_another_partitioning_holds_for_new_rows_only() -> None:
    there = live(table("id long", "at date", partition_by=("day(at)",)))
    found = difference(table("id long", "at date", partition_by=("month(at)", "bucket[4](id)")), there)
    assert found is not None
    assert found.steps() == [("new rows partitioned by month(at), bucket[4](id)", False)]
    _, updates = evolution(found)
    spec, default = updates
    assert [field["name"] for field in spec["spec"]["fields"]] == ["at_month", "id_bucket"]
    assert [field["field-id"] for field in spec["spec"]["fields"]] == [1001, 1002]
    assert spec["spec"]["spec-id"] == 1
    assert default == {"action": "set-default-spec", "spec-id": -1}


def test_a_partition_that_was_there_before_keeps_its_id() -> None:
    specs = [
        {"spec-id": 0, "fields": [{"source-id": 2, "transform": "day", "field-id": 1000}]},
        {"spec-id": 1, "fields": [{"source-id": 2, "transform": "month", "field-id": 1001}]},
    ]
    parts = [partition_field("day(at)"), partition_field("id")]
    made = partition_spec(parts, {"id": 1, "at": 2}, specs)
    assert [(f["name"], f["field-id"]) for f in made["fields"]] == [("at_day", 1000), ("id", 1002)]
    assert made["spec-id"] == 2


def test_a_changed_table_keeps_the_ids_of_its_columns_and_counts_on() -> None:
    there = live(table("id int", "old string"), schema_id=3, last_column_id=7)
    found = difference(table("id long", "new date"), there)
    assert found is not None
    requirements, updates = evolution(found)
    assert {"type": "assert-current-schema-id", "current-schema-id": 3} in requirements
    fields = updates[0]["schema"]["fields"]
    assert [f["name"] for f in fields] == ["id", "old", "new"]
    assert [f["type"] for f in fields] == ["long", "string", "date"]
    assert [f["id"] for f in fields] == [1, 2, 8]
    assert updates[0]["last-column-id"] == 8


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        ("int", "long", True),
        ("long", "int", False),
        ("decimal(9, 2)", "decimal(18, 2)", True),
        ("decimal(18, 2)", "decimal(9, 2)", False),
        ("decimal(9, 2)", "decimal(18, 3)", False),
        ("string", "date", False),
    ],
)
def test_types_widen_as_the_specification_has_it(before: str, after: str, may: bool) -> None:
    assert may_widen(before, after) is may


@pytest.mark.parametrize(
    ("text", "column", "transform", "name"),
    [
        ("region", "region", "identity", "region"),
        ("day(observed_at)", "observed_at", "day", "observed_at_day"),
        ("bucket[16](id)", "id", "bucket[16]", "id_bucket"),
        ("truncate[4](word)", "word", "truncate[4]", "word_trunc"),
    ],
)
def test_partitions_are_written_as_in_sql(text: str, column: str, transform: str, name: str) -> None:
    assert partition_field(text) == PartitionField(column, transform)
    assert partition_field(text).name == name


@pytest.mark.parametrize("text", ["week(at)", "bucket(id)", "day[3](at)", "day(", "", "a b"])
def test_what_is_no_partition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write one such as"):
        partition_field(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": [{"name": "a", "type": "varchar"}]}, "no primitive Iceberg type"),
        ({"columns": [{"name": "a", "type": "long"}] * 2}, "declared twice: a"),
        ({"columns": [{"name": "a", "type": "long"}], "partition_by": ["day(b)"]}, "not declared: b"),
        ({"columns": []}, "at least 1"),
        ({"columns": [{"name": "a", "type": "long"}], "name": "prices"}, "name"),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_is_wrong(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Table.model_validate({"name": "market.prices", **wrong})
