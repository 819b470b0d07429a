"""One asset per component: materializing it deploys and verifies; selecting only its checks verifies."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from carbon_platform.components.attempt import attempt_of
from carbon_platform.errors import CarbonError
from carbon_platform.materialization.content import materialize_content
from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.progress import Event, Step, listening
from carbon_platform.materialization.release import materialize_release
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.materialization.verify import verify
from carbon_platform.records import CheckResult
from carbon_platform.session import shared_session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Component

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
    remedy: str = Field("", description="What healing forces; for people, `redeploy` is the one to use.")


def check_names(component: Component) -> list[str]:
    """The checks of a component's asset, in the order they are shown."""
    return ["ready" if component.release else "in_sync", *component.checks]


def _as_it_is(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec


def component_asset(
    component: Component, shown: Callable[[dg.AssetSpec], dg.AssetSpec] = _as_it_is
) -> dg.AssetsDefinition:
    """The asset of a component, with its checks; either can be selected alone. `shown` may change how it looks."""
    key = dg.AssetKey(component.key)
    spec = dg.AssetSpec(
        key,
        deps=[dg.AssetKey(need) for need in component.needs],
        description=f"{component.title}. {component.description}".strip(),
        group_name=component.group,
        owners=list(component.owners),
        kinds=set(component.kinds) or {"helm" if component.release else "content"},
        tags={"carbon/environment": settings().environment.name}
        | ({"carbon/critical": "true"} if component.critical else {}),
        code_version=component.digest,
        metadata={"namespace": component.namespace, "definition": dg.MetadataValue.path(str(component.file))},
    )

    @dg.multi_asset(
        name=component.key,
        specs=[shown(spec)],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=_describe(component, name))
            for name in check_names(component)
        ],
        can_subset=True,
        pool=POOL,
    )
    async def materialize(context: dg.AssetExecutionContext, config: MaterializeConfig):  # type: ignore[no-untyped-def]
        wanted = {check.name for check in context.selected_asset_check_keys}
        # A generator would suit Dagster as well, but a failed check must not keep the others from being told.
        for result in await _execute(component, context, config, wanted, bool(context.selected_asset_keys)):
            yield result

    return materialize


def _describe(component: Component, name: str) -> str:
    check = component.checks.get(name)
    if check is not None:
        return check.told_summary()
    return "Everything it consists of is as desired and ready." if name == "ready" else "Live is as declared."


async def _execute(
    component: Component,
    context: dg.AssetExecutionContext,
    config: MaterializeConfig,
    wanted: set[str],
    deploy: bool,
) -> list[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    remedy = Remedy(config.remedy) if config.remedy else None
    options = Options(redeploy=config.redeploy, confirm=tuple(config.confirm), remedy=remedy)

    def log(event: Event) -> None:
        # How it ended is in the materialization and its checks.
        if event.component == component.key and event.text and event.step is not Step.DONE:
            context.log.info(f"{event.step}: {event.text}")

    attempt = attempt_of(context.run)
    try:
        with listening(log), _interruptible(), attempt.under_way(context.log.info):
            async with shared_session(settings()) as session:
                if not deploy:
                    results = await verify(component, session)
                    return [_check_result(component, r) for r in results if r.name in wanted]
                materialize = materialize_release if component.release else materialize_content
                outcome = await materialize(component, session, options)
                attempt.came_to(outcome)
    except CarbonError as error:
        raise _failure(error) from error
    checks = [_check_result(component, result) for result in outcome.checks if result.name in wanted]
    return [dg.MaterializeResult(component.key, metadata=_metadata(outcome)), *checks]


def _failure(error: CarbonError) -> dg.Failure:
    metadata: dict[str, Any] = {"cause": error.cause, "fix": error.fix}
    if error.evidence:
        metadata["evidence"] = dg.MetadataValue.md("```\n" + "\n".join(error.evidence) + "\n```")
    return dg.Failure(str(error), metadata={k: v for k, v in metadata.items() if v}, allow_retries=False)


def _check_result(component: Component, result: CheckResult) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"detail": result.detail, "seconds": round(result.seconds, 3), **result.evidence}
    if result.fix:
        metadata["fix"] = result.fix
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=component.key,
        check_name=result.name,
        severity=dg.AssetCheckSeverity.WARN if result.warning else dg.AssetCheckSeverity.ERROR,
        description=result.detail,
        metadata=metadata,
    )


def _metadata(outcome: Outcome) -> Mapping[str, Any]:
    """The record of a materialization; numbers as numbers, so that they are plotted over time."""
    metadata: dict[str, Any] = {
        "digest": outcome.digest,
        "applied": outcome.applied,
        "checks_passed": sum(check.passed for check in outcome.checks),
        **{f"seconds_{step}": round(seconds, 3) for step, seconds in outcome.seconds.items()},
    }
    if outcome.revision is not None:
        metadata["revision"] = outcome.revision
    if outcome.changes:
        metadata["changes"] = dg.MetadataValue.md("```\n" + "\n".join(outcome.changes) + "\n```")
    if outcome.images:
        metadata["images"] = dg.MetadataValue.json(dict(outcome.images))
    if outcome.endpoints:
        metadata["endpoints"] = dg.MetadataValue.json(dict(outcome.endpoints))
    return metadata
