"""`carbon drift`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.changes import field_as_json, print_field
from carbon_platform.cli.present import (
    COLOURS,
    again,
    console,
    error_as_json,
    errors,
    looking,
    one_line,
    print_json,
    print_wrapped,
)
from carbon_platform.drift.compare import drifts
from carbon_platform.drift.drift import Deed, Drift, Verdict
from carbon_platform.errors import ExitCode
from carbon_platform.health.state import State
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.wording import counted

_COLOURS = {
    Verdict.IN_SYNC: "green",
    Verdict.DRIFTED: "red",
    Verdict.ABSENT: "dim",
    Verdict.DEPLOYING: "cyan",
    Verdict.FAILED: "red",
    Verdict.UNKNOWN: "yellow",
}
_SIGNS = {
    Deed.DELETED: ("-", "red"),
    Deed.EDITED: ("~", "yellow"),
    Deed.ADDED: ("+", "yellow"),
    Deed.REVISED: ("!", "yellow"),
    Deed.OWNED: ("x", "red"),
}
_FINE = {Verdict.IN_SYNC, Verdict.ABSENT, Verdict.DEPLOYING}


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when everything installed is as deployed; 1 when something is not, or could not be compared."""
    platform = load_platform(settings())
    keys = graph.select(platform.needs, names)
    with looking(len(keys)):
        found = asyncio.run(drifts(platform, keys, settings()))
    if json:
        print_json({"components": [_as_json(one) for one in found]})
    else:
        for one in found:
            _show(one)
        _sum_up(found)
    return exit_code(found)


def exit_code(found: Sequence[Drift]) -> int:
    """Whether everything installed is as it was deployed."""
    return ExitCode.DONE if all(one.verdict in _FINE for one in found) else ExitCode.FAILED


def _as_json(one: Drift) -> dict[str, Any]:
    error = error_as_json(one.error) if one.error else None
    return {
        "key": one.component.key,
        "state": one.verdict.value,
        "reason": one.reason,
        "blocked": one.blocked or None,
        "policy": one.component.drift.policy,
        "differences": one.differences,
        "objects": [
            {
                "action": drifted.deed.value,
                "object": drifted.object,
                "reason": drifted.reason,
                "fields": [field_as_json(field) | {"by": field.by, "at": field.at} for field in drifted.fields],
            }
            for drifted in one.objects
        ],
        "error": error,
    }


def _show(one: Drift) -> None:
    told = Text(one_line(one.reason), style=_COLOURS[one.verdict])
    if one.objects:
        told = Text(counted(one.differences, "difference"), style=_COLOURS[one.verdict])
    elif one.blocked:
        told = Text.assemble((State.BLOCKED.value, COLOURS[State.BLOCKED]), "  ", one_line(one.blocked))
    print_wrapped(Text.assemble((one.component.key, "bold"), "  ", told))
    if one.error and one.verdict is not Verdict.UNKNOWN:
        for line in filter(None, (one.error.cause, one.error.fix)):
            print_wrapped(Text(line, style="dim"), 2)
    for drifted in one.objects:
        sign, colour = _SIGNS[drifted.deed]
        print_wrapped(Text(f"{sign} {drifted.object}  {drifted.deed}  {drifted.reason}".rstrip(), style=colour), 2)
        for field in drifted.fields:
            print_field(field)


def _sum_up(found: Sequence[Drift]) -> None:
    drifted = [one.component.key for one in found if one.verdict is Verdict.DRIFTED]
    if drifted:
        console.print()
        many = f"{len(drifted)} of {counted(len(found), 'component')} drifted"
        print_wrapped(Text(f"{many}; to put that right: {again('up', *drifted)}"))
    elif all(one.verdict in _FINE for one in found):
        console.print("\nno drift")
    unreachable = next((one.error for one in found if one.error and one.verdict is Verdict.UNKNOWN), None)
    if unreachable:
        errors.print(str(unreachable), style="yellow")
