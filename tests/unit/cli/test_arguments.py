"""Options may stand before the command and after it."""

import json

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cli.arguments import _below, arranged
from carbon_platform.cli.main import app
from tests.unit.cli.test_main import carbon, told  # noqa: F401 - a fixture

OWN = {"--env": True}
BELOW = {"--json": False, "--yes": False, "-y": False, "--port": True}

WRITTEN = {
    "before the command": (["--env", "prod", "up", "app"], ["--env", "prod", "up", "app"]),
    "after the command": (["up", "--env", "prod", "app"], ["--env", "prod", "up", "app"]),
    "at the end, in one word": (["up", "app", "--env=prod"], ["--env=prod", "up", "app"]),
    "several times: the last one is meant": (["--env", "a", "up", "--env=b"], ["--env", "a", "--env=b", "up"]),
    "an option of a command before it": (["--json", "status"], ["status", "--json"]),
    "a short one": (["-y", "down", "redis"], ["down", "redis", "-y"]),
    "one with a value": (["--port", "80", "open", "trino"], ["open", "trino", "--port", "80"]),
    "after the command it stays": (["open", "--port", "80", "trino"], ["open", "--port", "80", "trino"]),
    "both": (["--json", "status", "--env", "prod"], ["--env", "prod", "status", "--json"]),
    "what is no option stays": (["open", "--", "--env", "a"], ["open", "--", "--env", "a"]),
    "a value that is missing": (["up", "--env"], ["up", "--env"]),
    "an option that nobody knows": (["--nothing", "status"], ["--nothing", "status"]),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("written", "read"), WRITTEN.values(), ids=WRITTEN.keys())
def test_an_option_is_read_where_it_belongs(written: list[str], read: list[str]) -> None:
    assert arranged(written, OWN, BELOW) == read


@given(st.lists(st.sampled_from(["up", "app", "--env", "--env=a", "--json", "-y", "--port", "80", "--", "--no"])))
def test_no_word_is_lost_and_a_second_reading_changes_nothing(written: list[str]) -> None:
    once = arranged(written, OWN, BELOW)
    assert sorted(once) == sorted(written)
    assert arranged(once, OWN, BELOW) == once
    tail = written[written.index("--") :] if "--" in written else []
    assert once[len(once) - len(tail) :] == tail


def test_every_option_of_a_command_may_stand_before_it_unless_it_means_two_things() -> None:
    known = _below(typer.main.get_command(app))  # type: ignore[arg-type]
    assert {"--json", "--yes", "-y", "--redeploy", "--open", "--port", "--confirm"} <= set(known)
    assert "--delete-data" not in known, "it takes a name in one command, and none in another"
    assert "--help" not in known


@pytest.mark.parametrize("arguments", [["--json", "status"], ["status", "--json"]])
def test_json_before_the_command_is_json(
    arguments: list[str],
    told: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert carbon(monkeypatch, *arguments) == 1
    assert json.loads(capsys.readouterr().out)["environment"] == "local"


@pytest.mark.parametrize(
    "arguments", [["env", "--json"], ["--json", "env"], ["env", "--json", "list"], ["env", "list", "--json"]]
)
def test_it_is_so_of_commands_within_commands_too(
    arguments: list[str],
    told: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert carbon(monkeypatch, *arguments) == 0
    assert json.loads(capsys.readouterr().out)["chosen"] == "local"


@pytest.mark.parametrize("arguments", [["status", "--env"], ["--env"]])
def test_a_value_that_is_missing_is_told_as_that(
    arguments: list[str],
    told: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert carbon(monkeypatch, *arguments) == 2
    assert "Option '--env' requires an argument" in capsys.readouterr().err


def test_help_is_about_where_it_stands(
    told: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert carbon(monkeypatch, "status", "--help") == 0
    assert "Usage: carbon status" in capsys.readouterr().out
