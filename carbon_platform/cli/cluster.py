"""`carbon cluster`."""

import typer

app = typer.Typer(help="The local cluster.")
