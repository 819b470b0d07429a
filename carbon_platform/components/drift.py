"""The drift sweep: the check `in_sync` of every release, all compared at once, every ten minutes."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from carbon_platform.components.definition import platform
from carbon_platform.components.periodic import as_result, periodic_look, report
from carbon_platform.drift.compare import drifts
from carbon_platform.drift.drift import Drift, ObjectDrift, Verdict
from carbon_platform.release.edited import EditedField
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

CHECK = "in_sync"
_SECONDS = 600
_TOLD = {Verdict.IN_SYNC, Verdict.DRIFTED, Verdict.FAILED}
"""Nothing is recorded of a component that is not installed, that somebody is deploying, or whose cluster can't be
reached: what was known of it stays."""


def drift_sweep(components: Platform) -> dg.Definitions:
    """The check `in_sync` of every release, which a person may run as well; the sensor that compares.

    Content compares itself, in its own asset. Any of the checks can be selected alone.
    """

    @dg.multi_asset_check(
        name="drift_sweep",
        specs=[
            dg.AssetCheckSpec(CHECK, asset=key, description="Live is as it was deployed: nobody changed it since.")
            for key in _releases(components)
        ],
        can_subset=True,
    )
    async def check(context: dg.AssetCheckExecutionContext):  # type: ignore[no-untyped-def]
        wanted = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        found = await _compared(components, [key for key in _releases(components) if key in wanted])
        for drift in found:
            if drift.verdict not in _TOLD:
                # No evaluation: Dagster then shows the check as skipped, which is neither a pass nor a failure.
                context.log.info(f"{drift.component.key} was not compared: {drift.reason}")
        for told in evaluations(found):
            yield as_result(told)

    sensor = periodic_look("drift", look, _SECONDS, "Compares every release with what was deployed, every ten minutes.")
    return dg.Definitions(asset_checks=[check], sensors=[sensor])


async def look(instance: dg.DagsterInstance, keys: Collection[str] | None = None) -> None:
    """Compare once, and report it to the check `in_sync` of each release, or of these alone."""
    chosen = [key for key in _releases(platform()) if keys is None or key in keys]
    found = await _compared(platform(), chosen)
    await asyncio.to_thread(lambda: report(evaluations(found), instance))


def _releases(components: Platform) -> list[str]:
    return [key for key in components.order if components.components[key].release]


async def _compared(components: Platform, keys: Sequence[str]) -> list[Drift]:
    return await drifts(components, keys, settings())


def evaluations(found: Iterable[Drift]) -> Iterator[dg.AssetCheckEvaluation]:
    """What is to be told of each that could be compared."""
    for drift in found:
        if drift.verdict in _TOLD:
            corrects = drift.component.drift.policy == "correct"
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(drift.component.key),
                check_name=CHECK,
                passed=drift.verdict is Verdict.IN_SYNC,
                severity=dg.AssetCheckSeverity.ERROR if corrects else dg.AssetCheckSeverity.WARN,
                description=str(drift.error or drift.reason),
                metadata=_metadata(drift),
            )


def _metadata(drift: Drift) -> dict[str, Any]:
    if drift.error:
        return {"cause": drift.error.cause, "fix": drift.error.fix}
    metadata: dict[str, Any] = {"differences": drift.differences}
    records = [_row(one, field) for one in drift.objects for field in one.fields or (EditedField("", "", one.reason),)]
    if records:
        metadata["drift"] = dg.MetadataValue.table(records)
    return metadata


def _row(one: ObjectDrift, field: EditedField) -> dg.TableRecord:
    cells = {"field": field.path, "live": field.live, "desired": field.desired, "by": field.by, "at": field.at}
    return dg.TableRecord({"object": one.object, "was": one.deed.value, **cells})
