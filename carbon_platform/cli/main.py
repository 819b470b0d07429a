"""The command line: global options, and one module per command, imported when it is called."""

import os
from typing import Annotated

import typer

from carbon_platform.cli import cluster, completion, ending, environments
from carbon_platform.cli.arguments import Group

app = typer.Typer(
    cls=Group,
    name="carbon",
    help="Deploy, verify and heal a data platform on Kubernetes.",
    epilog="Examples: carbon cluster up · carbon up · carbon status · carbon --env production plan",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cluster.app, name="cluster")
app.add_typer(environments.app, name="env")

Components = Annotated[
    list[str] | None,
    typer.Argument(autocompletion=completion.more_components, help="Components by name; all when none is named."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Gone = Annotated[str | None, typer.Option(hidden=True)]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"carbon {version('carbon-platform')}")
        raise typer.Exit


@app.callback()
def options(
    env: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.environments,
            help=r"Environment by name; local when not given. \[env: CARBON_ENV]",
        ),
    ] = None,
    profile: Gone = None,
    context: Gone = None,
    kubeconfig: Gone = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that hold for every command, and may stand before it or after it."""
    # Passed on to the processes that Carbon starts.
    from carbon_platform.settings import gone

    for name, value in (("profile", profile), ("context", context), ("kubeconfig", kubeconfig)):
        if value is not None:
            raise gone(name, f"--{name}")
    if env is not None:
        os.environ["CARBON_ENV"] = env


@app.command(epilog="Examples: carbon up · carbon up trino · carbon up postgres --redeploy")
def up(
    components: Components = None,
    redeploy: Annotated[
        bool, typer.Option(help="Deploy and restart the named components even if nothing has changed.")
    ] = False,
    confirm: Annotated[
        list[str] | None,
        typer.Option(help="A word that an error asked for, because data is at stake; repeat for more."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deploy and verify components and what they need; nothing changes when all is as declared."""
    from carbon_platform.cli.up import run

    raise typer.Exit(run(components or [], redeploy=redeploy, confirm=confirm or [], yes=yes, json=json))


@app.command(epilog="Examples: carbon plan · carbon plan kafka --json")
def plan(components: Components = None, json: Json = False) -> None:
    """Show what `carbon up` would change, field by field and line by line. Changes nothing."""
    from carbon_platform.cli.plan import run

    raise typer.Exit(run(components or [], json=json))


@app.command(epilog="Examples: carbon drift · carbon drift trino --json")
def drift(components: Components = None, json: Json = False) -> None:
    """Show what somebody changed since it was deployed: which field, who and when. Exit code 1 when there is any."""
    from carbon_platform.cli.drift import run

    raise typer.Exit(run(components or [], json=json))


@app.command(epilog="Examples: carbon status · carbon status --json | jq '.components[].state'")
def status(components: Components = None, json: Json = False) -> None:
    """Show the state of every component, and why it is not verified. Exit code 1 when one is not as it should be."""
    from carbon_platform.cli.status import run

    raise typer.Exit(run(components or [], json=json))


@app.command(epilog="Examples: carbon verify · carbon verify kafka trino")
def verify(components: Components = None, json: Json = False) -> None:
    """Run the functional checks now. Exit code 1 when one fails."""
    from carbon_platform.cli.verify import run

    raise typer.Exit(run(components or [], json=json))


@app.command(epilog="Examples: carbon check trino · carbon check datahub datahub_ingest --watch")
def check(
    component: Annotated[str, typer.Argument(autocompletion=completion.components, help="A component by name.")],
    checks: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=completion.checks, help="Checks of it by name; all when none is named."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever the definition is written.")] = False,
    json: Json = False,
) -> None:
    """Run checks of a component while they are written: each step, its answer and its verdict. Records nothing."""
    from carbon_platform.cli.check import run

    raise typer.Exit(run(component, checks or [], watch=watch, json=json))


@app.command(epilog="Examples: carbon doctor · carbon doctor trino --json")
def doctor(components: Components = None, json: Json = False) -> None:
    """Show why something is broken, root causes first, each with evidence and a fix. Changes nothing."""
    from carbon_platform.cli.doctor import run

    raise typer.Exit(run(components or [], json=json))


@app.command(epilog="Examples: carbon incidents · carbon incidents --open · carbon incidents redis --json")
def incidents(
    components: Components = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    json: Json = False,
) -> None:
    """Show what broke, what Carbon did about it by itself, and how it ended. Exit code 1 while one is open."""
    from carbon_platform.cli.incidents import run

    raise typer.Exit(run(components or [], only_open=only_open, json=json))


@app.command("open", epilog="Examples: carbon open trino · carbon open postgres --port 15432")
def open_(
    component: Annotated[str, typer.Argument(autocompletion=completion.components, help="A component by name.")],
    endpoint: Annotated[str | None, typer.Option(help="Which of its endpoints; the first by default.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; a free one by default.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = False,
    json: Json = False,
) -> None:
    """Forward a port of this machine to a component until Ctrl-C, and print its address."""
    from carbon_platform.cli.open import run

    raise typer.Exit(run(component, endpoint=endpoint, port=port, browser=browser, json=json))


@app.command(epilog="Examples: carbon down trino · carbon down --yes · carbon down redis --delete-data redis")
def down(
    components: Components = None,
    delete_data: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=completion.components,
            help="Also delete the volumes of this component, with the data in them; repeat for more.",
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Uninstall components, and first what needs them. Volumes and generated Secrets stay."""
    from carbon_platform.cli.down import run

    raise typer.Exit(run(components or [], delete_data=delete_data or [], yes=yes, json=json))


@app.command(epilog="Examples: carbon ui · carbon ui --port 3001")
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 3000,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Run Dagster's web UI, with healing and schedules, on this machine (127.0.0.1) until Ctrl-C."""
    from carbon_platform.cli.ui import run

    raise typer.Exit(run(port, yes=yes, json=json))


def main() -> None:
    """Entry point; ends as `ending.run` says."""
    ending.run(app)


if __name__ == "__main__":
    main()
