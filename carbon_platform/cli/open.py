"""`carbon open`."""

import asyncio
import contextlib

from carbon_platform.cli.present import console, errors, print_json_line
from carbon_platform.cli.taken import taken
from carbon_platform.cluster.locate import pod_behind
from carbon_platform.errors import ConfigurationError
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.component import EndpointSpec
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


def run(name: str, *, endpoint: str | None, port: int, browser: bool, json: bool) -> int:
    """Serves until interrupted, and tells where once it is ready."""
    with contextlib.suppress(KeyboardInterrupt):  # that is how a person ends it
        asyncio.run(_open(name, endpoint, port, browser, json))
    return 0


async def _open(name: str, wanted: str | None, port: int, browser: bool, json: bool) -> None:
    platform = load_platform(settings())
    component = platform.components[graph.select(platform.needs, [name])[0]]
    endpoint = _endpoint(platform, component.key, wanted)
    where = endpoint.namespace or component.namespace
    async with open_session(settings()) as session:
        api, service = session.api, (where, endpoint.service, endpoint.port)
        await pod_behind(api, *service)
        try:
            host, bound = await session.tunnels.listen(service, lambda: pod_behind(api, *service), port)
        except OSError as error:
            raise taken(port, error) from error
        url = f"{endpoint.scheme}://{host}:{bound}"
        if json:
            print_json_line({"component": component.key, "endpoint": endpoint.name, "url": url})
        (errors if json else console).print(f"{component.title} at {url} (Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(url)
        await asyncio.Event().wait()


def _endpoint(platform: Platform, key: str, wanted: str | None) -> EndpointSpec:
    """The one that is wanted, else the first. Raises ConfigurationError naming what there is instead."""
    endpoints = {endpoint.name: endpoint for endpoint in platform.components[key].endpoints}
    if not endpoints:
        others = [other for other in platform.order if platform.components[other].endpoints]
        needed = [other for other in others if other in graph.closure(platform.needs, [key])]
        raise ConfigurationError(
            f"{key} has no endpoints",
            f"{platform.components[key].file} declares none",
            f"open what it needs: {', '.join(needed)}"
            if needed
            else f"open one that has some: {', '.join(others) or 'no component has'}",
        )
    if wanted and wanted not in endpoints:
        raise ConfigurationError(
            f"{key} has no endpoint {wanted}", f"declared: {', '.join(endpoints)}", "name one of them"
        )
    return endpoints[wanted] if wanted else next(iter(endpoints.values()))
