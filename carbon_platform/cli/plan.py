"""`carbon plan`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.changes import field_as_json, print_field
from carbon_platform.cli.present import (
    console,
    error_as_json,
    looking,
    print_json,
    print_wrapped,
    state_line,
)
from carbon_platform.errors import ExitCode
from carbon_platform.health.state import State
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.inspect.status import ComponentStatus, statuses_in
from carbon_platform.release.plan import Action
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.wording import counted

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.REFUSED: ("!", "red"),
    Action.INVALID: ("x", "red"),
    Action.OWNED: ("x", "red"),
    Action.DEFERRED: ("…", "dim"),
}
_TOLD = frozenset({State.BLOCKED, State.OFF, State.DEPLOYING, State.QUARANTINED})
"""States that a plan does not tell by itself."""


def run(names: Sequence[str], *, json: bool) -> int:
    """0; 1 when something could not be planned."""
    looks, states = asyncio.run(_looks(names))
    if json:
        print_json({"components": [_as_json(one, states[key]) for key, one in looks.items()]})
    else:
        for key, one in looks.items():
            _show(one, states[key])
        console.print()
        print_wrapped(_sum_up(looks, states))
    return exit_code(looks)


def exit_code(looks: Mapping[str, Planned]) -> int:
    """Whether all of them could be planned."""
    return ExitCode.FAILED if any(one.error for one in looks.values()) else ExitCode.DONE


async def _looks(names: Sequence[str]) -> tuple[Mapping[str, Planned], Mapping[str, ComponentStatus]]:
    platform = load_platform(settings())
    keys = graph.closure(platform.needs, graph.select(platform.needs, names))
    with looking(len(keys)):
        async with open_session(settings()) as session:
            looks, states = await asyncio.gather(
                plans_of(platform, keys, session), statuses_in(session, platform, list(keys))
            )
    return looks, {one.component.key: one for one in states}


def _as_json(one: Planned, seen: ComponentStatus) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [
        {
            "action": change.action.value,
            "object": str(change.object),
            "reason": change.reason,
            "fields": [field_as_json(field) for field in change.fields],
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
        "state": seen.state.value,
        "state_reason": seen.reason,
        "reason": one.reason,
        "changes": changes,
        "warnings": _meaningless(one),
        "error": error,
    }


def _meaningless(one: Planned) -> list[str]:
    """What the definition says of objects that there are not: a typo, or a chart that does not make them here."""
    return [f"{rule}: the release has no such object" for rule in (one.plan.meaningless if one.plan else ())]


def _show(one: Planned, seen: ComponentStatus) -> None:
    print_wrapped(_first_line(one, seen))
    if one.error:
        for told in filter(None, (one.error.cause, one.error.fix)):
            print_wrapped(Text(told, style="dim"), 2)
    for change in one.plan.changes if one.plan else ():
        sign, colour = _SIGNS[change.action]
        print_wrapped(Text(f"{sign} {change.object}  {change.reason}".rstrip(), style=colour), 2)
        for field in change.fields:
            print_field(field)
    for rule in _meaningless(one):
        print_wrapped(Text(f"? {rule}", style="yellow"), 2)
    for difference in one.content:
        print_wrapped(Text(f"~ {difference.object}  {difference.change}", style="yellow"), 2)
    for copied in one.outdated:
        print_wrapped(Text(f"~ {copied.secret}  key {copied.key}: {copied.why}", style="yellow"), 2)


def _first_line(one: Planned, seen: ComponentStatus) -> Text:
    if seen.state in _TOLD:
        return state_line(seen, f"to do: {one.reason}" if one.reason else "")
    style = "red" if one.error else "yellow" if one.reason else "green"
    return Text.assemble((one.component.key, "bold"), "  ", (one.reason or "as desired", style))


def _sum_up(looks: Mapping[str, Planned], states: Mapping[str, ComponentStatus]) -> Text:
    todo = sum(bool(one.reason) for one in looks.values())
    has = "has" if todo == 1 else "have"
    told = f"{todo} of {counted(len(looks), 'component')} {has} something to do" if todo else "nothing to do"
    blocked = [key for key in looks if states[key].state is State.BLOCKED]
    return Text(told + (f"; blocked: {', '.join(blocked)}" if blocked else ""))
