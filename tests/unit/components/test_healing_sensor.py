"""The sensor that heals: how long it holds, and what it shows of a decision."""

import dagster as dg
import pytest

from carbon_platform import components
from carbon_platform.cli.ui import ENVIRONMENT
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.components.healing import _run_request, edited_in, failures, healing_sensor, hold_seconds
from carbon_platform.healing.decide import Decision, Verdict
from carbon_platform.healing.loop import Request, Step
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


POD = ObjectName("v1", "Pod", "here", "app-0")
CAUSE = Cause(Kind.CRASH_LOOP, POD, "exits with code 1", "see its log", ("back-off", "exit code 1"))
SYMPTOM = Symptom(Sign.UNREADY, "Deployment here/app", "0/1 pods", CAUSE, CAUSE.fix)


def shown(decision: Decision) -> tuple[str | None, dict[str, object]]:
    other = Decision("other", Verdict.HEAL, "x", Remedy.VERIFY)
    (one,) = failures((decision, other), frozenset({"app"}))
    assert not one.passed
    return one.description, {name: value.value for name, value in one.metadata.items()}


def test_what_it_shows_has_the_cause_the_fix_and_what_the_cluster_says() -> None:
    description, metadata = shown(Decision("app", Verdict.HEAL, str(SYMPTOM), Remedy.VERIFY, symptom=SYMPTOM))
    assert description == "Deployment here/app: exits with code 1"
    assert metadata == {
        "verdict": "Carbon heals it now: verify",
        "cause": "Deployment here/app: exits with code 1",
        "fix": "see its log",
        "evidence": "```\nback-off\nexit code 1\n```",
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


def test_what_is_given_up_says_so_in_plain_words_with_the_cause_and_what_a_person_does() -> None:
    why = f"3 attempts did not help: {SYMPTOM}"
    description, metadata = shown(Decision("app", Verdict.QUARANTINE, why, symptom=SYMPTOM))
    assert description == "quarantined: 3 attempts did not help: Deployment here/app: exits with code 1"
    assert metadata["verdict"] == "quarantined: Carbon tries nothing more by itself until it is verified"
    assert (metadata["cause"], metadata["fix"]) == (str(SYMPTOM), "see its log")
    assert metadata["then"] == "carbon up app, or Materialize; what was tried: carbon incidents app"


def test_what_waits_for_somebody_else_is_stuck_and_leads_to_the_doctor() -> None:
    symptom = Symptom(Sign.MISSING, "ConfigMap here/app", "a finalizer holds it")
    description, metadata = shown(Decision("app", Verdict.STUCK, str(symptom), symptom=symptom))
    assert description == "stuck: ConfigMap here/app: a finalizer holds it"
    assert metadata["fix"] == "carbon doctor app"


def test_a_healing_run_is_told_its_remedy_by_its_tags_alone() -> None:
    request = _run_request(Request("i1", 2, ("app",), Remedy.RESTART, "it crashes"))
    assert request.run_config == {}
    assert request.tags["carbon/remedy"] == "restart"


def test_who_edited_is_asked_of_what_was_edited_and_of_nothing_else() -> None:
    def decision(component: str, sign: Sign) -> Decision:
        symptom = Symptom(sign, "Service here/app", "port is 1, declared is 2")
        return Decision(component, Verdict.HEAL, str(symptom), Remedy.REAPPLY, symptom=symptom)

    broken = [decision(sign.value, sign) for sign in Sign]
    assert edited_in([*broken, Decision("other", Verdict.WAIT, "waits")]) == {"edited", "alias edited"}
