"""The command line: what it refuses, and with which exit code."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from carbon_platform.cli import cluster
from carbon_platform.cli.main import app, main
from carbon_platform.errors import CarbonError
from carbon_platform.settings import settings
from tests.definitions import Definitions, environments


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, definitions: Definitions) -> Definitions:
    """A small platform that the environment names, and no cluster."""
    definitions.chart()
    definitions.release("app")
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    monkeypatch.setenv("CARBON_HOME", str(definitions.folder / "home"))
    monkeypatch.setenv("CARBON_CACHE", str(definitions.folder / "cache"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return definitions


def carbon(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["carbon", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize("command", ["up", "plan", "status", "verify", "drift", "down"])
def test_a_component_that_is_none_is_wrong_usage(
    command: str, told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, command, "ap") == 2
    assert "did you mean 'app'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["up"], ["plan"], ["verify"], ["down", "--yes"]])
def test_without_a_cluster_a_command_fails_and_says_how_to_get_one(
    command: list[str], told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, *command) == 1
    assert "carbon cluster up" in capsys.readouterr().err
    assert not (told.folder / "home").exists()


@pytest.mark.parametrize("command", ["status", "drift"])
def test_without_a_cluster_the_state_is_unknown_and_not_broken(
    command: str, told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, command, "--json") == 1
    assert '"state": "unknown"' in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--env", "staging", "plan"], ["plan", "--nothing"], ["fly"]])
def test_wrong_usage_ends_with_two(
    arguments: list[str], told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("name", ["profile", "context", "kubeconfig"])
def test_an_option_of_before_environments_is_told_with_what_to_write_instead(
    name: str, told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, f"--{name}", "prod", "status") == 2
    err = capsys.readouterr().err
    assert f"error: --{name} is gone\n" in err
    assert "environments.yaml" in err
    assert "--env NAME" in err


@pytest.mark.parametrize("name", ["PROFILE", "CONTEXT", "KUBECONFIG", "DOMAIN"])
def test_a_variable_of_before_environments_is_told_with_what_to_write_instead(
    name: str, told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"CARBON_{name}", "prod")
    assert carbon(monkeypatch, "status") == 2
    err = capsys.readouterr().err
    assert f"error: CARBON_{name} is gone\n" in err
    assert "environments.yaml" in err


def test_an_environment_that_there_is_not_is_told_with_those_there_are(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environments(told.folder, {"production": {"cluster": {"context": "prod"}}})
    assert carbon(monkeypatch, "status", "--env", "prodcution") == 2
    err = capsys.readouterr().err
    assert "no environment is called 'prodcution'" in err
    assert "did you mean 'production'?" in err
    assert "local, production" in err


def test_a_wrong_variable_is_told_as_one(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CARBON_API_PORT", "none")
    assert carbon(monkeypatch, "status") == 2
    assert "CARBON_API_PORT='none'" in capsys.readouterr().err


def test_wrong_definitions_end_with_two_and_every_line(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.release("app", needs=["nobody"])
    assert carbon(monkeypatch, "plan") == 2
    assert f"{told.file('app')}:" in capsys.readouterr().err


def test_every_environment_is_listed_and_the_chosen_one_is_marked(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"cluster": {"context": "prod"}, "overlays": ["base", "eu"], "state": "kept", "confirm": True}
    file = environments(told.folder, {"production": said}, definitions=["shipped"])
    assert carbon(monkeypatch, "env", "list", "--env", "production", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    common = {"domain": "254carbon.com"}
    assert listed == {
        "file": str(file),
        "chosen": "production",
        "definitions": [str(told.defs)],
        "environments": [
            {
                "name": "local",
                "chosen": False,
                "cluster": "local",
                "overlays": ["local"],
                "state": str(told.folder / "home"),
                "confirm": False,
            }
            | common,
            {
                "name": "production",
                "chosen": True,
                "cluster": "prod",
                "overlays": ["base", "eu"],
                "state": str(told.folder / "kept"),
                "confirm": True,
            }
            | common,
        ],
    }
    settings.cache_clear()
    assert carbon(monkeypatch, "env", "--env=production") == 0
    chosen = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("*"))
    assert "production" in chosen
    assert "base, eu" in chosen


NO_CLUSTER = "there is no local cluster on this machine"


@pytest.mark.parametrize(
    ("arguments", "code", "summary"),
    [
        (["up"], 1, NO_CLUSTER),
        (["plan"], 1, NO_CLUSTER),
        (["doctor"], 1, NO_CLUSTER),
        (["open", "app"], 1, NO_CLUSTER),
        (["down", "--yes"], 1, NO_CLUSTER),
        (["status", "ap"], 2, "no component is called 'ap'"),
        (["--env", "staging", "status"], 2, "no environment is called 'staging'"),
        (["cluster", "down", "--delete-data"], 2, "this must be confirmed, and there is no terminal to ask on"),
    ],
)
def test_an_error_is_told_to_scripts_as_json_and_to_people_as_ever(
    arguments: list[str],
    code: int,
    summary: str,
    told: Definitions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told.release("app", endpoints=[{"name": "web", "service": "app", "port": 80}])
    assert carbon(monkeypatch, *arguments, "--json") == code
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error["summary"] == summary
    assert f"error: {summary}\ncause: {error['cause']}\nfix:   {error['fix']}\n" in err
    assert carbon(monkeypatch, *arguments) == code
    assert capsys.readouterr() == ("", err), "without --json there is none"


def test_the_evidence_of_an_error_is_told_to_scripts_as_well(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.release("app", needs=["nobody"])
    assert carbon(monkeypatch, "plan", "--json") == 2
    (line,) = json.loads(capsys.readouterr().out)["error"]["evidence"]
    assert line.startswith(f"{told.file('app')}:")


def test_the_commands_of_the_cluster_alone_end_in_the_same_way(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cluster", "down", "--delete-data", "--json"])
    with pytest.raises(SystemExit) as caught:
        cluster.main()
    assert caught.value.code == 2
    assert set(json.loads(capsys.readouterr().out)["error"]) == {"summary", "cause", "fix"}


def test_without_a_cluster_verify_tells_every_component_as_unknown(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.release("first")
    told.release("app", needs=["first"])
    assert carbon(monkeypatch, "verify", "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "components": [
            {"key": key, "checks": [], "unknown": NO_CLUSTER, "blocked": None, "off": False} for key in ("first", "app")
        ]
    }
    assert "carbon cluster up" in err


class Terminal(io.StringIO):
    """A person at a terminal who answers this."""

    def isatty(self) -> bool:
        return True


ASKING = [["down", "app"], ["cluster", "down", "--delete-data"]]


@pytest.mark.parametrize("arguments", ASKING)
def test_where_nobody_can_be_asked_nothing_is_taken_away_and_the_option_is_named(
    arguments: list[str], told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert carbon(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--yes" in err


@pytest.mark.parametrize("arguments", ASKING)
@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_a_person_is_asked_and_only_a_yes_goes_on(
    answer: str,
    goes_on: bool,
    arguments: list[str],
    told: Definitions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def went_on(*_: object, **__: object) -> None:
        raise CarbonError("it went on")

    monkeypatch.setattr("carbon_platform.cli.down.open_session", went_on)
    monkeypatch.setattr("carbon_platform.local.cluster.existing", went_on)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert carbon(monkeypatch, *arguments) == 1
    out, err = capsys.readouterr()
    assert out == "", "what is asked is no part of the answer"
    assert "Go on? [y/N]" in err
    assert ("it went on" in err) == goes_on


def test_help_names_the_variable_of_each_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, "--help") == 0
    shown = " ".join(re.sub("[│╭╰─╮╯]", " ", capsys.readouterr().out).split())
    assert "Environment by name; local when not given. [env: CARBON_ENV]" in shown
    assert "--profile" not in shown


def every_command() -> list[tuple[str, ...]]:
    def below(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, (*path, name))

    return list(below(typer.main.get_command(app), ()))


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_help_ends_with_examples(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, *path, "--help") == 0
    assert f"Examples: {' '.join(['carbon', *path])}" in " ".join(capsys.readouterr().out.split())


def test_help_needs_neither_dagster_nor_a_kubernetes_client() -> None:
    code = "import sys; from carbon_platform.cli.main import app; print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in ("'dagster'", "'kubernetes'", "'pyhelm3'", "'httpx2'") if name in done.stdout]


def test_the_command_that_is_installed_answers() -> None:
    carbon_program = Path(sys.executable).with_name("carbon")
    done = subprocess.run([carbon_program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("carbon ")
