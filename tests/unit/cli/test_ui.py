"""One `carbon ui` for one state: who comes second is told who is there, and who is ready where."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from carbon_platform.cli.main import main
from carbon_platform.cli.ui import _alone, _not_loaded
from carbon_platform.errors import ConfigurationError
from carbon_platform.local.ports import free_ports
from tests.definitions import Definitions, environments


def carbon_ui(monkeypatch: pytest.MonkeyPatch, definitions: Definitions, *arguments: str) -> int:
    """`carbon ui` on a small platform, without Dagster's programs, until a person ends it."""
    definitions.chart()
    definitions.release("app")
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))
    monkeypatch.setenv("CARBON_HOME", str(definitions.folder / "home"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr("carbon_platform.cli.ui._started", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("carbon_platform.cli.ui._await", lambda *_: None)
    monkeypatch.setattr(signal, "pause", lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(sys, "argv", ["carbon", "ui", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def refused(file: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught, _alone(file, "http://127.0.0.1:2"):
        raise AssertionError("served twice")
    return caught.value


def test_who_comes_second_is_told_who_serves_and_where(tmp_path: Path) -> None:
    with _alone(tmp_path / "ui.lock", "http://127.0.0.1:3000"):
        error = refused(tmp_path / "ui.lock")
    assert error.cause == f"process {os.getpid()} serves it at http://127.0.0.1:3000"
    assert error.exit_code == 2
    with _alone(tmp_path / "ui.lock", "http://127.0.0.1:3001"):
        assert "3001" in refused(tmp_path / "ui.lock").cause, "what the one before wrote is gone"


def test_healing_in_an_environment_that_asks_begins_with_a_yes(
    monkeypatch: pytest.MonkeyPatch, definitions: Definitions, capsys: pytest.CaptureFixture[str]
) -> None:
    environments(definitions.folder, {"local": {"confirm": True}})
    (port,) = free_ports(1)
    monkeypatch.setattr(sys, "stdin", None)
    assert carbon_ui(monkeypatch, definitions, "--port", str(port)) == 2
    assert "healing changes what breaks in environment 'local'" in capsys.readouterr().err
    assert carbon_ui(monkeypatch, definitions, "--port", str(port), "--yes") == 0


def test_states_are_served_beside_each_other(tmp_path: Path) -> None:
    with _alone(tmp_path / "one", "a"), _alone(tmp_path / "other", "b"):
        pass


def test_the_claim_is_held_until_the_last_of_the_group_has_ended(tmp_path: Path) -> None:
    """Its first process may have been killed while its daemon still works."""
    command = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with _alone(tmp_path / "ui.lock", "a") as claim:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[claim.fileno()])
    with child:
        refused(tmp_path / "ui.lock")
        child.kill()
        child.wait()
        with _alone(tmp_path / "ui.lock", "b"):
            pass


def test_where_it_serves_is_told_to_scripts_on_one_line(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    assert carbon_ui(monkeypatch, definitions, "--port", str(port), "--json") == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line) == {"url": f"http://127.0.0.1:{port}", "logs": str(definitions.folder / "home" / "logs")}
    assert f"at http://127.0.0.1:{port}" in err


def test_where_it_serves_is_told_to_people(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    assert carbon_ui(monkeypatch, definitions, "--port", str(port)) == 0
    out, err = capsys.readouterr()
    assert f"at http://127.0.0.1:{port} (Ctrl-C ends it" in out
    assert err == ""


def test_a_taken_port_is_told_with_the_process_that_has_it(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert carbon_ui(monkeypatch, definitions, "--port", str(port)) == 2
    err = capsys.readouterr().err
    assert f"port {port} can't be used" in err
    assert f"(process {os.getpid()}) has it" in err
    assert "choose another with --port" in err


def test_why_dagster_can_not_load_it_is_told_by_the_innermost_error_or_in_carbons_words(tmp_path: Path) -> None:
    outer = "dagster._core.errors.DagsterUserCodeLoadError: Error occurred during the loading of Dagster definitions"
    inner = "dagster._core.errors.DagsterInvalidDefinitionError: Duplicate asset key: redis\n"
    assert _not_loaded([outer, inner], tmp_path).cause == inner.strip()
    wrong = ConfigurationError("the definitions can't be loaded", "orders.py:7: no ledgers", "correct it")
    told = _not_loaded([outer, f"carbon_platform.errors.ConfigurationError: {wrong}\n", inner], tmp_path)
    assert (str(told), told.exit_code) == (str(wrong), 2)
