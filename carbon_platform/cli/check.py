"""`carbon check`: a component's checks while they are written, step by step."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from carbon_platform.checks.base import Check
from carbon_platform.checks.run import run_check
from carbon_platform.checks.step_run import Seen, watching
from carbon_platform.cli.present import console, print_error, print_json
from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.records import CheckResult
from carbon_platform.session import Session, open_session
from carbon_platform.settings import settings
from carbon_platform.source import nearest
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Component


def run(name: str, wanted: Sequence[str], *, watch: bool, json: bool) -> int:
    """0 when every wanted check passed, 1 when one failed. Watching lasts until it is interrupted. Records nothing."""
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # that is how a person ends it
            asyncio.run(_watch(name, wanted))
        return 0
    component, checks = _chosen(name, wanted)
    results = asyncio.run(_once(component, checks, shown=not json))
    if json:
        print_json({"key": component.key, "checks": [_as_json(result, steps) for result, steps in results]})
    return 0 if all(result.passed for result, _ in results) else 1


def _chosen(name: str, wanted: Sequence[str]) -> tuple[Component, Mapping[str, Check]]:
    """The component and those of its checks. Raises ConfigurationError for what there is not."""
    platform = load_platform(settings())
    component = platform.components[graph.select(platform.needs, [name])[0]]
    unknown = next((one for one in wanted if one not in component.checks), None)
    if unknown is not None or not component.checks:
        there = ", ".join(component.checks) or "none"
        raise ConfigurationError(
            f"{component.key} has no check {unknown}" if unknown else f"{component.key} has no checks",
            f"there are: {there}{nearest(unknown or '', component.checks) if unknown else ''}",
            f"name one that {component.file} declares",
        )
    return component, {key: check for key, check in component.checks.items() if not wanted or key in wanted}


async def _once(
    component: Component, checks: Mapping[str, Check], *, shown: bool
) -> list[tuple[CheckResult, list[Seen]]]:
    async with open_session(settings()) as session:
        return [await _run(component, name, check, session, shown=shown) for name, check in checks.items()]


async def _run(
    component: Component, name: str, check: Check, session: Session, *, shown: bool
) -> tuple[CheckResult, list[Seen]]:
    steps: list[Seen] = []

    def seen(step: Seen) -> None:
        steps.append(step)
        if shown:
            _show_step(step)

    if shown:
        console.print(Text.assemble((name, "bold"), f"  {check.told_summary()}"))
    with watching(seen):
        result = await run_check(name, check, session.reach(component), session.settings.check_seconds)
    if shown:
        _show(result)
    return result, steps


async def _watch(name: str, wanted: Sequence[str]) -> None:
    """Run the checks, and again whenever the definition is written."""
    component, _ = _chosen(name, wanted)
    async with _changes(component.file) as changed:
        while True:
            try:
                component, checks = _chosen(name, wanted)
                await _once(component, checks, shown=True)
            except CarbonError as error:  # half written, most likely: the next change may mend it
                print_error(error)
            console.print(Text(f"waits for a change of {component.file} (Ctrl-C ends it)", style="dim"))
            await changed.wait()
            changed.clear()


@contextlib.asynccontextmanager
async def _changes(file: Path) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever the file is written, also by an editor that puts another in its place."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            written = event.event_type in {"modified", "created", "moved"}
            if written and str(file) in {str(event.src_path), str(event.dest_path)}:
                loop.call_soon_threadsafe(changed.set)

    observer = Observer()
    observer.schedule(Handler(), str(file.parent))
    observer.start()
    try:
        yield changed
    finally:
        observer.stop()
        observer.join()


def _show_step(step: Seen) -> None:
    good = step.verdict == "as expected"
    sign, colour = ("✓", "green") if good else ("✗", "red")
    console.print(Text.assemble("  ", (sign, colour), f" {step.title}", (f"  {step.milliseconds:.0f} ms", "dim")))
    console.print(Text(f"      {step.told}", style="dim"))
    if not good:
        console.print(Text(f"      {step.verdict}", style="red"))


def _show(result: CheckResult) -> None:
    colour = "green" if result.passed else "red"
    verdict = "passed" if result.passed else "failed"
    console.print(Text.assemble("  ", (verdict, colour), f": {result.detail}", (f"  {result.seconds:.2f} s", "dim")))
    if result.fix:
        console.print(Text(f"  fix: {result.fix}", style="green"))
    for key, value in result.evidence.items():
        console.print(Text(f"  {key} = {value}", style="dim"))


def _as_json(result: CheckResult, steps: Sequence[Seen]) -> dict[str, object]:
    told = dataclasses.asdict(result)
    return told | {"evidence": dict(result.evidence), "steps": [dataclasses.asdict(step) for step in steps]}
