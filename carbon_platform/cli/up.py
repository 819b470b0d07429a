"""`carbon up`: look first; start a run only for what has something to do."""

import asyncio
import gc
import threading
from collections.abc import Collection, Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.ask import ask
from carbon_platform.cli.present import (
    again,
    console,
    looking,
    print_error,
    print_json,
    print_wrapped,
    report,
    score,
    state_line,
)
from carbon_platform.cluster.resources import pod_specs
from carbon_platform.errors import CarbonError, ExitCode, Interrupted
from carbon_platform.health.state import State, fine
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.inspect.status import ComponentStatus, statuses
from carbon_platform.session import open_session
from carbon_platform.settings import Settings, settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform
from carbon_platform.wording import counted


def run(names: Sequence[str], *, redeploy: bool, confirm: Sequence[str], yes: bool, json: bool) -> int:
    """0 when everything chosen is verified, else 1."""
    chosen = settings()
    platform = load_platform(chosen)
    named = graph.select(platform.needs, names)
    keys = [key for key in platform.order if key in graph.closure(platform.needs, named)]
    try:
        with looking(len(keys)):
            looks, images = asyncio.run(_look(platform, keys, chosen))
    except KeyboardInterrupt:
        raise Interrupted("interrupted", "nothing was changed", again("up", *names)) from None
    forced = set(named) if redeploy else set()
    todo = to_run(platform, looks, forced)
    excused = platform.excused(names)
    if not todo:
        return _nothing_to_do(platform, keys, looks, excused, chosen, json)
    if not json:
        _announce(looks, todo, forced)
    environment = chosen.environment
    if environment.confirm and not yes:
        ask(f"This changes {', '.join(todo)} in environment {environment.name!r} ({environment.cluster}).")
    if images:
        _provide(images)
    _load_dagster()
    from carbon_platform.cli.run import execute

    def go_on(left: Sequence[str]) -> str:
        again_forced = [key for key in left if key in forced]
        words = [*again_forced, "--redeploy"] if again_forced else names
        return again("up", *words, *(f"--confirm={word}" for word in confirm), *(["--yes"] if yes else []))

    run_id, failed = execute(platform, todo, sorted(forced), confirm, go_on, quiet=json)
    return _report(platform, keys, chosen, run_id, _not_fine(failed, excused, platform, chosen), json)


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
        why = "to be deployed again, as asked" if key in forced else looks[key].reason or "something it needs changes"
        console.print(Text.assemble((key, "bold"), "  ", (why, "yellow")))


def _nothing_to_do(
    platform: Platform,
    keys: Sequence[str],
    looks: Mapping[str, Planned],
    excused: Collection[str],
    chosen: Settings,
    json: bool,
) -> int:
    blocked = [key for key, one in looks.items() if one.blocked]
    seen = asyncio.run(statuses(platform, blocked, chosen))[0] if blocked else []
    failed = failures(seen, excused)
    if json:
        return _report(platform, keys, chosen, None, failed, json)
    for one in seen:
        print_wrapped(state_line(one))
    right = len(keys) - len(blocked)
    told = f"nothing to do: {counted(right, 'component')} {'is' if right == 1 else 'are'} as desired and verified"
    print_wrapped(Text(told, style="green"))
    return ExitCode.FAILED if failed else ExitCode.DONE


def failures(seen: Sequence[ComponentStatus], excused: Collection[str]) -> list[str]:
    """Of what a run did not verify, that which counts as a failure: what deploys from a public registry alone, and is
    blocked because none is reached, is none of the rest."""
    return [one.component.key for one in seen if not fine(one.state, excused=one.component.key in excused)]


def _not_fine(failed: Sequence[str], excused: Collection[str], platform: Platform, chosen: Settings) -> list[str]:
    return failures(asyncio.run(statuses(platform, failed, chosen))[0], excused) if failed else []


def _report(
    platform: Platform, keys: Sequence[str], chosen: Settings, run_id: str | None, failed: Sequence[str], json: bool
) -> int:
    seen, _ = asyncio.run(statuses(platform, keys, chosen))
    if json:
        print_json({**report(seen, chosen), "run_id": run_id})
    elif not failed:
        s = score(seen)
        told = Text(f"{s['verified']}/{counted(s['components'], 'component')} verified", style="green")
        for state in (State.BLOCKED, State.OFF):
            those = [one.component.key for one in seen if one.state is state]
            told.append(f"; {state.value}: {', '.join(those)}" if those else "", style="default")
        print_wrapped(told)
    return ExitCode.FAILED if failed else ExitCode.DONE
