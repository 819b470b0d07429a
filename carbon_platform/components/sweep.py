"""The health sweep: the check `healthy` of every component, looked at once a minute."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from carbon_platform.components.definition import platform
from carbon_platform.components.metadata import Value, evidence, timing
from carbon_platform.components.periodic import as_result, periodic_look, report
from carbon_platform.errors import Unreachable
from carbon_platform.healing.sweep import Swept, sweep
from carbon_platform.health.state import State
from carbon_platform.inspect.status import statuses_in
from carbon_platform.session import shared_session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

HEALTHY = "healthy"
_SECONDS = 60
_SETTLE_SECONDS = 4.0
"""A check that fails is tried again for so long: what one packet lost is no finding."""


def health_sweep(components: Platform) -> dg.Definitions:
    """The check `healthy` of every component, which a person may run as well; the sensor that sweeps."""

    @dg.multi_asset_check(
        name="health_sweep",
        specs=[
            dg.AssetCheckSpec(
                HEALTHY,
                asset=key,
                description="Every one of its checks passes. Looked at once a minute; told when it changes, and every "
                "ten minutes.",
            )
            for key in components.order
        ],
        can_subset=True,
    )
    async def check(context: dg.AssetCheckExecutionContext):  # type: ignore[no-untyped-def]
        wanted = [key.asset_key.to_user_string() for key in context.selected_asset_check_keys]
        swept, known = await _sweep(components, wanted)
        for one in swept:
            if one.unknown:
                # No evaluation: Dagster then shows the check as skipped.
                context.log.info(f"{one.component} is unknown: {one.unknown}")
        for told in evaluations(swept, known):
            yield as_result(told)

    sensor = periodic_look("health", look, _SECONDS, "Runs every check of every component once a minute.")
    return dg.Definitions(asset_checks=[check], sensors=[sensor])


async def look(instance: dg.DagsterInstance) -> None:
    """Sweep once, and report it to the check `healthy` of each component."""
    swept, known = await _sweep(platform(), platform().order)
    await asyncio.to_thread(lambda: report(evaluations(swept, known), instance))


Known = Mapping[str, str]
"""Of components, what explains that they fail: that they are off, or given up."""


async def _sweep(components: Platform, keys: Sequence[str]) -> tuple[list[Swept], Known]:
    try:
        async with shared_session(settings()) as session:
            swept = await sweep(components, keys, session, _SETTLE_SECONDS)
            failing = [one.component for one in swept if not one.unknown and not one.healthy]
            seen = await statuses_in(session, components, failing) if failing else []
    except Unreachable as error:
        return [Swept(key, unknown=error.summary) for key in keys], {}
    told = {State.OFF, State.QUARANTINED}
    return swept, {one.component.key: f"{one.state}: {one.reason}" for one in seen if one.state in told}


def evaluations(swept: Sequence[Swept], known: Known) -> Iterator[dg.AssetCheckEvaluation]:
    """What is to be told of each. Nothing of what is unknown: what was known of it stays."""
    for one in swept:
        if not one.unknown:
            yield _evaluation(one, known.get(one.component, ""))


def _evaluation(swept: Swept, state: str) -> dg.AssetCheckEvaluation:
    failed = [check for check in swept.checks if check.failed]
    lines = [f"{check.name}: {check.detail}" for check in failed]
    off = state.startswith(State.OFF)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(swept.component),
        check_name=HEALTHY,
        passed=swept.healthy,
        severity=dg.AssetCheckSeverity.WARN if off else dg.AssetCheckSeverity.ERROR,
        description=state or "; ".join(lines) or f"all {len(swept.checks)} checks passed",
        metadata=_metadata(swept, state),
    )


def _metadata(swept: Swept, state: str) -> dict[str, Any]:
    failed = [check for check in swept.checks if check.failed]
    told: dict[str, Any] = {"state": state} if state else {}
    if failed:
        told["cause"] = "\n".join(f"{check.name}: {check.detail}" for check in failed)
        told["fix"] = next((check.fix for check in failed if check.fix), "") or f"carbon doctor {swept.component}"
        said: dict[str, Value] = {f"{c.name}: {name}": value for c in failed for name, value in c.evidence.items()}
        told |= evidence(said)
    counts = {"checks_passed": len(swept.checks) - len(failed), "checks": len(swept.checks)}
    return told | counts | timing({check.name: check.seconds for check in swept.checks})
