"""`carbon plan` shows every action there is, and what the definition says of nothing."""

import pytest

from carbon_platform.cli import plan as command
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.inspect.plans import Planned
from carbon_platform.records import Record
from carbon_platform.release.plan import Action, Change, Plan
from tests.definitions import Definitions


@pytest.fixture
def seen(definitions: Definitions) -> Planned:
    definitions.chart()
    definitions.release("app")
    component = definitions.load().components["app"]
    name = ObjectName("v1", "ConfigMap", "here", "a")
    changes = tuple(Change(action, name, reason=f"why {action}") for action in Action)
    planned = Plan("app", "", changes, None, meaningless=("ready: RayClutser",))
    return Planned(component, Record("app"), planned, (), "not installed")


def test_every_action_is_shown(seen: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    command._show(seen)
    shown = capsys.readouterr().out
    assert all(f"why {action}" in shown for action in Action)


def test_a_rule_that_means_nothing_is_told(seen: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    told = "ready: RayClutser: the release has no such object"
    command._show(seen)
    assert told in capsys.readouterr().out
    assert command._as_json(seen)["warnings"] == [told]
