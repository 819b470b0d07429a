"""What people see of a component, a check and a materialization on its asset's page: as few entries as tell it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from carbon_platform.materialization.outcome import Outcome
from carbon_platform.records import CheckResult
from carbon_platform.spec.component import EndpointSpec
from carbon_platform.spec.platform import Component, Platform

_PLOTTED = ("_ms", "_s", "_bytes")
"""How the names of numbers end that say how long, or how much: people ask how they were yesterday."""
_CELL = 120
"""Characters that are read in a table; longer text has an entry of its own."""

Value = str | int | float | bool


def description(component: Component, platform: Platform) -> str:
    """One paragraph: what it is, and what depends on it."""
    above = [platform.components[key].title for key in platform.order if component.key in platform.needs[key]]
    needed = f"Needed by {_listed(above)}." if above else "Nothing else needs it."
    return " ".join(f"{told.rstrip('.')}." for told in (component.title, component.description) if told) + f" {needed}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def page(component: Component) -> dict[str, Any]:
    """Where it can be seen or reached by a person: its address from outside, or the command that opens it."""
    if not component.endpoints:
        return {}
    endpoint = next((one for one in component.endpoints if one.scheme != "tcp"), component.endpoints[0])
    if endpoint.host and endpoint.scheme != "tcp":
        return {"open": dg.MetadataValue.url(f"{endpoint.scheme}://{endpoint.host}")}
    return {"open": f"carbon open {component.key}{_chosen(endpoint, component)}"}


def _chosen(endpoint: EndpointSpec, component: Component) -> str:
    return "" if endpoint is component.endpoints[0] else f" --endpoint {endpoint.name}"


def table(rows: Mapping[str, Value], value: str = "value") -> dg.TableMetadataValue:
    """Names and values, a row for each."""
    return dg.MetadataValue.table(
        [dg.TableRecord({"name": name, value: one}) for name, one in rows.items()],
        schema=dg.TableSchema([dg.TableColumn("name"), dg.TableColumn(value, _type(rows.values()))]),
    )


def _type(values: Iterable[Value]) -> str:
    return "float" if all(isinstance(value, float) for value in values) else "string"


def timing(seconds: Mapping[str, float]) -> dict[str, Any]:
    """How long each took, as a table, and all together as a number."""
    rounded: dict[str, Value] = {name: round(one, 3) for name, one in seconds.items()}
    total = {"seconds": round(sum(seconds.values()), 3)}
    return {**total, "timing": table(rounded, "seconds")} if rounded else total


def evidence(told: Mapping[str, Value]) -> dict[str, Any]:
    """What a check or the cluster says: a table; what is measured also as numbers, which are plotted over time."""
    long = {name: value for name, value in told.items() if isinstance(value, str) and _is_long(value)}
    rows = {name: value for name, value in told.items() if name not in long}
    measured = {name: value for name, value in rows.items() if _is_measured(name, value)}
    shown = {"evidence": table(rows)} if rows else {}
    return {**measured, **shown, **{name: quoted(value.splitlines()) for name, value in long.items()}}


def _is_long(value: str) -> bool:
    return len(value) > _CELL or "\n" in value


def _is_measured(name: str, value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and name.endswith(_PLOTTED)


def quoted(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Lines as they are."""
    return dg.MetadataValue.md("\n".join(("```", *lines, "```")))


def of_check(result: CheckResult) -> dict[str, Any]:
    """The record of a check, the fix first."""
    fix = {"fix": result.fix} if result.fix else {}
    return {**fix, "seconds": round(result.seconds, 3), **evidence(result.evidence)}


def of_materialization(component: Component, outcome: Outcome) -> dict[str, Any]:
    """The record of a materialization."""
    told: dict[str, Any] = {
        **page(component),
        "checks_passed": sum(check.passed for check in outcome.checks),
        "applied": outcome.applied,
    }
    if outcome.changes:
        told["changes"] = quoted(outcome.changes)
    if outcome.revision is not None:
        told["revision"] = outcome.revision
    told |= timing(outcome.seconds) | {"digest": outcome.digest}
    if outcome.images:
        told["images"] = dg.MetadataValue.json(dict(outcome.images))
    if outcome.endpoints:
        told["endpoints"] = dg.MetadataValue.json(dict(outcome.endpoints))
    return told
