"""`carbon verify`."""

import asyncio
from collections.abc import Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.present import console, print_json
from carbon_platform.materialization.session import open_session
from carbon_platform.materialization.verify import verify
from carbon_platform.records import CheckResult
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when every check of every named component passed, else 1."""
    results = asyncio.run(_verify(names))
    if json:
        print_json(
            {
                "components": [
                    {"key": key, "checks": [{**vars(c), "evidence": dict(c.evidence)} for c in checks]}
                    for key, checks in results.items()
                ]
            }
        )
    else:
        for key, checks in results.items():
            _show(key, checks)
    return 0 if all(check.passed for checks in results.values() for check in checks) else 1


async def _verify(names: Sequence[str]) -> Mapping[str, Sequence[CheckResult]]:
    platform = load_platform(settings())
    keys = graph.select(platform.needs, names)
    async with open_session(settings()) as session:
        found = await asyncio.gather(*(verify(platform.components[key], session) for key in keys))
    return dict(zip(keys, found, strict=True))


def _show(key: str, checks: Sequence[CheckResult]) -> None:
    console.print(Text(key, style="bold"))
    for check in checks:
        sign, colour = ("✓", "green") if check.passed else ("✗", "red")
        console.print(
            Text.assemble(
                "  ", (sign, colour), f" {check.name}  ", (check.detail, "" if check.passed else colour),
                (f"  {check.seconds:.2f} s", "dim"),
            )
        )  # fmt: skip
        if not check.passed and check.fix:
            console.print(Text(f"      {check.fix}", style="green"))
