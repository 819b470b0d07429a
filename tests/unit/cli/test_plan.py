"""What `carbon plan` shows: every action there is, texts line by line, on a terminal of any width."""

import base64
import dataclasses
from typing import Any

import pytest
from rich.console import Console

from carbon_platform.cli import plan as command
from carbon_platform.cli import present
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.drift import of_release
from carbon_platform.health.state import State
from carbon_platform.inspect.plans import Planned
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.records import Record
from carbon_platform.release.difference import difference
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.objects import obj


@pytest.fixture
def component(definitions: Definitions) -> Component:
    definitions.chart()
    definitions.release("app")
    return definitions.load().components["app"]


def planned(component: Component, *changes: Change, reason: str = "not installed", **more: Any) -> Planned:
    return Planned(component, Record("app"), Plan("app", "", changes, None, **more), (), reason)


def status(component: Component, state: State = State.ABSENT, reason: str = "not installed") -> ComponentStatus:
    return ComponentStatus(component, state, reason, None, 0, 0, ())


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """From now on results are for a terminal of that width, without its colours."""
    console = Console(width=width, highlight=False, no_color=True)
    monkeypatch.setattr(present, "console", console)
    monkeypatch.setattr(present, "terminal_width", lambda: width)


def shown(capsys: pytest.CaptureFixture[str], one: Planned, seen: ComponentStatus) -> list[str]:
    command._show(one, seen)
    return capsys.readouterr().out.splitlines()


def test_every_action_is_shown(component: Component, capsys: pytest.CaptureFixture[str]) -> None:
    name = ObjectName("v1", "ConfigMap", "here", "a")
    one = planned(component, *(Change(action, name, reason=f"why {action}") for action in Action))
    told = "\n".join(shown(capsys, one, status(component)))
    assert all(f"why {action}" in told for action in Action)


def test_a_rule_that_means_nothing_is_told(component: Component, capsys: pytest.CaptureFixture[str]) -> None:
    told = "ready: RayClutser: the release has no such object"
    one = planned(component, meaningless=("ready: RayClutser",))
    assert f"  ? {told}" in shown(capsys, one, status(component))
    assert command._as_json(one, status(component))["warnings"] == [told]


BEFORE = "".join(f"line {number}\n" for number in range(1, 10))
AFTER = BEFORE.replace("line 5\n", "line five\n").replace("line 9\n", "line 9\nline 10\n")


def updated(live: Object, desired: Object) -> Change:
    name = ObjectName.of(desired)
    return Change(Action.UPDATE, name, difference(live, desired), live=live, desired=desired)


SCRIPT = updated(
    obj("ConfigMap") | {"data": {"run.sh": BEFORE, "mode": "on"}},
    obj("ConfigMap") | {"data": {"run.sh": AFTER, "mode": "off"}},
)
LINES = """
app  1 object to change
  ~ ConfigMap here/a
      data.mode: on → off
      data.run.sh
        @@ -3,7 +3,8 @@
         line 3
         line 4
        -line 5
        +line five
         line 6
         line 7
         line 8
         line 9
        +line 10
""".strip().splitlines()


def test_a_text_of_many_lines_is_compared_line_by_line(
    component: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    one = planned(component, SCRIPT, reason="1 object to change")
    made = shown(capsys, one, status(component, State.STALE))
    assert [line for line in made if "line" in line or "data" in line or line[0] != " "] == [
        line for line in LINES if "line" in line or "data" in line or line[0] != " "
    ]
    assert "\x1b" not in "".join(made), "in a pipe it is plain"
    (change,) = command._as_json(one, status(component))["changes"]
    assert change["fields"][1]["lines"][1:4] == [" line 3", " line 4", "-line 5"]
    assert change["fields"][0]["lines"] == []


def test_on_a_terminal_what_comes_is_green_and_what_goes_is_red(
    component: Component, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    coloured = Console(width=80, highlight=False, force_terminal=True, color_system="standard")
    monkeypatch.setattr(present, "console", coloured)
    command._show(planned(component, SCRIPT, reason="1 object to change"), status(component, State.STALE))
    made = capsys.readouterr().out
    assert "\x1b[31m-line 5" in made
    assert "\x1b[32m+line five" in made


def test_drift_shows_it_in_the_same_way(component: Component, capsys: pytest.CaptureFixture[str]) -> None:
    from carbon_platform.cli import drift

    drift._show(of_release(component, [SCRIPT]))
    made = capsys.readouterr().out.splitlines()
    assert {"        -line 5", "        +line five", "      data.run.sh"} <= set(made)


def test_a_file_that_comes_or_goes_is_shown_whole() -> None:
    without, has = obj("ConfigMap") | {"data": {}}, obj("ConfigMap") | {"data": {"a": "x\ny\n"}}
    (comes,), (goes,) = difference(without, has), difference(has, without)
    assert [line[0] for line in comes.lines[1:]] == ["+", "+", "+"]
    assert [line[:2] for line in goes.lines[1:]] == ["-x", "-y", "-"]


def test_texts_that_differ_only_at_their_end_differ() -> None:
    one, other = (obj("ConfigMap") | {"data": {"a": text}} for text in ("x\ny", "x\ny\n"))
    (field,) = difference(one, other)
    assert field.lines[-1] == "+"


def test_what_a_terminal_would_obey_is_told_and_not_done() -> None:
    one, other = (obj("ConfigMap") | {"data": {"a": text}} for text in ("x\ny", "x\n\x1b[2Jy\r"))
    (field,) = difference(one, other)
    assert field.lines[-1] == "+\\x1b[2Jy\\r"


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_of_a_secret_no_line_is_ever_shown(key: str, component: Component, capsys: pytest.CaptureFixture[str]) -> None:
    def secret(text: str) -> Object:
        value = base64.encodebytes(text.encode() * 40).decode() if key == "data" else text
        applied = {"kubectl.kubernetes.io/last-applied-configuration": f"{{\n{text}\n}}"}
        return obj("Secret", annotations=applied) | {key: {"file": value}}

    change = updated(secret("hunter2\nsecond"), secret("hunter3\nthird"))
    one = planned(component, change, reason="1 object to change")
    made = "\n".join(shown(capsys, one, status(component)))
    told = made + str(command._as_json(one, status(component))) + "".join(map(str, change.fields)) + repr(change.fields)
    assert "(hidden)" in made
    assert not [word for word in ("hunter", "second", "third", "aHVudGVy") if word in told]
    assert all(field.lines == () for field in change.fields)


def test_at_40_columns_every_word_is_still_there(
    component: Component, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = obj("ConfigMap") | {"data": {"url": "http://one.example.org/path", "run.sh": BEFORE}}
    desired = obj("ConfigMap") | {"data": {"url": "http://two.example.org/path", "run.sh": AFTER}}
    one = planned(component, updated(live, desired), reason="1 object to change")
    whole = shown(capsys, one, status(component))
    terminal(monkeypatch, 40)
    narrow = shown(capsys, one, status(component))
    assert all(len(line) <= 40 for line in narrow)
    assert " ".join(narrow).split() == " ".join(whole).split()
    at = next(i for i, line in enumerate(narrow) if "data.url" in line)
    assert narrow[at : at + 3] == [
        "      data.url:",
        "        http://one.example.org/path →",
        "        http://two.example.org/path",
    ]


def test_what_is_blocked_says_so_and_what_is_to_do_besides(
    component: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = status(component, State.BLOCKED, "app can't become ready\ncause: image a:1 can't be pulled\nfix: make it")
    waits = dataclasses.replace(planned(component, reason=""), blocked="image")
    assert shown(capsys, waits, blocked) == ["app  blocked  image a:1 can't be pulled"]
    tries = planned(component, reason="not installed")
    assert shown(capsys, tries, blocked) == ["app  blocked  image a:1 can't be pulled; to do: not installed"]
    assert command._sum_up({"app": tries}, {"app": blocked}).plain == (
        "1 of 1 component has something to do; blocked: app"
    )
