"""`carbon drift`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.present import console, error_as_json, errors, looking, print_json
from carbon_platform.drift.compare import drifts
from carbon_platform.drift.drift import Deed, Drift, Verdict
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform

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
        found = asyncio.run(drifts([platform.components[key] for key in keys], settings()))
    if json:
        print_json({"components": [_as_json(one) for one in found]})
    else:
        for one in found:
            _show(one)
        _sum_up(found)
    return 0 if all(one.verdict in _FINE for one in found) else 1


def _as_json(one: Drift) -> dict[str, Any]:
    error = error_as_json(one.error) if one.error else None
    return {
        "key": one.component.key,
        "state": one.verdict.value,
        "reason": one.reason,
        "policy": one.component.drift.policy,
        "differences": one.differences,
        "objects": [
            {
                "action": drifted.deed.value,
                "object": drifted.object,
                "reason": drifted.reason,
                "fields": [vars(field) for field in drifted.fields],
            }
            for drifted in one.objects
        ],
        "error": error,
    }


def _show(one: Drift) -> None:
    reason = f"{one.differences} differences" if one.objects else one.reason
    console.print(Text.assemble((one.component.key, "bold"), "  ", (reason, _COLOURS[one.verdict])))
    if one.error and one.verdict is not Verdict.UNKNOWN:
        console.print(Text(f"  {one.error.cause}\n  {one.error.fix}".rstrip(), style="dim"))
    for drifted in one.objects:
        sign, colour = _SIGNS[drifted.deed]
        console.print(Text(f"  {sign} {drifted.object}  {drifted.deed}  {drifted.reason}".rstrip(), style=colour))
        for field in drifted.fields:
            console.print(Text(f"      {field}", style="dim"))


def _sum_up(found: Sequence[Drift]) -> None:
    drifted = [one.component.key for one in found if one.verdict is Verdict.DRIFTED]
    if drifted:
        console.print(f"\n{len(drifted)} of {len(found)} components drifted; carbon up {' '.join(drifted)}")
    elif all(one.verdict in _FINE for one in found):
        console.print("\nno drift")
    unreachable = next((one.error for one in found if one.error and one.verdict is Verdict.UNKNOWN), None)
    if unreachable:
        errors.print(str(unreachable), style="yellow")
