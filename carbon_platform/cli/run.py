"""One Dagster run in this process, and its progress on the terminal. Importing this loads Dagster."""

import contextlib
import getpass
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import create_execution_plan, execute_run
from dagster._core.snap import snapshot_from_execution_plan
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

import carbon_platform.definitions
from carbon_platform.cli.present import console, errors
from carbon_platform.components.asset import check_names, interrupt
from carbon_platform.errors import Interrupted
from carbon_platform.instance import prepare_instance
from carbon_platform.materialization.progress import Event, Step, listening
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

_STYLES = {Step.DONE: "green", Step.FAILED: "red"}
_BEFORE = "nothing of it was applied yet"
_HALF_WAY = {
    Step.PREFLIGHT: _BEFORE,
    Step.PLAN: _BEFORE,
    Step.CLAIM: _BEFORE,
    Step.RECOVER: _BEFORE,
    Step.APPLY: "applied in part: the next run applies the rest",
    Step.WAIT: "applied, and not ready yet: the next run waits for it and verifies it",
    Step.VERIFY: "applied and ready, and not verified: the next run verifies it",
}
"""What it means that a component was ended in a step."""


def asset_job() -> ReconstructableJob:
    """The job that materializes any selection of the platform's assets, as Dagster's own processes load it."""
    module, function = carbon_platform.definitions.__name__, carbon_platform.definitions.alone.__name__
    repository = ReconstructableRepository.for_module(module, function)
    return repository.get_reconstructable_job(IMPLICIT_ASSET_JOB_NAME)


def chosen_job(platform: Platform, keys: Sequence[str]) -> ReconstructableJob:
    """The job that materializes `keys` with their own checks. Not the sweeps': they would follow after everything."""
    checks = {
        dg.AssetCheckKey(dg.AssetKey(key), name) for key in keys for name in check_names(platform.components[key])
    }
    return asset_job().get_subset(asset_selection={dg.AssetKey(key) for key in keys}, asset_check_selection=checks)


def materialize(
    platform: Platform, keys: Sequence[str], config: Mapping[str, Any], instance: dg.DagsterInstance
) -> dg.JobExecutionResult:
    """One run of these components, told in the list of runs with them and with who started it."""
    job = chosen_job(platform, keys)
    definition = job.get_definition()
    plan = create_execution_plan(job, config)
    # What Dagster's own function for this makes of a selection of assets has the checks of the sweeps as well.
    run = instance.create_run(
        job_name=definition.name,
        run_id=None,
        run_config=config,
        status=None,
        tags={"carbon/command": "up", "user": person()},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, definition.get_job_snapshot_id()),
        job_snapshot=definition.get_job_snapshot(),
        parent_job_snapshot=definition.get_parent_job_snapshot(),
        asset_selection=job.asset_selection,
        asset_check_selection=job.asset_check_selection,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=None,
        job_code_origin=job.get_python_origin(),
        asset_graph=definition.asset_layer.asset_graph,
    )
    return execute_run(job, run, instance)


def person() -> str:
    """Who runs this process, and where: what the list of runs has under "Launched by"."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a numbered user of a container
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def execute(
    platform: Platform,
    keys: Sequence[str],
    redeploy: Sequence[str],
    confirm: Sequence[str],
    go_on: Callable[[Sequence[str]], str],
    *,
    quiet: bool,
) -> tuple[str, list[str]]:
    """Materialize `keys` in one run; its id, and the components that are not verified after it.

    Raises Interrupted after Ctrl-C, with what it left; `go_on` tells the command for the components left.
    """
    prepare_instance(settings())
    configured = {key: {"config": {"redeploy": key in redeploy, "confirm": list(confirm)}} for key in keys}
    watched = _Watched(keys)
    with dg.DagsterInstance.get() as instance, watched.shown(quiet), listening(watched.hear):

        def run() -> dg.JobExecutionResult:
            # Dagster would write every event to the terminal a second time.
            loggers = {"console": {"config": {"log_level": "CRITICAL"}}}
            return materialize(platform, keys, {"ops": configured, "loggers": loggers}, instance)

        try:
            run_id = _interruptible(run).run_id
        except KeyboardInterrupt:
            raise Interrupted("interrupted", "", go_on(watched.left()), watched.ends()) from None
    failed = watched.failed()
    if not quiet:
        watched.explain()
    return run_id, failed


def _interruptible(run: Callable[[], dg.JobExecutionResult]) -> dg.JobExecutionResult:
    """The result of `run`; Ctrl-C ends its materializations in order before KeyboardInterrupt goes on.

    Dagster keeps an interrupt back in the thread that runs a job until a step ends, which may take minutes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="run") as thread:
        future = thread.submit(run)
        try:
            return future.result()
        except KeyboardInterrupt:
            errors.print("ends in order: each component gives back what it holds", style="yellow")
            interrupt()
            future.exception()
            raise


class _Watched:
    """The news of a run, kept for each component and shown as they come."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._news: dict[str, Event | None] = dict.fromkeys(keys)
        self._since: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._lines = not console.is_terminal
        self._spinner = Spinner("dots")

    def hear(self, event: Event) -> None:
        if event.component not in self._news:
            return
        began = self._since.setdefault(event.component, time.monotonic())
        if event.step in _STYLES:
            self._took[event.component] = time.monotonic() - began
        before = self._news[event.component]
        self._news[event.component] = event
        if self._lines and (before is None or (before.step, before.text) != (event.step, event.text)):
            first = event.text.splitlines()[0] if event.text else ""
            if first or event.step in _STYLES:
                self._print(f"{event.component}: {event.step} {first}".rstrip())

    def _print(self, line: str) -> None:
        if not self._quiet:
            console.print(line)
            sys.stdout.flush()

    @contextlib.contextmanager
    def shown(self, quiet: bool) -> Iterator[None]:
        self._quiet = quiet
        if quiet or self._lines:
            yield
            return
        with Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=False):
            yield

    def _table(self) -> Table:
        shown = Table(box=None, show_header=False, pad_edge=False)
        for key, event in self._news.items():
            if event is None:
                shown.add_row("·", key, Text("waits for what it needs", style="dim"), "")
                continue
            style = _STYLES.get(event.step, "cyan")
            sign = {Step.DONE: Text("✓", "green"), Step.FAILED: Text("✗", "red")}.get(event.step, self._spinner)
            took = self._took.get(key) or time.monotonic() - self._since[key]
            text = event.text.splitlines()[0] if event.text else ""
            shown.add_row(sign, key, Text(f"{event.step} {text}".rstrip(), style=style), Text(f"{took:.1f} s", "dim"))
        return shown

    def left(self) -> list[str]:
        """Components that a run would have to take again."""
        return self.failed()

    def ends(self) -> list[str]:
        """Where each component is, for a person who ended the run: what is done, half-way, and not begun."""
        done = [key for key, event in self._news.items() if event and _verified(event)]
        failed = [key for key, event in self._news.items() if event and event.step in _STYLES and not _verified(event)]
        half = [
            f"half-way: {key}, {_HALF_WAY[event.step]}"
            for key, event in self._news.items()
            if event and event.step in _HALF_WAY
        ]
        not_begun = [key for key, event in self._news.items() if event is None]
        lists = (("done", done), ("failed", failed), ("not begun", not_begun))
        told = [f"{what}: {', '.join(those)}" for what, those in lists if those]
        return told[:1] + half + told[1:] if done else half + told

    def failed(self) -> list[str]:
        """Components that did not end verified."""
        return [key for key, event in self._news.items() if event is None or not _verified(event)]

    def explain(self) -> None:
        """Why those did not."""
        for key in self.failed():
            event = self._news[key]
            if event is None:
                errors.print(Text(f"{key}: not begun, as something it needs is not verified", style="yellow"))
            elif event.step is Step.FAILED:
                errors.print(Text.assemble((f"{key}: ", "bold red"), event.text))
            else:
                errors.print(Text.assemble((f"{key}: ", "bold red"), f"{event.step} {event.text}".rstrip()))


def _verified(event: Event) -> bool:
    if event.step is not Step.DONE:
        return False
    passed, _, total = event.text.partition(" ")[0].partition("/")
    return passed == total
