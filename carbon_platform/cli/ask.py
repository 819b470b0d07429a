"""Asking a person before something is taken away."""

import sys

import typer

from carbon_platform.errors import ConfigurationError, Interrupted


def ask(what: str) -> None:
    """Return after a yes, end the command after anything else. Nothing of it goes to standard output.

    Raises ConfigurationError where there is no terminal to ask on.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            "this must be confirmed, and there is no terminal to ask on", what, "add --yes if that is meant"
        )
    # typer.confirm writes the end of its question to standard output.
    typer.echo(f"{what} Go on? [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        raise Interrupted("interrupted", "nothing was changed", "run it again, and answer y") from None
    if answer.strip().lower() not in {"y", "yes"}:
        raise typer.Abort
