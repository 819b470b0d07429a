"""How a command ends: when nobody reads it any more, when a person interrupts it, when its output is closed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from carbon_platform.cli import ask, down, verify
from carbon_platform.cli.present import again
from carbon_platform.errors import CarbonError, ConfigurationError, ExitCode, Interrupted
from carbon_platform.healing.sweep import Swept
from tests.definitions import Definitions

CARBON = Path(sys.executable).with_name("carbon")


@pytest.fixture
def shell(definitions: Definitions) -> dict[str, str]:
    """The environment of a platform that is too long to read, and has no cluster."""
    definitions.chart()
    for number in range(60):
        definitions.release(f"component_{number}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARBON_")}
    return kept | {"CARBON_DEFS": str(definitions.defs), "CARBON_HOME": str(definitions.folder / "home")}


def piped(shell: dict[str, str], command: str) -> tuple[int, str, str]:
    """The exit code of `carbon`, and what the whole pipe says."""
    line = f'{CARBON} {command}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], env=shell, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


CLOSED = """
import os, subprocess, sys
ours, theirs = os.pipe()
os.close(ours)  # nobody reads
done = subprocess.run(sys.argv[1:], stdout=theirs, stderr=subprocess.PIPE, text=True)
print(done.returncode)
print(done.stderr, end="")
"""


def unread(shell: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
    """The exit code and the errors of a command whose output is a pipe that nobody reads."""
    command = [sys.executable, "-c", CLOSED, str(CARBON), *arguments]
    done = subprocess.run(command, env=shell, capture_output=True, text=True, check=True)
    code, *errors = done.stdout.splitlines()
    return int(code), errors


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["env", "list"], ["env", "list", "--json"]],
    ids=" ".join,
)
def test_a_pipe_that_nobody_reads_is_no_error(arguments: list[str], shell: dict[str, str]) -> None:
    assert unread(shell, *arguments) == (ExitCode.UNREAD, [])


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["drift"], ["verify"]], ids=" ".join)
def test_what_is_said_on_standard_error_is_said_all_the_same(arguments: list[str], shell: dict[str, str]) -> None:
    code, errors = unread(shell, *arguments)
    assert code == ExitCode.UNREAD
    assert "Traceback" not in "\n".join(errors)
    if "--json" not in arguments:
        assert "there is no local cluster on this machine" in "\n".join(errors)


def test_the_first_line_can_be_had_of_a_long_output(shell: dict[str, str]) -> None:
    code, out, err = piped(shell, "status 2>/dev/null | head -1")
    assert code in {ExitCode.FAILED, ExitCode.UNREAD}, "both: the pipe may have room for all of it"
    assert (out, err) == ("60 unknown\n", "")


def test_standard_output_may_be_closed(shell: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{CARBON} env list >&-"], env=shell, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


INTERRUPTED = """
import sys
from carbon_platform.cli import ending, main, status

def interrupted(*_):
    raise KeyboardInterrupt

status.statuses = interrupted
sys.argv[0] = "carbon"
ending.run(main.app)
"""


def interrupted(shell: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", INTERRUPTED, "status", *arguments]
    return subprocess.run(command, env=shell, capture_output=True, text=True, check=False)


def test_an_interrupted_look_says_that_nothing_was_changed_and_how_to_look_again(shell: dict[str, str]) -> None:
    done = interrupted(shell, "component_1", "--env", "local")
    assert (done.returncode, done.stdout) == (ExitCode.INTERRUPTED, "")
    assert done.stderr == "interrupted: nothing was changed\ngo on: carbon status component_1 --env local\n"


def test_a_script_is_told_of_it_as_of_any_error(shell: dict[str, str]) -> None:
    done = interrupted(shell, "--json")
    assert done.returncode == ExitCode.INTERRUPTED
    assert json.loads(done.stdout)["error"] == {
        "summary": "interrupted",
        "cause": "nothing was changed",
        "fix": "carbon status --json",
    }


def test_a_real_signal_ends_a_command_that_looks_with_130(shell: dict[str, str], definitions: Definitions) -> None:
    """A named pipe in the place of a definition: the command waits for it, and the signal comes in the meantime."""
    file = definitions.file("component_0")
    file.unlink()
    os.mkfifo(file)
    running = subprocess.Popen([CARBON, "status"], env=shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with file.open("w", encoding="utf-8"):  # returns when the command has begun to read
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err == "interrupted: nothing was changed\ngo on: carbon status\n"
    assert "Traceback" not in err


def test_the_command_that_goes_on_is_for_the_same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert again("up", "a b", "--yes") == "carbon up 'a b' --yes"
    monkeypatch.setenv("CARBON_ENV", "production")
    assert again("up") == "carbon --env production up"


def test_a_question_that_is_interrupted_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Leaving())
    with pytest.raises(Interrupted) as caught:
        ask.ask("This uninstalls everything.")
    assert caught.value.cause == "nothing was changed"


DOWN: dict[str, tuple[dict[str, str], list[str]]] = {
    "before anything": ({}, ["not begun, and as before: web, api, db"]),
    "in the first": (
        {"web": down._BEGUN},
        [
            "half-way: web, Helm may have deleted some of its objects: the same command deletes the rest",
            "not begun, and as before: api, db",
        ],
    ),
    "in the second": (
        {"web": "uninstalled", "api": down._BEGUN},
        [
            "gone: web",
            "half-way: api, Helm may have deleted some of its objects: the same command deletes the rest",
            "not begun, and as before: db",
        ],
    ),
    "after the last": ({"web": "uninstalled", "api": "", "db": "uninstalled"}, ["gone: web, api, db"]),
}


@pytest.mark.parametrize(("done", "told"), DOWN.values(), ids=DOWN.keys())
def test_an_uninstallation_that_is_interrupted_tells_what_is_gone(done: dict[str, str], told: list[str]) -> None:
    assert down.ends(["web", "api", "db"], done) == told


ERRORS: Sequence[tuple[Callable[[str], CarbonError], int]] = (
    (CarbonError, 1),
    (ConfigurationError, 2),
    (Interrupted, 130),
)


@pytest.mark.parametrize(("kind", "code"), ERRORS)
def test_an_error_has_the_exit_code_of_its_kind(kind: Callable[[str], CarbonError], code: int) -> None:
    assert kind("x").exit_code == code


def test_a_verification_that_is_interrupted_tells_what_it_recorded_and_what_is_left(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the second of two components is checked; the first has been."""
    definitions.chart()
    for key in ("api", "db"):
        definitions.release(key)
    monkeypatch.setenv("CARBON_DEFS", str(definitions.defs))

    async def interrupted(platform: object, keys: Sequence[str], done: list[Swept]) -> None:
        done.append(Swept(keys[0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "_verify", interrupted)
    with pytest.raises(Interrupted) as caught:
        verify.run([], json=False)
    assert caught.value.cause == "nothing was deployed"
    assert caught.value.evidence == (
        "checked, and recorded: api",
        "not checked to the end, and nothing recorded: db",
    )
    assert caught.value.fix == "carbon verify db"
    assert verify._interrupted(["api", "db"], [], []).fix == "carbon verify", "nothing is done: the same again"
