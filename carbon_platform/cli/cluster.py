"""`carbon cluster`: a real Kubernetes on this machine."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carbon_platform.local.cluster import LocalCluster

app = typer.Typer(help="A real Kubernetes on this machine.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts.")]


def _cluster() -> "LocalCluster":
    from carbon_platform.local.cluster import LocalCluster
    from carbon_platform.local.layout import Layout
    from carbon_platform.settings import settings

    def report(text: str) -> None:
        typer.echo(text, err=True)
        sys.stderr.flush()

    return LocalCluster(Layout(settings().local_cluster), settings().cache, report)


@app.command(epilog="Examples: carbon cluster up · carbon cluster up --simulated-nodes 20")
def up(
    simulated_nodes: Annotated[int, typer.Option(min=0, max=1000, help="So many nodes that only pretend.")] = 0,
    json: Json = False,
) -> None:
    """Bring it up; does nothing when it is up. The first time it gets and builds its programs: minutes."""
    cluster = _cluster()
    cluster.up(simulated_nodes)
    if json:
        from carbon_platform.cli.present import print_json

        print_json(cluster.status())
    else:
        typer.echo(f"the local cluster is up: export KUBECONFIG={cluster.layout.kubeconfig}")


@app.command(epilog="Examples: carbon cluster down · carbon cluster down --delete-data --yes")
def down(
    delete_data: Annotated[bool, typer.Option(help="Delete its volumes and its state as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Stop it; nothing of it stays but its data, so that `up` goes on from there."""
    cluster = _cluster()
    if delete_data and not yes:
        typer.confirm(f"This deletes every volume of the local cluster in {cluster.layout.folder}. Go on?", abort=True)
    cluster.down(delete_data=delete_data)
    typer.echo("the local cluster is down" + ("" if delete_data else f"; its data stays in {cluster.layout.folder}"))


@app.command(epilog="Examples: carbon cluster status · carbon cluster status --json | jq -r .kubeconfig")
def status(json: Json = False) -> None:
    """What runs of it. Exit code 0 when it is up, else 1."""
    from carbon_platform.cli.present import console, print_json

    found = _cluster().status()
    if json:
        print_json(found)
    else:
        console.print(f"{'up' if found['running'] else 'not up'}  {found['version'] or ''}  {found['kubeconfig']}")
        for one in found["components"]:
            console.print(f"  {one['name']:<26}{one['state']:<10}{one['memory'] / 2**20:6.0f} MiB")
        for text in found["waiting"]:
            console.print(f"  {text}", style="yellow")
    raise typer.Exit(0 if found["running"] else 1)
