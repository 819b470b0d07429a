"""`carbon status`."""

import asyncio
from collections.abc import Collection, Sequence

from rich.text import Text

from carbon_platform.cli.overview import overview
from carbon_platform.cli.present import (
    console,
    errors,
    print_json,
    print_lines,
    print_wrapped,
    report,
    score,
    terminal_width,
)
from carbon_platform.errors import ExitCode
from carbon_platform.health.state import fine
from carbon_platform.inspect.status import ComponentStatus, statuses
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.wording import counted


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when every component is as it should be, as `fine` says, else 1."""
    chosen = settings()
    platform = load_platform(chosen)
    keys = graph.select(platform.needs, names)
    seen, unreachable = asyncio.run(statuses(platform, keys, chosen))
    if json:
        print_json(report(seen, chosen))
    else:
        print_lines(overview(seen, terminal_width()))
        s = score(seen)
        told = (
            f"{s['verified']}/{counted(s['components'], 'component')} verified, "
            f"{s['critical_verified']}/{s['critical']} critical, "
            f"{s['pods_running']}/{counted(s['pods'], 'pod')} running"
        )
        print_wrapped(Text(told))
        if any(not fine(one.state, excused=False) for one in seen):
            console.print("details: carbon doctor NAME", style="dim")
        if unreachable:
            errors.print(unreachable, style="yellow")
    return exit_code(seen, platform.excused(names))


def exit_code(seen: Sequence[ComponentStatus], excused: Collection[str]) -> int:
    """Whether every component is as it should be."""
    right = all(fine(one.state, excused=one.component.key in excused) for one in seen)
    return ExitCode.DONE if right else ExitCode.FAILED
