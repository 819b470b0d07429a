"""`carbon down`."""

import asyncio
from collections.abc import Mapping, Sequence

from carbon_platform.cli.ask import ask
from carbon_platform.cli.present import again, console, print_json
from carbon_platform.errors import ConfigurationError, ExitCode, Interrupted
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
    done: dict[str, str] = {}
    try:
        asyncio.run(_down(platform, keys, set(forget), json, done))
    except KeyboardInterrupt:
        go_on = again("down", *names, *(f"--delete-data={name}" for name in forget), *(["--yes"] if yes else []))
        raise Interrupted("interrupted", "", go_on, ends(keys, done)) from None
    if json:
        print_json({"removed": [key for key, what in done.items() if what]})
    return ExitCode.DONE


_BEGUN = "begun"


def ends(keys: Sequence[str], done: Mapping[str, str]) -> list[str]:
    """Where each component is, for a person who ended it: what is gone, half-way, and untouched."""
    gone = [key for key in keys if done.get(key, _BEGUN) is not _BEGUN]
    half = [key for key in keys if done.get(key) is _BEGUN]
    untouched = [key for key in keys if key not in done]
    meant = "Helm may have deleted some of its objects: the same command deletes the rest"
    told = [f"half-way: {key}, {meant}" for key in half]
    told = ([f"gone: {', '.join(gone)}"] if gone else []) + told
    return told + ([f"not begun, and as before: {', '.join(untouched)}"] if untouched else [])


async def _down(platform: Platform, keys: Sequence[str], forget: set[str], quiet: bool, done: dict[str, str]) -> None:
    """Fills `done` with what became of each component: empty where nothing was there."""
    async with open_session(settings()) as session:
        for key in keys:
            if key not in forget:
                await check_volumes_stay(platform.components[key], session)
        for key in keys:
            component = platform.components[key]
            # The data of content is kept by what it needs, and goes with it.
            loses = key in forget or (component.content is not None and not forget.isdisjoint(component.needs))
            done[key] = _BEGUN
            done[key] = await uninstall(component, session, delete_data=loses)
            if not quiet:
                console.print(f"{key}: {done[key] or 'was not installed'}")
