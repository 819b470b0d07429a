"""What a healing run came to: what it changed, what it failed for with its fix, and what is lost."""

import dataclasses

import pytest

from carbon_platform.errors import CarbonError, DataAtRisk, NotReady, Overtaken, Unreachable
from carbon_platform.healing.result import Result, of_error, of_outcome
from carbon_platform.materialization.outcome import Outcome
from carbon_platform.records import CheckResult

PASSED = CheckResult("ready", True, "3 objects ready", "2026-01-01")
FAILED = CheckResult("query", False, "no answer", "2026-01-01", fix="start it")
DONE = Outcome("db", 1, "digest", True, ("update Deployment here/db\n  spec.replicas: 0 → 1",), (PASSED,), {}, {}, {})


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (DONE, Result(True, "update Deployment here/db", changed=True)),
        (
            dataclasses.replace(DONE, applied=False, changes=()),
            Result(True, "nothing had to be changed", changed=False),
        ),
        (
            dataclasses.replace(DONE, checks=(PASSED, FAILED)),
            Result(False, "query: no answer", changed=True, fix="start it"),
        ),
        (
            dataclasses.replace(DONE, lost=("a topic",)),
            Result(True, "update Deployment here/db", False, True, ("a topic",)),
        ),
    ],
)
def test_what_was_finished_says_what_it_changed_and_what_failed(outcome: Outcome, result: Result) -> None:
    assert of_outcome(outcome) == result


@pytest.mark.parametrize(
    ("error", "cut_short"), [(NotReady, False), (CarbonError, False), (Unreachable, True), (Overtaken, True)]
)
def test_an_error_says_why_and_what_would_mend_it(error: type[CarbonError], cut_short: bool) -> None:
    assert of_error(error("it failed", "no room", "add a node")) == Result(
        False, "it failed: no room", cut_short, fix="add a node"
    )


def test_a_refusal_says_what_is_gone_already() -> None:
    refused = DataAtRisk("refused", "", "carbon up db --confirm it", lost=["PersistentVolumeClaim here/data"])
    assert of_error(refused).lost == ("PersistentVolumeClaim here/data",)
