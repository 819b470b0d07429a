"""All commands agree on what is blocked, off, stale or broken: in which words, and with which exit code."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from carbon_platform.cli import drift, plan, present, status, up, verify
from carbon_platform.cli.diagnosis import Diagnosis, lines
from carbon_platform.drift.drift import Deed, Drift, ObjectDrift, Verdict
from carbon_platform.errors import ExitCode
from carbon_platform.healing.doctor import Finding
from carbon_platform.healing.sweep import Swept
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.health.state import State
from carbon_platform.inspect.plans import Planned
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.records import CheckResult, Record
from carbon_platform.release.edited import EditedField
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.unit.docs import pages

COMMANDS = ("status", "up", "verify", "doctor", "plan", "drift")
EXIT_CODES: dict[tuple[State, bool], tuple[int, ...]] = {
    # In the order of the commands. `plan` and `drift` ask whether they could look, and whether live is as deployed.
    (State.VERIFIED, False): (0, 0, 0, 0, 0, 0),
    # Whoever asks whether it works is told that it does not.
    (State.OFF, False): (0, 0, 1, 0, 0, 0),
    (State.BLOCKED, True): (0, 0, 0, 0, 0, 0),
    (State.BLOCKED, False): (1, 1, 1, 1, 0, 0),
    (State.ABSENT, True): (1, 1, 1, 0, 0, 0),
    (State.ABSENT, False): (1, 1, 1, 0, 0, 0),
    (State.STALE, False): (1, 1, 0, 0, 0, 0),
    (State.READY, False): (1, 1, 1, 1, 0, 0),
    (State.DEPLOYED, False): (1, 1, 1, 1, 0, 0),
    (State.DEPLOYING, False): (1, 1, 1, 1, 0, 0),
    (State.DEGRADED, True): (1, 1, 1, 1, 0, 0),
    (State.DEGRADED, False): (1, 1, 1, 1, 0, 0),
    (State.FAILED, False): (1, 1, 1, 1, 0, 0),
    (State.QUARANTINED, False): (1, 1, 1, 1, 0, 0),
    (State.UNKNOWN, False): (1, 1, 1, 1, 0, 1),
}
CHECKS_PASS = {State.VERIFIED, State.STALE}
NOTHING_WRONG = {*CHECKS_PASS, State.ABSENT}
WHY = "app can't become ready\ncause: image example/app:1 can't be pulled\nfix: make it available"
FAILED = CheckResult("http", False, "no answer", "2026-01-01T00:00:00")


@pytest.fixture
def component(definitions: Definitions) -> Component:
    definitions.chart()
    definitions.release("app", overlays={"local": {"needs_registry": True}})
    return definitions.load().components["app"]


def verdict(state: State) -> Verdict:
    return {State.UNKNOWN: Verdict.UNKNOWN, State.DEPLOYING: Verdict.DEPLOYING}.get(state, Verdict.ABSENT)


def exit_codes(component: Component, state: State, excused: bool) -> dict[str, int]:
    """What each command makes of a component in this state."""
    seen = ComponentStatus(component, state, WHY, None, 0, 0, ())
    names = frozenset({"app"} if excused else ())
    swept = Swept("app", () if state in CHECKS_PASS else (FAILED,))
    told = diagnosis(seen, names)
    return {
        "status": status.exit_code([seen], names),
        "up": int(bool(up.failures([seen], names))),
        "verify": verify.exit_code([swept], {"app": seen}, names),
        "doctor": int(bool(told.broken)),
        "plan": plan.exit_code({"app": Planned(component, Record("app"), None, (), "never verified")}),
        "drift": drift.exit_code([Drift(component, verdict(state), reason="not installed")]),
    }


def diagnosis(seen: ComponentStatus, excused: frozenset[str]) -> Diagnosis:
    symptom = Symptom(Sign.CHECK, "http", "no answer")
    found = [] if seen.state in NOTHING_WRONG else [Finding("app", (symptom,), "")]
    return Diagnosis.of(found, (), {"app": seen}, excused, {"app": ()})


@pytest.mark.parametrize(("state", "excused"), EXIT_CODES)
def test_every_command_has_the_exit_code_of_the_table(state: State, excused: bool, component: Component) -> None:
    found = exit_codes(component, state, excused)
    assert found == dict(zip(COMMANDS, EXIT_CODES[state, excused], strict=True))


def test_the_table_has_every_state() -> None:
    assert {state for state, _ in EXIT_CODES} == set(State)


SHOWN: dict[str, Callable[[ComponentStatus], Any]] = {
    "plan": lambda seen: plan._show(Planned(seen.component, Record("app"), None, (), "", blocked="x"), seen),
    "drift": lambda seen: drift._show(Drift(seen.component, Verdict.ABSENT, reason="no", blocked=seen.reason)),
    "drift of what is installed": lambda seen: drift._show(
        Drift(seen.component, Verdict.IN_SYNC, reason="live is as deployed", blocked=seen.reason)
    ),
    "verify": lambda seen: verify._show(Swept("app", (FAILED,)), seen),
    "status": lambda seen: present.print_lines(status.overview([seen], 80)),
}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN.keys())
def test_what_is_blocked_is_told_in_the_same_words(
    shown: Callable[[ComponentStatus], Any], component: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(ComponentStatus(component, State.BLOCKED, WHY, None, 0, 0, ()))
    line = capsys.readouterr().out.splitlines()[-1]
    assert " ".join(line.split()) == "app blocked image example/app:1 can't be pulled"


def test_the_doctor_tells_what_is_blocked_and_excused_last(component: Component) -> None:
    seen = ComponentStatus(component, State.BLOCKED, WHY, None, 0, 0, ())
    made = [line.plain for line in lines(diagnosis(seen, frozenset({"app"})), (), 1, {}, 80)]
    assert made[0] == "1 waiting for images"


def test_what_is_named_is_not_excused(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app", overlays={"local": {"needs_registry": True}})
    definitions.release("web", needs=["app"])
    platform = definitions.load()
    assert platform.excused([]) == {"app", "web"}
    assert platform.excused(["web"]) == {"app"}


def rows() -> list[list[str]]:
    """The cells of the table of exit codes by state."""
    text = pages.page("commands.md").partition("What 0 and 1 mean")[2].partition("Excused is")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_the_documentation_has_the_same_table() -> None:
    written = {}
    for states, *cells in rows():
        columns = dict(zip(("status", "verify", "doctor", "plan", "drift"), cells, strict=True))
        for state in pages.code(states):
            written[State(state), "excused" in states] = {name: int(cell[0]) for name, cell in columns.items()}
    assert {state for state, _ in written} == set(State)
    for (state, excused), codes in written.items():
        expected = dict(zip(COMMANDS, EXIT_CODES[state, excused], strict=True))
        assert codes == {name: expected[name] for name in codes} | {"plan": int(state is State.UNKNOWN)}, state


def test_the_documentation_tells_every_exit_code() -> None:
    section = pages.page("commands.md").partition("## Exit codes")[2].partition("What 0 and 1 mean")[0]
    told = {int(line.split("|")[1]) for line in section.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert told == set(ExitCode)


LONG = dataclasses.replace(
    FAILED,
    detail="no answer from http://app.here.svc.cluster.local:8080/health within 5 s",
    fix="see the pods of Deployment here/app, and what they need",
    seconds=5.0,
)
AT_40 = """
app
  ✗ http  no answer from
    http://app.here.svc.cluster.local:80
    80/health within 5 s  5.00 s
      see the pods of Deployment
        here/app, and what they need
"""


def test_a_failed_check_is_whole_at_40_columns(
    component: Component, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(present, "console", Console(width=40, highlight=False, no_color=True))
    monkeypatch.setattr(present, "terminal_width", lambda: 40)
    verify._show(Swept("app", (LONG,)), None)
    assert capsys.readouterr().out == AT_40.lstrip("\n")


DRIFT_AT_40 = """
app  1 difference
  ~ Deployment data-platform/app  edited
      spec.template.spec.containers[main
        ].image: example.org/app:1.6 →
        example.org/app:1.7  (by
        kubectl-edit at
        2026-01-02T03:04:05Z)
"""


def test_a_difference_is_whole_at_40_columns(
    component: Component, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(present, "console", Console(width=40, highlight=False, no_color=True))
    monkeypatch.setattr(present, "terminal_width", lambda: 40)
    path, by = "spec.template.spec.containers[main].image", ("kubectl-edit", "2026-01-02T03:04:05Z")
    field = EditedField(path, "example.org/app:1.6", "example.org/app:1.7", *by)
    edited = ObjectDrift(Deed.EDITED, "Deployment data-platform/app", (field,))
    drift._show(Drift(component, Verdict.DRIFTED, (edited,)))
    assert capsys.readouterr().out == DRIFT_AT_40.lstrip("\n")
