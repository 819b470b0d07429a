"""How a command line ends: its exit code, and its error told to people and to scripts."""

import io
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

import typer

from carbon_platform.errors import CarbonError, ExitCode, Interrupted


def run(app: typer.Typer) -> None:
    """Run a command line, and end this process with its exit code.

    An error goes to standard error; where `--json` was asked for, also to standard output as `{"error": …}`, so that
    a script finds a JSON object there in any case.
    """
    # Also where a shell has told its background jobs to ignore it: Ctrl-C must end us in order.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    written = _Output(sys.stdout), _Output(sys.stderr)
    sys.stdout, sys.stderr = (one.stream for one in written)
    try:
        app()
        code: object = ExitCode.DONE
    except SystemExit as end:
        code = end.code
    except CarbonError as error:
        _tell(error)
        code = error.exit_code
    for one in written:
        one.stream.flush()
    sys.exit(ExitCode.UNREAD if any(one.unread for one in written) else code)  # type: ignore[arg-type]


def _tell(error: CarbonError) -> None:
    from carbon_platform.cli.present import error_as_json, print_error, print_interrupted, print_json

    # An error may come before the command itself was parsed: only the arguments tell what was asked for.
    if "--json" in sys.argv[1:]:
        print_json({"error": error_as_json(error)})
    if isinstance(error, Interrupted):
        print_interrupted(error)
    else:
        print_error(error)


class _Output:
    """Standard output or error. Whoever reads it may stop: the command does its work to the end all the same."""

    def __init__(self, stream: TextIO | None) -> None:
        self._file: _Pipe | None = None
        if stream is None:  # closed by whoever started us
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper) and stream in {sys.__stdout__, sys.__stderr__}:
            stream.flush()
            self._file = _Pipe(stream.fileno(), "w", closefd=False)
            at_once = stream.line_buffering or stream.write_through
            stream = io.TextIOWrapper(
                io.BufferedWriter(self._file), stream.encoding, stream.errors, line_buffering=at_once
            )
        self.stream: TextIO = stream

    @property
    def unread(self) -> bool:
        """True when something was written that nobody reads any more."""
        return self._file is not None and self._file.unread


class _Pipe(io.FileIO):
    unread = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            self.unread = True
            return len(data)
