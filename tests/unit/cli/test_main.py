"""The command line: what it refuses, and with which exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from carbon_platform.cli.main import main
from tests.definitions import Definitions


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


@pytest.mark.parametrize("command", ["up", "plan", "status", "verify", "down"])
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


def test_without_a_cluster_the_status_is_unknown_and_not_broken(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, "status", "--json") == 1
    assert '"state": "unknown"' in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--profile", "staging", "plan"], ["plan", "--nothing"], ["fly"]])
def test_wrong_usage_ends_with_two(
    arguments: list[str], told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err


def test_wrong_definitions_end_with_two_and_every_line(
    told: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.release("app", needs=["nobody"])
    assert carbon(monkeypatch, "plan") == 2
    assert f"{told.file('app')}:" in capsys.readouterr().err


def test_help_needs_neither_dagster_nor_a_kubernetes_client() -> None:
    code = "import sys; from carbon_platform.cli.main import app; print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in ("'dagster'", "'kubernetes'", "'pyhelm3'", "'httpx2'") if name in done.stdout]


def test_the_command_that_is_installed_answers() -> None:
    carbon_program = Path(sys.executable).with_name("carbon")
    done = subprocess.run([carbon_program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("carbon ")
