"""`carbon down`."""

import asyncio
from collections.abc import Sequence

from carbon_platform.cli.ask import ask
from carbon_platform.cli.present import console, print_json
from carbon_platform.errors import ConfigurationError
from carbon_platform.materialization.down import check_volumes_stay, uninstall
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


def run(names: Sequence[str], *, delete_data: Sequence[str], yes: bool, json: bool) -> int:
    """0 when all of them are gone."""
    platform = load_platform(settings())
    wanted = graph.select(platform.needs, names)
    forget = graph.select(platform.needs, delete_data) if delete_data else []
    if set(forget) - set(wanted):
        raise ConfigurationError("--delete-data names what is not uninstalled", ", ".join(forget), "name it as well")
    keys = [key for key in reversed(platform.order) if key in graph.dependents(platform.needs, wanted)]
    if not yes:
        data = f" and DELETES THE DATA of {', '.join(forget)}" if forget else "; volumes stay"
        ask(f"This uninstalls {', '.join(keys)}{data}.")
    removed = asyncio.run(_down(platform, keys, set(forget), json))
    if json:
        print_json({"removed": removed})
    return 0


async def _down(platform: Platform, keys: Sequence[str], forget: set[str], quiet: bool) -> list[str]:
    removed = []
    async with open_session(settings()) as session:
        for key in keys:
            if key not in forget:
                await check_volumes_stay(platform.components[key], session)
        for key in keys:
            component = platform.components[key]
            # The data of content is kept by what it needs, and goes with it.
            loses = key in forget or (component.content is not None and not forget.isdisjoint(component.needs))
            done = await uninstall(component, session, delete_data=loses)
            if not quiet:
                console.print(f"{key}: {done or 'was not installed'}")
            removed += [key] if done else []
    return removed
