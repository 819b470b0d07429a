"""`carbon env`: which environments there are, and whose a cluster is."""

from typing import Annotated

import typer

from carbon_platform.cli.arguments import Group

app = typer.Typer(
    cls=Group,
    help="Which environments there are, which is chosen, and which one a cluster belongs to.",
    epilog="Examples: carbon env · carbon env list --json · carbon env adopt --env production",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts.")]


@app.callback()
def without_command(context: typer.Context, json: Json = False) -> None:
    """Which environments there are, which is chosen, and which one a cluster belongs to."""
    if context.invoked_subcommand is None:
        show(json=json)


@app.command("list", epilog="Examples: carbon env list · carbon env list --json | jq -r .chosen")
def list_(json: Json = False) -> None:
    """Show every environment: its cluster, overlays, domain and state; `*` marks the chosen one. Asks no cluster."""
    show(json=json)


def show(*, json: bool) -> None:
    """Print them."""
    from rich.table import Table

    from carbon_platform.cli.present import console, print_json
    from carbon_platform.settings import settings

    known, chosen, home = settings().all_environments, settings().environment, settings().home
    if json:
        told = [
            {
                "name": one.name,
                "chosen": one == chosen,
                "cluster": str(one.cluster),
                "overlays": list(one.overlays),
                "domain": one.domain,
                "state": str(one.state or home),
                "confirm": one.confirm,
            }
            for one in known.by_name.values()
        ]
        definitions = [str(folder) for folder in settings().definitions]
        print_json({"file": known.file, "chosen": chosen.name, "definitions": definitions, "environments": told})
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "ENVIRONMENT", "CLUSTER", "OVERLAYS", "DOMAIN", "STATE", "ASKS"):
        shown.add_column(title, no_wrap=True)
    for one in known.by_name.values():
        mark, asks = "*" if one == chosen else "", "yes" if one.confirm else ""
        overlays = ", ".join(one.overlays) or "-"
        shown.add_row(mark, one.name, str(one.cluster), overlays, one.domain, str(one.state or home), asks)
    console.print(shown)


@app.command(epilog="Examples: carbon env adopt --env production · carbon env adopt --env staging --yes")
def adopt(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Make the cluster that of the chosen environment, also when it is marked as another one's."""
    import asyncio

    from carbon_platform.cli.ask import ask
    from carbon_platform.cli.present import console, print_json
    from carbon_platform.session import adopt as write
    from carbon_platform.session import owner
    from carbon_platform.settings import settings

    chosen = settings().environment
    before = asyncio.run(owner(settings()))
    if before != chosen.name and (before or chosen.confirm) and not yes:
        now = f"It is the cluster of {before!r} now." if before else "It carries no name now."
        ask(f"This makes {chosen.cluster} the cluster of environment {chosen.name!r}. {now}")
    asyncio.run(write(settings(), before))
    if json:
        print_json({"environment": chosen.name, "cluster": str(chosen.cluster), "before": before or None})
    else:
        console.print(f"{chosen.cluster} is the cluster of environment {chosen.name}")
