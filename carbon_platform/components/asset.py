"""One asset per component: materializing it deploys and verifies; selecting only its checks verifies."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from carbon_platform.components.attempt import attempt_of
from carbon_platform.components.metadata import description, of_check, of_materialization, page, quoted
from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.materialization.content import materialize_content
from carbon_platform.materialization.outcome import Options
from carbon_platform.materialization.progress import Event, Step, listening
from carbon_platform.materialization.release import materialize_release
from carbon_platform.materialization.verify import verify
from carbon_platform.records import CheckResult
from carbon_platform.session import shared_session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Component, Platform

POOL = "cluster"
"""Concurrency pool of every materialization: its limit is set on the Dagster instance."""


_running: set[tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any]"]] = set()
_interrupted = threading.Event()


def interrupt() -> None:
    """End every materialization of this process: each gives back what it holds, and its run ends as failed."""
    _interrupted.set()
    for loop, task in list(_running):
        loop.call_soon_threadsafe(task.cancel)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A materialization that `interrupt` can end. Raises CarbonError when it did."""
    task = asyncio.current_task()
    assert task is not None, "materializations run in tasks"
    mine = (asyncio.get_running_loop(), task)
    _running.add(mine)
    try:
        if _interrupted.is_set():
            raise _INTERRUPTED
        yield
    except asyncio.CancelledError:
        if not _interrupted.is_set():
            raise
        task.uncancel()
        raise _INTERRUPTED from None
    finally:
        _running.discard(mine)


_INTERRUPTED = CarbonError("interrupted", "a person ended the run", "run it again: it carries on from here")


class MaterializeConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    redeploy: bool = Field(
        False, description="Redeploy and restart what is already right: a new revision and a rolling restart."
    )
    confirm: list[str] = Field(
        [], description="Words that the guard asked for, each for one object whose data would be touched."
    )


def check_names(component: Component) -> list[str]:
    """The checks of a component's asset, in the order they are shown."""
    return ["ready" if component.release else "in_sync", *component.checks]


def _as_it_is(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec


def component_asset(
    key: str, platform: Platform, shown: Callable[[dg.AssetSpec], dg.AssetSpec] = _as_it_is
) -> dg.AssetsDefinition:
    """The asset of a component, with its checks; either can be selected alone. `shown` may change how it looks."""
    component = platform.components[key]
    excusable = key in platform.excusable

    @dg.multi_asset(
        name=key,
        specs=[shown(_spec(component, platform))],
        check_specs=[
            dg.AssetCheckSpec(name, asset=dg.AssetKey(key), blocking=True, description=_describe(component, name))
            for name in check_names(component)
        ],
        can_subset=True,
        pool=POOL,
    )
    async def materialize(context: dg.AssetExecutionContext, config: MaterializeConfig):  # type: ignore[no-untyped-def]
        # A generator would suit Dagster as well, but a failed check must not keep the others from being told.
        for result in await _execute(component, context, config, excusable=excusable):
            yield result

    return materialize


def _spec(component: Component, platform: Platform) -> dg.AssetSpec:
    return dg.AssetSpec(
        component.key,
        deps=[dg.AssetKey(need) for need in component.needs],
        description=description(component, platform),
        group_name=component.group,
        owners=list(component.owners),
        kinds=set(component.kinds) or {"kubernetes" if component.release else "content"},
        tags={"carbon/environment": settings().environment.name}
        | ({"carbon/critical": "true"} if component.critical else {}),
        code_version=component.digest,
        metadata={
            **page(component),
            "namespace": component.namespace,
            "definition": dg.MetadataValue.path(str(component.file)),
        },
    )


def _describe(component: Component, name: str) -> str:
    check = component.checks.get(name)
    if check is not None:
        return check.told_summary()
    return "Everything it consists of is as desired and ready." if name == "ready" else "Live is as declared."


_Results = list[dg.MaterializeResult[Any] | dg.AssetCheckResult]


async def _execute(
    component: Component, context: dg.AssetExecutionContext, config: MaterializeConfig, *, excusable: bool
) -> _Results:
    wanted = {check.name for check in context.selected_asset_check_keys}
    attempt = attempt_of(context.run)
    options = Options(redeploy=config.redeploy, confirm=tuple(config.confirm), remedy=attempt.remedy)

    def log(event: Event) -> None:
        # How it ended is in the materialization and its checks.
        if event.component == component.key and event.text and event.step is not Step.DONE:
            context.log.info(f"{event.step}: {event.text}")

    try:
        with listening(log), _interruptible(), attempt.under_way(context.log.info):
            async with shared_session(settings()) as session:
                if not context.selected_asset_keys:
                    results = await verify(component, session)
                    blocked = excusable and session.records.get(component.key).blocked
                    return [_check_result(component, r, excused=blocked) for r in results if r.name in wanted]
                materialize = materialize_release if component.release else materialize_content
                outcome = await materialize(component, session, options)
                attempt.came_to(outcome)
    except Blocked as error:
        if excusable and _among_others(context.run):
            context.log.warning(str(error))
            return _excused(component, error, wanted)
        raise _failure(error) from error
    except CarbonError as error:
        raise _failure(error) from error
    checks = [_check_result(component, result) for result in outcome.checks if result.name in wanted]
    return [dg.MaterializeResult(component.key, metadata=of_materialization(component, outcome)), *checks]


def _among_others(run: dg.DagsterRun) -> bool:
    """True when nobody asked for one component by itself: who does wants it, and that it is blocked is a failure."""
    return run.asset_selection is None or len(run.asset_selection) > 1


def _excused(component: Component, error: CarbonError, wanted: set[str]) -> _Results:
    """Not materialized, so what needs it is not begun; and no failure of the rest."""
    first = check_names(component)[0]
    told = {"state": "blocked", "cause": error.cause, "fix": error.fix}
    result = dg.AssetCheckResult(
        passed=False,
        asset_key=component.key,
        check_name=first,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"blocked: {error.told}",
        metadata={name: text for name, text in told.items() if text},
    )
    return [result] if first in wanted else []


def _failure(error: CarbonError) -> dg.Failure:
    metadata: dict[str, Any] = {"cause": error.cause, "fix": error.fix}
    if error.evidence:
        metadata["evidence"] = quoted(error.evidence)
    return dg.Failure(str(error), metadata={k: v for k, v in metadata.items() if v}, allow_retries=False)


def _check_result(component: Component, result: CheckResult, *, excused: bool = False) -> dg.AssetCheckResult:
    warns = result.warning or (excused and not result.passed)
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=component.key,
        check_name=result.name,
        severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
        description=f"blocked: {result.detail}" if excused and not result.passed else result.detail,
        metadata=of_check(result),
    )
