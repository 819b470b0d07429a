"""How results look: plain when piped, one JSON document for scripts, every error with cause and fix."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from carbon_platform.cli import drift, plan
from carbon_platform.cli.present import as_json, error_as_json, errors, print_error, print_json, score, wrapped
from carbon_platform.drift.drift import Deed
from carbon_platform.errors import CarbonError
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.records import CheckResult
from carbon_platform.release.plan import Action
from tests.definitions import Definitions


@pytest.fixture
def seen(definitions: Definitions) -> list[ComponentStatus]:
    definitions.chart()
    definitions.release("app", critical=True, endpoints=[{"name": "web", "service": "app", "port": 80, "host": "a.b"}])
    definitions.release("db")
    components = definitions.load().components
    passed = CheckResult("ready", True, "fine", "2026-01-01T00:00:00", evidence={"pods": 2})
    return [
        ComponentStatus(components["app"], State.VERIFIED, "all 1 checks passed", 3, 2, 2, (passed,)),
        ComponentStatus(components["db"], State.FAILED, "first line\nsecond line", None, 0, 1, ()),
    ]


def test_the_score_counts_what_is_proven(seen: list[ComponentStatus]) -> None:
    assert score(seen) == {
        "verified": 1,
        "components": 2,
        "critical_verified": 1,
        "critical": 1,
        "pods_running": 2,
        "pods": 3,
    }


def test_a_component_in_json_has_the_words_that_all_commands_share(seen: list[ComponentStatus]) -> None:
    assert as_json(seen[0]) == {
        "key": "app",
        "group": "data",
        "state": "verified",
        "reason": "all 1 checks passed",
        "revision": 3,
        "pods": {"running": 2, "total": 2},
        "checks": [
            {"name": "ready", "passed": True, "detail": "fine", "at": "2026-01-01T00:00:00", "evidence": {"pods": 2}}
        ],
        "endpoints": [{"name": "web", "internal": "app.here:80", "external": "a.b"}],
    }


def test_json_is_one_document(seen: list[ComponentStatus], capsys: pytest.CaptureFixture[str]) -> None:
    print_json([as_json(one) for one in seen])
    assert [one["key"] for one in json.loads(capsys.readouterr().out)] == ["app", "db"]


def test_an_error_has_its_cause_its_evidence_and_its_fix() -> None:
    with errors.capture() as captured:
        print_error(CarbonError("it failed", "for a reason [not markup]", "do this", ["line 1"]))
    assert captured.get().splitlines() == [
        "error: it failed",
        "cause: for a reason [not markup]",
        "  line 1",
        "fix:   do this",
    ]


def test_an_error_in_json_has_evidence_where_there_is_any() -> None:
    told = {"summary": "it failed", "cause": "for a reason", "fix": "do this"}
    assert error_as_json(CarbonError(*told.values())) == told
    assert error_as_json(CarbonError(*told.values(), ["line 1"])) == told | {"evidence": ["line 1"]}


@given(st.text("ab cé\t漢-/", max_size=200), st.integers(22, 90))
def test_a_line_that_goes_on_below_loses_nothing_and_is_no_wider(text: str, width: int) -> None:
    made = list(wrapped(Text(text), width))
    assert all(line.cell_len <= width for line in made)
    assert "".join("".join(line.plain for line in made).split()) == "".join(text.split())


SHOW = """
from carbon_platform.cli.present import COLOURS, console, print_error
from carbon_platform.drift.drift import Deed
from carbon_platform.errors import CarbonError
from rich.text import Text
for state, colour in COLOURS.items():
    console.print(Text(state.value, style=colour))
console.print("long " * 100 + "line")
print_error(CarbonError("failed", "cause", "fix"))
"""


def test_what_is_piped_has_no_colours_and_no_broken_lines() -> None:
    plain = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "COLUMNS"}} | {"TERM": "xterm-256color"}
    done = subprocess.run([sys.executable, "-c", SHOW], env=plain, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr
    assert "long " * 100 + "line" in done.stdout.splitlines()
    assert {state.value for state in State} <= set(done.stdout.splitlines())


def test_whatever_is_planned_or_has_drifted_has_a_sign() -> None:
    assert set(plan._SIGNS) == set(Action)
    assert set(drift._SIGNS) == set(Deed)
