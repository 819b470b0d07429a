"""What people see of a component, a check and a materialization on its asset's page."""

from typing import Any

import dagster as dg
import pytest

from carbon_platform.components.metadata import description, evidence, of_check, of_materialization, page
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.records import CheckResult
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions

TCP = {"name": "server", "service": "app", "port": 6379}
WEB = {"name": "web", "service": "app", "port": 80, "scheme": "http"}


def rows(value: object, column: str = "value") -> dict[Any, Any]:
    assert isinstance(value, dg.TableMetadataValue)
    return {record.data["name"]: record.data[column] for record in value.records}


def component(definitions: Definitions, **attributes: Any) -> Component:
    definitions.chart()
    definitions.release("app", **attributes)
    return definitions.load().components["app"]


def test_a_paragraph_says_what_it_is_and_what_depends_on_it(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("db", title="Database", description="Keeps rows")
    definitions.release("app", title="Shop", needs=["db"])
    definitions.release("bill", title="Billing", needs=["db"])
    definitions.release("mail", title="Mail", needs=["bill", "db"])
    platform = definitions.load()
    told = {key: description(one, platform) for key, one in platform.components.items()}
    assert told["db"] == "Database. Keeps rows. Needed by Shop, Billing and Mail."
    assert told["bill"].endswith("Needed by Mail.")
    assert told["app"].endswith("Nothing else needs it.")


@pytest.mark.parametrize(
    ("endpoints", "shown"),
    [
        ([TCP, WEB | {"host": "app.example.com", "scheme": "https"}], "https://app.example.com"),
        ([WEB], "carbon open app"),
        ([TCP, WEB], "carbon open app --endpoint web"),
        ([TCP], "carbon open app"),
    ],
)
def test_where_to_open_it_is_its_address_or_the_command(
    definitions: Definitions, endpoints: list[dict[str, Any]], shown: str
) -> None:
    (found,) = page(component(definitions, endpoints=endpoints)).values()
    assert (found.value if isinstance(found, dg.MetadataValue) else found) == shown


def test_what_has_no_endpoint_can_not_be_opened(definitions: Definitions) -> None:
    assert page(component(definitions)) == {}


def test_evidence_is_a_table_and_what_is_measured_a_number_to_plot() -> None:
    told = evidence({"version": "7.0", "latency_ms": 2.5, "clients": 3, "memory_bytes": 1024, "primary": True})
    assert (told["latency_ms"], told["memory_bytes"]) == (2.5, 1024)
    assert set(told) == {"latency_ms", "memory_bytes", "evidence"}
    assert rows(told["evidence"]) == {
        "version": "7.0", "latency_ms": 2.5, "clients": 3, "memory_bytes": 1024, "primary": True
    }  # fmt: skip


def test_what_the_cluster_says_at_length_is_no_cell_of_a_table() -> None:
    told = evidence({"told": "first line\nsecond line"})
    assert set(told) == {"told"}
    assert told["told"].value == "```\nfirst line\nsecond line\n```"


def test_a_check_begins_with_what_would_help() -> None:
    told = of_check(CheckResult("ping", False, "no answer", "", 0.5, "see its log", {"role": "slave"}))
    assert [*told] == ["fix", "seconds", "evidence"]


def test_a_materialization_begins_with_where_to_open_it_and_has_one_table_of_its_steps(
    definitions: Definitions,
) -> None:
    outcome = Outcome("app", 3, "abc", True, ("update x",), (), {"plan": 0.5, "verify": 1.25}, {}, {})
    told = of_materialization(component(definitions, endpoints=[WEB]), outcome)
    assert next(iter(told.items())) == ("open", "carbon open app")
    assert (told["seconds"], told["revision"]) == (1.75, 3)
    assert rows(told["timing"], "seconds") == {"plan": 0.5, "verify": 1.25}
    assert not any(name.startswith("seconds_") for name in told)
