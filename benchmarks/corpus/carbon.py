"""Carbon as a person runs it: a process for each command."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carbon_platform.errors import CarbonError

_CARBON = Path(sys.executable).with_name("carbon")
_DEADLINE_SECONDS = 480.0
_ENDING_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Done:
    """A command that ended, or was ended because it did not."""

    code: int
    told: Mapping[str, Any]
    """Its JSON; empty when it printed none."""
    errors: str
    late: bool = False

    @property
    def crashed(self) -> bool:
        """It ended by an error that nobody foresaw."""
        return "Traceback (most recent call last)" in self.errors or (self.code > 0 and not self.told)

    def component(self, key: str) -> Mapping[str, Any]:
        """What it told of one component; empty when nothing."""
        found = [one for one in self.told.get("components", ()) if one["key"] == key]
        return found[0] if found else {}

    @property
    def why(self) -> str:
        """Why it failed as a whole, in one line; empty when it says so of no more than a component."""
        error = self.told.get("error")
        if isinstance(error, dict):
            return ": ".join(part for part in (error["summary"], error["cause"]) if part)
        if self.late:
            return f"it did not end within {_DEADLINE_SECONDS:g} s"
        return next((line for line in reversed(self.errors.splitlines()) if line.strip()), "") if self.crashed else ""


class Carbon:
    """The command line, with an environment of its own; what each command printed is kept in `logs`."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        ours = ("CARBON_", "DAGSTER_")
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | dict(environment)
        self._logs = logs
        self._count = 0
        logs.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments: str, definitions: Path) -> Done:
        """Run a command that answers in JSON to its end."""
        self._count += 1
        out = self._logs / f"{self._count:03}-{'-'.join(arguments[:2])}.json"
        errors = out.with_suffix(".err")
        with out.open("w", encoding="utf-8") as to, errors.open("w", encoding="utf-8") as err:
            process = self._start(*arguments, definitions=definitions, stdout=to, stderr=err)
            late = _ended_late(process)
        return Done(process.returncode, _read(out), errors.read_text(encoding="utf-8", errors="replace"), late)

    def _start(self, *arguments: str, definitions: Path, stdout: Any, stderr: Any = None) -> "subprocess.Popen[str]":
        environment = self._environment | {"CARBON_DEFS": str(definitions)}
        command: list[str | Path] = [_CARBON, *arguments, "--json"]
        return subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr, text=True)

    @contextlib.contextmanager
    def ui(self, definitions: Path) -> Iterator["subprocess.Popen[str]"]:
        """`carbon ui`, from the moment on that it serves; nothing of it is left afterwards."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (self._logs / "ui.err").open("w", encoding="utf-8") as err:
            process = self._start(
                "ui", "--port", str(port), definitions=definitions, stdout=subprocess.PIPE, stderr=err
            )
            try:
                assert process.stdout is not None
                if "http" not in process.stdout.readline():
                    raise CarbonError("carbon ui did not start", f"exit code {process.wait()}", f"see {err.name}")
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(_ENDING_SECONDS)


def _ended_late(process: "subprocess.Popen[str]") -> bool:
    """Wait for its end; True when it had to be told to."""
    try:
        process.wait(_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return True
    except BaseException:
        process.kill()
        process.wait()
        raise
    return False


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
