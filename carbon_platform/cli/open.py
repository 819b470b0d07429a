"""`carbon open`."""

import asyncio
import contextlib

from carbon_platform.cli.present import console
from carbon_platform.cluster.locate import pod_behind
from carbon_platform.errors import ConfigurationError
from carbon_platform.materialization.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform


def run(name: str, *, endpoint: str | None, port: int, browser: bool) -> int:
    """Serves until interrupted."""
    with contextlib.suppress(KeyboardInterrupt):  # that is how a person ends it
        asyncio.run(_open(name, endpoint, port, browser))
    return 0


async def _open(name: str, wanted: str | None, port: int, browser: bool) -> None:
    platform = load_platform(settings())
    component = platform.components[graph.select(platform.needs, [name])[0]]
    endpoints = {e.name: e for e in component.endpoints}
    endpoint = endpoints.get(wanted) if wanted else next(iter(endpoints.values()), None)
    if endpoint is None:
        there = ", ".join(endpoints) or "none"
        raise ConfigurationError(
            f"{component.key} has no endpoint {wanted or ''}", f"declared: {there}", "name one of them"
        )
    where = endpoint.namespace or component.namespace
    async with open_session(settings()) as session:
        api, service = session.api, (where, endpoint.service, endpoint.port)
        await pod_behind(api, *service)
        try:
            host, bound = await session.tunnels.listen(service, lambda: pod_behind(api, *service), port)
        except OSError as error:
            raise ConfigurationError(f"port {port} can't be used", str(error), "choose another with --port") from error
        url = f"{endpoint.scheme}://{host}:{bound}"
        console.print(f"{component.title} at {url} (Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(url)
        await asyncio.Event().wait()
