"""`carbon up`: look first; start a run only for what has something to do."""

import asyncio
import gc
import threading
from collections.abc import Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.ask import ask
from carbon_platform.cli.present import console, looking, print_error, print_json, report, score
from carbon_platform.cluster.resources import pod_specs
from carbon_platform.errors import CarbonError
from carbon_platform.health.state import State
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.inspect.status import statuses
from carbon_platform.session import open_session
from carbon_platform.settings import Settings, settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


def run(names: Sequence[str], *, redeploy: bool, confirm: Sequence[str], yes: bool, json: bool) -> int:
    """0 when everything chosen is verified, else 1."""
    chosen = settings()
    platform = load_platform(chosen)
    named = graph.select(platform.needs, names)
    keys = [key for key in platform.order if key in graph.closure(platform.needs, named)]
    with looking(len(keys)):
        looks, images = asyncio.run(_look(platform, keys, chosen))
    forced = set(named) if redeploy else set()
    todo = to_run(platform, looks, forced)
    if not todo:
        return _nothing_to_do(platform, keys, looks, named if names else [], chosen, json)
    if not json:
        _announce(looks, todo, forced)
    environment = chosen.environment
    if environment.confirm and not yes:
        ask(f"This changes {', '.join(todo)} in environment {environment.name!r} ({environment.cluster}).")
    if images:
        _provide(images)
    _load_dagster()
    from carbon_platform.cli.run import execute

    run_id, failed = execute(platform, todo, sorted(forced), confirm, quiet=json)
    return _report(platform, keys, chosen, run_id, _excusable(failed, named if names else [], platform, chosen), json)


async def _look(platform: Platform, keys: Sequence[str], chosen: Settings) -> tuple[Mapping[str, Planned], list[str]]:
    """A look at every component, and the images that a local cluster would need for those that change."""
    async with open_session(chosen) as session:
        records = session.records.all()
        if any(key not in records or not records[key].verified_at for key in keys):
            # There will be a run: load Dagster while Helm and the API server are busy with the look.
            threading.Thread(target=_load_dagster, daemon=True).start()
        # The run asks the API server about everything that is new, before it makes anything.
        looks = await plans_of(platform, keys, session, asks=False)
        ours = session.api.target.kubeconfig == chosen.local_cluster / "kubeconfig"
    return looks, images_of(looks) if ours else []


def _load_dagster() -> None:
    """Load what a run needs. None of it is garbage, so nobody has to look for some in it, now or later."""
    gc.disable()
    try:
        import carbon_platform.cli.run
        import carbon_platform.storage  # noqa: F401 - loading them is the purpose
    finally:
        gc.freeze()
        gc.enable()


def to_run(platform: Platform, looks: Mapping[str, Planned], forced: set[str]) -> list[str]:
    """What a run must take: what has something to do, and what will be stale once that has changed. In order."""
    direct = {key for key, one in looks.items() if one.reason} | forced
    changing = forced | {key for key, one in looks.items() if _changes(one)}
    woken = graph.dependents(platform.needs, changing) & set(looks)
    return [key for key in platform.order if key in direct | woken]


def _changes(one: Planned) -> bool:
    return bool(
        one.content
        or one.outdated
        or (one.plan is not None and not one.plan.empty)
        or (one.error and one.component.release)
    )


def images_of(looks: Mapping[str, Planned]) -> list[str]:
    """Images of the pods that would be started."""
    images: dict[str, None] = {}
    for one in looks.values():
        for change in one.plan.changes if one.plan else ():
            for pod in pod_specs(change.desired) if change.desired else ():
                for container in [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]:
                    images |= {container["image"]: None} if "image" in container else {}
    return list(images)


def _provide(images: Sequence[str]) -> None:
    from carbon_platform.cli.images import provide

    try:
        provide(images)
    except CarbonError as error:
        # What needs the image will say so when it can't start; the others go on.
        print_error(error)


def _announce(looks: Mapping[str, Planned], todo: Sequence[str], forced: set[str]) -> None:
    for key in todo:
        why = "redeploy asked for" if key in forced else looks[key].reason or "what it needs changes"
        console.print(Text.assemble((key, "bold"), "  ", (why, "yellow")))


def _nothing_to_do(
    platform: Platform,
    keys: Sequence[str],
    looks: Mapping[str, Planned],
    named: Sequence[str],
    chosen: Settings,
    json: bool,
) -> int:
    blocked = {key: one.blocked for key, one in looks.items() if one.blocked}
    failed = _excusable(list(blocked), named, platform, chosen)
    if json:
        return _report(platform, keys, chosen, None, failed, json)
    for key, why in blocked.items():
        console.print(Text.assemble((key, "bold"), ("  blocked  ", "yellow"), why))
    console.print(f"nothing to do: {len(keys) - len(blocked)} components are as desired and verified", style="green")
    return 1 if failed else 0


def _excusable(failed: Sequence[str], named: Sequence[str], platform: Platform, chosen: Settings) -> list[str]:
    """Of what is not verified, that which counts as a failure.

    What deploys from a public registry alone, and is blocked because none is reached, says so; that is no failure
    of the rest, unless a person asked for it by name. The same holds for what needs it.
    """
    excused = platform.excusable - set(named)
    if not excused & set(failed):
        return list(failed)
    seen, _ = asyncio.run(statuses(platform, failed, chosen))
    return [s.component.key for s in seen if s.state is not State.BLOCKED or s.component.key not in excused]


def _report(
    platform: Platform, keys: Sequence[str], chosen: Settings, run_id: str | None, failed: Sequence[str], json: bool
) -> int:
    seen, _ = asyncio.run(statuses(platform, keys, chosen))
    if json:
        print_json({**report(seen, chosen), "run_id": run_id})
    elif not failed:
        s = score(seen)
        blocked = [one.component.key for one in seen if one.state is State.BLOCKED]
        rest = f"; blocked: {', '.join(blocked)}" if blocked else ""
        console.print(Text.assemble((f"{s['verified']}/{s['components']} components verified", "green"), rest))
    return 1 if failed else 0
