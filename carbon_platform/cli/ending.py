"""How a command line ends: its exit code, and its error told to people and to scripts."""

import signal
import sys

import typer

from carbon_platform.errors import CarbonError


def run(app: typer.Typer) -> None:
    """Run a command line. Exit code 0: done; 1: something failed; 2: wrong usage or configuration; 130: interrupted.

    An error goes to standard error; where `--json` was asked for, also to standard output as `{"error": …}`, so that
    a script finds a JSON object there in any case.
    """
    # Also where a shell has told its background jobs to ignore it: Ctrl-C must end us in order.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except CarbonError as error:
        from carbon_platform.cli.present import error_as_json, print_error, print_json

        # An error may come before the command itself was parsed: only the arguments tell what was asked for.
        if "--json" in sys.argv[1:]:
            print_json({"error": error_as_json(error)})
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted; the next run carries on from here", err=True)
        sys.exit(130)
