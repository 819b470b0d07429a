"""`carbon verify`."""

import asyncio
import dataclasses
from collections.abc import Sequence

from rich.text import Text

from carbon_platform.cli.present import console, print_error, print_json
from carbon_platform.errors import Unreachable
from carbon_platform.healing.sweep import Swept, sweep
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when every check of every named component passed; 1 when one failed, or could not be asked."""
    swept, unreachable = asyncio.run(_verify(names))
    if json:
        print_json({"components": [_as_json(one) for one in swept]})
    else:
        for one in swept:
            _show(one)
    if unreachable:
        print_error(unreachable)
    return 0 if all(one.healthy for one in swept) else 1


async def _verify(names: Sequence[str]) -> tuple[list[Swept], Unreachable | None]:
    platform = load_platform(settings())
    keys = graph.select(platform.needs, names)
    try:
        async with open_session(settings()) as session:
            return await sweep(platform, keys, session, 0.0, asked=True), None
    except Unreachable as error:
        return [Swept(key, unknown=error.summary) for key in platform.order if key in keys], error


def _as_json(one: Swept) -> dict[str, object]:
    checks = [{**dataclasses.asdict(check), "evidence": dict(check.evidence)} for check in one.checks]
    return {"key": one.component, "checks": checks, "unknown": one.unknown or None}


def _show(one: Swept) -> None:
    console.print(Text(one.component, style="bold"))
    if one.unknown:
        console.print(Text(f"  ? {one.unknown}", style="yellow"))
    for check in one.checks:
        sign, colour = ("✓", "green") if check.passed else ("✗", "red")
        console.print(
            Text.assemble(
                "  ", (sign, colour), f" {check.name}  ", (check.detail, "" if check.passed else colour),
                (f"  {check.seconds:.2f} s", "dim"),
            )
        )  # fmt: skip
        if not check.passed and check.fix:
            console.print(Text(f"      {check.fix}", style="green"))
