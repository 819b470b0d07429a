"""A declared Iceberg table, a live one, and how they differ. Pure; the shapes are those of the REST protocol."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_PRIMITIVE = re.compile(
    r"^(boolean|int|long|float|double|date|time|timestamp|timestamptz|string|uuid|binary"
    r"|fixed\[\d+\]|decimal\(\d+, \d+\))$"
)
_DECIMAL = re.compile(r"^decimal\((\d+), ?(\d+)\)$")
_PARTITION = re.compile(r"^(?:(?P<transform>[a-z]+)(?:\[(?P<width>\d+)\])?\((?P<inner>\w+)\)|(?P<column>\w+))$")
_TRANSFORMS = ("year", "month", "day", "hour", "bucket", "truncate", "void")
_WIDENINGS = {("int", "long"), ("float", "double")}
"""Changes of a type that the table specification allows; of decimals, the precision may grow."""

_FIRST_PARTITION = 1000
"""The specification counts the fields of partitions from here, so that they never meet the columns' ids."""


class Column(BaseModel):
    """A column. Nested types are not declared here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: str = Field(description="A primitive type of the Iceberg table specification.")
    required: bool = Field(False, description="Every row has a value.")
    doc: str | None = None

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        decimal = _DECIMAL.match(value)
        text = f"decimal({decimal[1]}, {decimal[2]})" if decimal else value
        if not _PRIMITIVE.match(text):
            raise ValueError(
                f"{value!r} is no primitive Iceberg type; write one such as string, long or decimal(18, 6)"
            )
        return text


@dataclasses.dataclass(frozen=True)
class PartitionField:
    """One part of a partition spec: a transform of a column, and the part's name."""

    column: str
    transform: str

    @property
    def name(self) -> str:
        """As Iceberg's own builders name it, so that other engines see what they would have made."""
        base = self.transform.split("[")[0]
        return self.column if base == "identity" else f"{self.column}_{'trunc' if base == 'truncate' else base}"


def partition_field(text: str) -> PartitionField:
    """`day(observed_at)`, `bucket[16](id)` or `region`. Raises ValueError."""
    match = _PARTITION.match(text)
    if match and match["column"]:
        return PartitionField(match["column"], "identity")
    width = f"[{match['width']}]" if match and match["width"] else ""
    if not match or match["transform"] not in _TRANSFORMS or bool(width) != (match["transform"] in _TRANSFORMS[4:6]):
        raise ValueError(f"{text!r} is no partition; write one such as day(observed_at), bucket[16](id) or a column")
    return PartitionField(match["inner"], match["transform"] + width)


class Table(BaseModel):
    """A table as a person declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="namespace.table")
    columns: list[Column] = Field(min_length=1)
    partition_by: list[str] = Field(default_factory=list, description="day(column), bucket[16](column), column, …")
    properties: dict[str, str] = Field(default_factory=dict, description="Those not named are left alone.")

    @property
    def namespace(self) -> str:
        """The part before the dot."""
        return self.name.split(".")[0]

    @property
    def table(self) -> str:
        """The part after the dot."""
        return self.name.split(".")[1]

    @property
    def partitions(self) -> tuple[PartitionField, ...]:
        """The partition spec, parsed."""
        return tuple(map(partition_field, self.partition_by))

    @model_validator(mode="after")
    def _consistent(self) -> "Table":
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"columns declared twice: {', '.join(twice)}")
        unknown = sorted({part.column for part in self.partitions} - set(names))
        if unknown:
            raise ValueError(f"partitioned by columns that are not declared: {', '.join(unknown)}")
        return self


@dataclasses.dataclass(frozen=True)
class LiveTable:
    """A table as the catalogue has it."""

    uuid: str
    schema_id: int
    fields: tuple[Mapping[str, Any], ...]
    """Of the current schema: id, name, type, required."""
    last_column_id: int
    partitions: tuple[PartitionField, ...]
    specs: tuple[Mapping[str, Any], ...]
    """All partition specs that rows were or are written with."""
    properties: Mapping[str, str]


def live_table(metadata: Mapping[str, Any]) -> LiveTable:
    """From a table's metadata as the catalogue loads it."""
    schema = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
    spec = next(s for s in metadata["partition-specs"] if s["spec-id"] == metadata["default-spec-id"])
    names = {field["id"]: field["name"] for field in schema["fields"]}
    return LiveTable(
        metadata["table-uuid"],
        schema["schema-id"],
        tuple(schema["fields"]),
        metadata["last-column-id"],
        tuple(PartitionField(names.get(f["source-id"], "?"), f["transform"]) for f in spec["fields"]),
        tuple(metadata["partition-specs"]),
        metadata.get("properties") or {},
    )


@dataclasses.dataclass(frozen=True)
class TableDifference:
    """What stands between a declared table and its live one."""

    table: Table
    live: LiveTable | None
    added: tuple[Column, ...] = ()
    widened: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    relaxed: tuple[str, ...] = ()
    """Columns that need no value any more."""
    impossible: tuple[str, ...] = ()
    """Changes that existing rows do not bear, each in words."""
    partitions: bool = False
    properties: Mapping[str, tuple[str | None, str]] = dataclasses.field(default_factory=dict)

    def steps(self) -> list[tuple[str, bool]]:
        """The difference for a person, one step each, and whether the step loses data."""
        if self.live is None:
            parts = f", partitioned by {', '.join(self.table.partition_by)}" if self.table.partition_by else ""
            return [(f"create with {len(self.table.columns)} columns{parts}", False)]
        found = [(f"add column {c.name} {c.type}", False) for c in self.added]
        found += [(f"column {name}: {before} → {after}", False) for name, (before, after) in self.widened.items()]
        found += [(f"column {name}: no value needed any more", False) for name in self.relaxed]
        found += [(text, True) for text in self.impossible]
        if self.partitions:
            found.append((f"new rows partitioned by {', '.join(self.table.partition_by) or 'nothing'}", False))
        for key, (old, new) in sorted(self.properties.items()):
            found.append((f"{key}: {'unset' if old is None else old} → {new}", False))
        return found


def difference(table: Table, live: LiveTable | None) -> TableDifference | None:
    """What `table` declares and `live` has not; None when nothing is to do.

    Columns that are there but not declared are left alone.
    """
    if live is None:
        return TableDifference(table, None)
    there = {field["name"]: field for field in live.fields}
    added, impossible, relaxed, widened = [], [], [], {}
    for column in table.columns:
        field = there.get(column.name)
        if field is None and column.required:
            impossible.append(f"add column {column.name}: required, which existing rows can't have")
        elif field is None:
            added.append(column)
        else:
            before, after = str(field["type"]), column.type
            if before != after and may_widen(before, after):
                widened[column.name] = (before, after)
            elif before != after:
                impossible.append(f"column {column.name}: {before} → {after}")
            if column.required and not field["required"]:
                impossible.append(f"column {column.name}: required, which existing rows may not have")
            elif field["required"] and not column.required:
                relaxed.append(column.name)
    found = TableDifference(
        table,
        live,
        tuple(added),
        widened,
        tuple(relaxed),
        tuple(impossible),
        partitions=live.partitions != table.partitions,
        properties={k: (live.properties.get(k), v) for k, v in table.properties.items() if live.properties.get(k) != v},
    )
    return found if found.steps() else None


def may_widen(before: str, after: str) -> bool:
    """Whether every value of type `before` is one of type `after`, as the table specification has it."""
    if (before, after) in _WIDENINGS:
        return True
    old, new = _DECIMAL.match(before), _DECIMAL.match(after)
    return bool(old and new and old[2] == new[2] and int(new[1]) >= int(old[1]))


def partition_spec(
    parts: Sequence[PartitionField], ids: Mapping[str, int], specs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A spec of these parts, beside those there are.

    A part keeps the field id it has in any of them, and a new part gets one that none of them has: the id is what
    tells engines whether two files are partitioned alike.
    """
    fields = [field for spec in specs for field in spec["fields"]]
    known = {(f["source-id"], f["transform"]): f["field-id"] for f in fields}
    last = max((f["field-id"] for f in fields), default=_FIRST_PARTITION - 1)
    made = []
    for part in parts:
        key = (ids[part.column], part.transform)
        if key not in known:
            last += 1
            known[key] = last
        made.append({"source-id": key[0], "field-id": known[key], "transform": key[1], "name": part.name})
    return {"spec-id": max((spec["spec-id"] for spec in specs), default=-1) + 1, "fields": made}


def _field(column: Column, number: int) -> dict[str, Any]:
    field: dict[str, Any] = {"id": number, "name": column.name, "type": column.type, "required": column.required}
    return {**field, "doc": column.doc} if column.doc else field


def creation(table: Table) -> dict[str, Any]:
    """The request that makes the table."""
    fields = [_field(column, number) for number, column in enumerate(table.columns, start=1)]
    ids = {field["name"]: field["id"] for field in fields}
    return {
        "name": table.table,
        "schema": {"type": "struct", "schema-id": 0, "fields": fields},
        "partition-spec": partition_spec(table.partitions, ids, []),
        "properties": {"format-version": "2", **table.properties},
    }


def evolution(found: TableDifference) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Requirements and updates of the commit that makes an existing table as declared.

    The requirements make it fail when somebody else changed the table's schema meanwhile.
    """
    live = found.live
    assert live is not None, "a table that is not there is made, not changed"
    requirements: list[dict[str, Any]] = [
        {"type": "assert-table-uuid", "uuid": live.uuid},
        {"type": "assert-current-schema-id", "current-schema-id": live.schema_id},
    ]
    fields, last = _evolved(found, live)
    updates: list[dict[str, Any]] = []
    if found.added or found.widened or found.relaxed:
        schema = {"type": "struct", "schema-id": live.schema_id + 1, "fields": fields}
        updates.append({"action": "add-schema", "schema": schema, "last-column-id": last})
        updates.append({"action": "set-current-schema", "schema-id": -1})
    if found.partitions:
        ids = {field["name"]: field["id"] for field in fields}
        spec = partition_spec(found.table.partitions, ids, live.specs)
        updates.append({"action": "add-spec", "spec": spec})
        updates.append({"action": "set-default-spec", "spec-id": -1})
    if found.properties:
        changed = {key: new for key, (_, new) in found.properties.items()}
        updates.append({"action": "set-properties", "updates": changed})
    return requirements, updates


def _evolved(found: TableDifference, live: LiveTable) -> tuple[list[dict[str, Any]], int]:
    """The fields of the new schema and the last column id: those there keep their ids, new ones come after."""
    fields = []
    for there in live.fields:
        field = dict(there)
        if field["name"] in found.widened:
            field["type"] = found.widened[field["name"]][1]
        if field["name"] in found.relaxed:
            field["required"] = False
        fields.append(field)
    last = live.last_column_id
    for column in found.added:
        last += 1
        fields.append(_field(column, last))
    return fields, last
