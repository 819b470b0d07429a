"""`carbon plan`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.present import console, error_as_json, looking, print_json
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.release.plan import Action
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.REFUSED: ("!", "red"),
    Action.INVALID: ("x", "red"),
    Action.OWNED: ("x", "red"),
    Action.DEFERRED: ("…", "dim"),
}


def run(names: Sequence[str], *, json: bool) -> int:
    """0; 1 when something could not be planned."""
    looks = asyncio.run(_looks(names))
    if json:
        print_json({"components": [_as_json(one) for one in looks.values()]})
    else:
        for one in looks.values():
            _show(one)
        todo = sum(bool(one.reason) for one in looks.values())
        console.print(f"\n{todo} of {len(looks)} components have something to do" if todo else "nothing to do")
    return 1 if any(one.error for one in looks.values()) else 0


async def _looks(names: Sequence[str]) -> Mapping[str, Planned]:
    platform = load_platform(settings())
    keys = graph.closure(platform.needs, graph.select(platform.needs, names))
    with looking(len(keys)):
        async with open_session(settings()) as session:
            return await plans_of(platform, keys, session)


def _as_json(one: Planned) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [
        {
            "action": change.action.value,
            "object": str(change.object),
            "reason": change.reason,
            "fields": [{"path": f.path, "live": f.live, "desired": f.desired} for f in change.fields],
        }
        for change in (one.plan.changes if one.plan else ())
    ]
    changes += [{"action": "update", "object": c.object, "reason": c.change, "fields": []} for c in one.content]
    changes += [
        {"action": "update", "object": str(c.secret), "reason": f"key {c.key}: {c.why}", "fields": []}
        for c in one.outdated
    ]
    error = error_as_json(one.error) if one.error else None
    return {
        "key": one.component.key,
        "reason": one.reason,
        "changes": changes,
        "warnings": _meaningless(one),
        "error": error,
    }


def _meaningless(one: Planned) -> list[str]:
    """What the definition says of objects that there are not: a typo, or a chart that does not make them here."""
    return [f"{rule}: the release has no such object" for rule in (one.plan.meaningless if one.plan else ())]


def _show(one: Planned) -> None:
    style = "red" if one.error else "yellow" if one.reason else "green"
    console.print(Text.assemble((one.component.key, "bold"), "  ", (one.reason or "as desired", style)))
    if one.error:
        console.print(Text(f"  {one.error.cause}\n  {one.error.fix}".rstrip(), style="dim"))
    for change in one.plan.changes if one.plan else ():
        sign, colour = _SIGNS[change.action]
        console.print(Text(f"  {sign} {change.object}  {change.reason}".rstrip(), style=colour))
        for field in change.fields:
            console.print(Text(f"      {field}", style="dim"))
    for rule in _meaningless(one):
        console.print(Text(f"  ? {rule}", style="yellow"))
    for difference in one.content:
        console.print(Text(f"  ~ {difference.object}  {difference.change}", style="yellow"))
    for copied in one.outdated:
        console.print(Text(f"  ~ {copied.secret}  key {copied.key}: {copied.why}", style="yellow"))
