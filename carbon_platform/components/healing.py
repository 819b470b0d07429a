"""The sensor that heals: it holds a view of the cluster, and starts a run the moment something is to be healed."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from dagster._grpc.utils import default_sensor_grpc_timeout
from dagster_async_executor import async_executor

from carbon_platform.components.attempt import over_before_it_began, tags
from carbon_platform.components.drift import look as compare_and_report
from carbon_platform.components.metadata import quoted
from carbon_platform.components.periodic import start
from carbon_platform.components.sweep import HEALTHY
from carbon_platform.healing.decide import Decision, Verdict
from carbon_platform.healing.loop import Healer, Request
from carbon_platform.healing.symptoms import Sign
from carbon_platform.healing.watcher import Watcher
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

_HOLD_SECONDS = 240.0
_TO_ANSWER_SECONDS = 20.0


@functools.cache
def _healer() -> Healer:
    """One for the process: the view of the cluster outlives evaluations."""
    watcher = Watcher(settings())
    watcher.start()
    return Healer(settings(), watcher)


def hold_seconds() -> float:
    """How long one evaluation waits for something to happen: less than the daemon waits for a sensor."""
    return min(_HOLD_SECONDS, max(default_sensor_grpc_timeout() - _TO_ANSWER_SECONDS, 0.0))


def healing_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor `heal`. Each run of its job is an ordinary materialization, tagged with incident and attempt."""
    keys = frozenset(platform.components)
    job = dg.define_asset_job(
        "heal",
        selection=dg.AssetSelection.assets(*sorted(keys)),
        description="Heals components, and verifies them.",
        executor_def=async_executor,
    )

    @dg.sensor(
        name="heal",
        job=job,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches the cluster and the checks, and heals what breaks, root cause first.",
    )
    def heal(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        step = _healer().hold(hold_seconds())
        requests = [
            _run_request(request)
            for request in step.requests
            # A component that came with a definition this process has not loaded can't be asked for yet.
            if keys.issuperset(request.components) and not over_before_it_began(request, context.instance)
        ]
        edited = edited_in(step.broken) & keys
        if edited:
            # Beside the healing, which waits for nobody: who changed what is told before it is put back.
            start("edited", functools.partial(compare_and_report, keys=edited), context.instance)
        left_to = _healer().left_to() if not requests else ""
        return dg.SensorResult(
            run_requests=requests,
            asset_events=list(failures(step.broken, keys)),
            skip_reason=f"{left_to} heals it already" if left_to else None,
        )

    return heal


def _run_request(request: Request) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=request.key,
        asset_selection=[dg.AssetKey(key) for key in request.components],
        tags=tags(request),
    )


def edited_in(broken: Iterable[Decision]) -> frozenset[str]:
    """The components of which somebody changed an object."""
    edits = {Sign.EDITED, Sign.ALIAS}
    return frozenset(one.component for one in broken if one.symptom and one.symptom.sign in edits)


def failures(broken: tuple[Decision, ...], keys: frozenset[str]) -> Iterator[dg.AssetCheckEvaluation]:
    """What people see at once in the lineage: the failed check with its cause."""
    for decision in broken:
        if decision.component in keys:
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(decision.component),
                check_name=HEALTHY,
                passed=False,
                severity=dg.AssetCheckSeverity.ERROR,
                description=_WORDS[decision.verdict] + decision.reason,
                metadata=_told(decision),
            )


_WORDS = {Verdict.HEAL: "", Verdict.STUCK: "stuck: ", Verdict.QUARANTINE: "quarantined: "}


def _told(decision: Decision) -> dict[str, Any]:
    """What becomes of it, the cause, the fix, and what the cluster says."""
    key, symptom = decision.component, decision.symptom
    verdict = {
        Verdict.HEAL: f"Carbon heals it now: {decision.remedy}",
        Verdict.STUCK: "Carbon can do nothing until somebody lets go of it, and heals what is left after that",
        Verdict.QUARANTINE: "quarantined: Carbon tries nothing more by itself until it is verified",
    }
    told: dict[str, Any] = {"verdict": verdict[decision.verdict], "cause": str(symptom) if symptom else decision.reason}
    fix = symptom.fix if symptom else ""
    if fix or decision.verdict is not Verdict.HEAL:
        told["fix"] = fix or f"carbon doctor {key}"
    if decision.verdict is Verdict.QUARANTINE:
        told["then"] = f"carbon up {key}, or Materialize; what was tried: carbon incidents {key}"
    if symptom and symptom.cause and symptom.cause.evidence:
        told["evidence"] = quoted(symptom.cause.evidence)
    return told
