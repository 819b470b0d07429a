"""`carbon status`."""

import asyncio
from collections.abc import Sequence

from carbon_platform.cli.overview import overview
from carbon_platform.cli.present import console, errors, print_json, print_lines, report, score, terminal_width
from carbon_platform.health.state import State
from carbon_platform.inspect.status import statuses
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform

_GOOD = frozenset({State.VERIFIED, State.OFF})


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when every component is verified (or off on purpose), else 1.

    What is blocked for want of a public registry alone counts only when it was named.
    """
    chosen = settings()
    platform = load_platform(chosen)
    keys = graph.select(platform.needs, names)
    seen, unreachable = asyncio.run(statuses(platform, keys, chosen))
    if json:
        print_json(report(seen, chosen))
    else:
        print_lines(overview(seen, terminal_width()))
        s = score(seen)
        console.print(
            f"{s['verified']}/{s['components']} components verified, "
            f"{s['critical_verified']}/{s['critical']} critical, {s['pods_running']}/{s['pods']} pods running"
        )
        if any(one.state not in _GOOD for one in seen):
            console.print("details: carbon doctor NAME", style="dim")
        if unreachable:
            errors.print(unreachable, style="yellow")
    excused = platform.excusable - set(keys if names else ())
    return 0 if all(s.state in _GOOD or (s.state is State.BLOCKED and s.component.key in excused) for s in seen) else 1
