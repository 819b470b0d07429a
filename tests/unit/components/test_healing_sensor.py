"""The sensor that heals: how long it holds, and what it shows of a decision."""

import dagster as dg
import pytest

from carbon_platform import components
from carbon_platform.cli.ui import ENVIRONMENT
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.components.healing import failures, healing_sensor, hold_seconds
from carbon_platform.healing.decide import Decision, Verdict
from carbon_platform.healing.loop import Step
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.materialization.remedy import Remedy
from tests.definitions import Definitions


@pytest.mark.parametrize(("timeout", "held"), [("60", 40.0), ("300", 240.0), ("900", 240.0), ("5", 0.0)])
def test_it_answers_before_the_daemon_gives_it_up(timeout: str, held: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", timeout)
    assert hold_seconds() == held


def test_under_carbon_ui_it_holds_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert hold_seconds() == 240.0


def test_what_it_shows_has_the_cause_the_fix_and_what_the_cluster_says() -> None:
    pod = ObjectName("v1", "Pod", "here", "app-0")
    cause = Cause(Kind.CRASH_LOOP, pod, "exits with code 1", "see its log", ("back-off", "exit code 1"))
    symptom = Symptom(Sign.UNREADY, "Deployment here/app", "0/1 pods", cause, cause.fix)
    decision = Decision("app", Verdict.HEAL, str(symptom), Remedy.VERIFY, symptom=symptom)
    (shown,) = failures((decision, Decision("other", Verdict.HEAL, "x")), frozenset({"app"}))
    assert not shown.passed
    assert {name: value.value for name, value in shown.metadata.items()} == {
        "cause": "Deployment here/app: exits with code 1",
        "verdict": "heal",
        "remedy": "verify",
        "fix": "see its log",
        "evidence": "back-off\nexit code 1",
    }


def test_while_another_process_heals_the_sensor_says_which(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("app")
    monkeypatch.setattr(components.healing, "_healer", _LeftToAnother)
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance) as context:
        result = healing_sensor(definitions.load())(context)
    assert isinstance(result, dg.SensorResult)
    assert result.skip_reason == dg.SkipReason("process 12 on node-7 heals it already")
    assert not result.run_requests


class _LeftToAnother:
    """Stands in for the healer of a process that sees another one's Lease."""

    def hold(self, _: float) -> Step:
        return Step()

    def left_to(self) -> str:
        return "process 12 on node-7"
