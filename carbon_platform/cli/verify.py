"""`carbon verify`."""

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.present import again, looking, print_error, print_json, print_wrapped, state_line
from carbon_platform.errors import ExitCode, Interrupted, Unreachable
from carbon_platform.healing.sweep import Swept, sweep
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus, statuses_in
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when every check of every named component passed; 1 when one failed, or could not be asked."""
    platform = load_platform(settings())
    keys = [key for key in platform.order if key in set(graph.select(platform.needs, names))]
    done: list[Swept] = []
    try:
        with looking(len(keys)):
            swept, states, unreachable = asyncio.run(_verify(platform, keys, done))
    except KeyboardInterrupt:
        raise _interrupted(keys, names, done) from None
    if json:
        print_json({"components": [_as_json(one, states.get(one.component)) for one in swept]})
    else:
        for one in swept:
            _show(one, states.get(one.component))
    if unreachable:
        print_error(unreachable)
    return exit_code(swept, states, platform.excused(names))


def exit_code(swept: Sequence[Swept], states: Mapping[str, ComponentStatus], excused: Collection[str]) -> int:
    """Whether all checks passed. `states`: of what is not healthy; what is blocked for want of a registry is excused.

    What is off is not: it was asked whether it works, and it does not.
    """
    blocked = {key for key, seen in states.items() if seen.state is State.BLOCKED and key in excused}
    right = all(one.healthy or one.component in blocked for one in swept)
    return ExitCode.DONE if right else ExitCode.FAILED


async def _verify(
    platform: Platform, keys: Sequence[str], done: list[Swept]
) -> tuple[list[Swept], dict[str, ComponentStatus], Unreachable | None]:
    """What was found; the state of what is not healthy; why nobody could be asked."""
    swept = [Swept(key, unknown="not looked at") for key in keys]
    try:
        async with open_session(settings()) as session:
            swept = await sweep(platform, keys, session, 0.0, asked=True, tell=done.append)
            unhealthy = [one.component for one in swept if not one.healthy]
            seen = await statuses_in(session, platform, unhealthy) if unhealthy else []
            return swept, {one.component.key: one for one in seen}, None
    except Unreachable as error:
        return [one if one.checks else Swept(one.component, unknown=error.summary) for one in swept], {}, error


def _interrupted(keys: Sequence[str], names: Sequence[str], done: Sequence[Swept]) -> Interrupted:
    known = {one.component for one in done}
    left = [key for key in keys if key not in known]
    told = [
        f"{what}: {', '.join(those)}"
        for what, those in (
            ("checked, and recorded", [key for key in keys if key in known]),
            ("not checked to the end, and nothing recorded", left),
        )
        if those
    ]
    return Interrupted("interrupted", "nothing was deployed", again("verify", *(left if known else names)), told)


def _as_json(one: Swept, seen: ComponentStatus | None) -> dict[str, object]:
    checks = [{**dataclasses.asdict(check), "evidence": dict(check.evidence)} for check in one.checks]
    blocked = seen.reason if seen and seen.state is State.BLOCKED else None
    off = seen is not None and seen.state is State.OFF
    return {"key": one.component, "checks": checks, "unknown": one.unknown or None, "blocked": blocked, "off": off}


def _show(one: Swept, seen: ComponentStatus | None) -> None:
    if seen and seen.state is State.BLOCKED:
        print_wrapped(state_line(seen))
        return
    print_wrapped(Text(one.component, style="bold"))
    if one.unknown:
        print_wrapped(Text(f"? {one.unknown}", style="yellow"), 2)
    for check in one.checks:
        sign, colour = ("✓", "green") if check.passed else ("✗", "red")
        told = (check.detail, "" if check.passed else colour)
        took = (f"  {check.seconds:.2f} s", "dim")
        print_wrapped(Text.assemble((sign, colour), f" {check.name}  ", told, took), 2)
        if not check.passed and check.fix:
            print_wrapped(Text(check.fix, style="green"), 6)
