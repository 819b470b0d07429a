"""`carbon cluster`: a real Kubernetes on this machine."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from carbon_platform.cli.arguments import Group

app = typer.Typer(
    cls=Group,
    help="A real Kubernetes on this machine.",
    epilog="Examples: carbon cluster up · carbon cluster status --json · carbon cluster down",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts.")]


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Tell what happens: one moving line on a terminal, a line for each step elsewhere; never on standard output."""
    if not sys.stderr.isatty():
        yield lambda text: typer.echo(text, err=True)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task("looking", total=None)
        yield lambda text: progress.update(task, description=text)


def _silent(_: str) -> None:
    pass


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))


@app.command(epilog="Examples: carbon cluster up · carbon cluster up --control-plane-only --simulated-nodes 20")
def up(
    simulated_nodes: Annotated[
        int | None, typer.Option(min=0, max=1000, help="How many simulated nodes; as many as before when not given.")
    ] = None,
    control_plane_only: Annotated[
        bool, typer.Option("--control-plane-only", help="No real node, only simulated ones.")
    ] = False,
    json: Json = False,
) -> None:
    """Start it; changes nothing when it is up. The first time it gets and builds its programs, which takes minutes."""
    from carbon_platform.local.cluster import LocalCluster
    from carbon_platform.local.layout import Layout
    from carbon_platform.settings import settings

    chosen = settings()
    layout = Layout(chosen.local_cluster, api_port=chosen.api_port, real_node=not control_plane_only)
    with _telling() as report:
        cluster = LocalCluster(layout, chosen.cache, report)
        cluster.up(simulated_nodes)
    if json:
        _print_json(cluster.status())
    else:
        typer.echo(f"the local cluster is up: export KUBECONFIG={layout.kubeconfig}")


@app.command(epilog="Examples: carbon cluster prepare")
def prepare(json: Json = False) -> None:
    """Get and build all that it and the platform need, and start nothing. The first time that takes minutes."""
    from carbon_platform.cli.images import make
    from carbon_platform.local.cluster import LocalCluster
    from carbon_platform.local.layout import Layout
    from carbon_platform.settings import settings

    chosen = settings()
    with _telling() as report:
        LocalCluster(Layout(chosen.local_cluster), chosen.cache, report).prepare()
    make()
    if json:
        _print_json({"cache": str(chosen.cache)})
    else:
        typer.echo(f"everything is in {chosen.cache}")


@app.command(epilog="Examples: carbon cluster down · carbon cluster down --delete-data --yes")
def down(
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Delete its volumes and its state too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Stop it. Its data stays, and `carbon cluster up` goes on from there."""
    from carbon_platform.cli.ask import ask
    from carbon_platform.local.cluster import existing
    from carbon_platform.settings import settings

    folder = settings().local_cluster
    if delete_data and not yes:
        ask(f"This deletes every volume of the local cluster in {folder}.")
    with _telling() as report:
        existing(folder, settings().cache, report).down(delete_data=delete_data)
    if json:
        _print_json({"running": False, "data": str(folder) if folder.exists() else None})
    else:
        typer.echo("the local cluster is down" + (f"; its data stays in {folder}" if folder.exists() else ""))


@app.command(epilog="Examples: carbon cluster status · carbon cluster status --json | jq -r .kubeconfig")
def status(json: Json = False) -> None:
    """Show which of its programs, nodes and add-ons run. Exit code 0 when it is up, else 1."""
    from carbon_platform.local.cluster import existing
    from carbon_platform.settings import settings

    found = existing(settings().local_cluster, settings().cache, _silent).status()
    if json:
        _print_json(found)
    else:
        _show(found)
    raise typer.Exit(0 if found["running"] else 1)


def _show(found: dict[str, Any]) -> None:
    typer.echo(f"{'up' if found['running'] else 'not up'}  {found['version'] or ''}  {found['kubeconfig']}")
    for one in found["components"]:
        typer.echo(f"  {one['name']:<26}{one['state']:<10}{one['memory'] / 2**20:6.0f} MiB")
    for one in found["nodes"]:
        name = f"{'simulated node' if one['simulated'] else 'node'} {one['name']}"
        typer.echo(f"  {name:<58}{'ready' if one['ready'] else 'not ready'}")
    for one in found["addons"]:
        typer.secho(f"  {one['name']:<58}{one['message']}", fg=None if one["ready"] else "yellow")


def main() -> None:
    """`python -m carbon_platform.cli.cluster`: the same, without the rest of the command line."""
    from carbon_platform.cli.ending import run

    run(app)


if __name__ == "__main__":
    main()
