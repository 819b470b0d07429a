"""Everything a materialization is connected to, opened once per process and event loop and shared by all in it."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.component_reach import ComponentReach
from carbon_platform.cluster.target import target
from carbon_platform.cluster.tunnel import Tunnels
from carbon_platform.cluster.watch import Mirrors
from carbon_platform.records import Records
from carbon_platform.release.helm import Helm
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component

_FIRST_ANSWER_SECONDS = 3.0
"""A cluster that does not answer at the start is told at once; patience is for one that goes away in between."""


class Session:
    """A cluster, and what works on it."""

    def __init__(self, settings: Settings, api: Api, cluster_id: str) -> None:
        self.settings = settings
        self.cluster_id = cluster_id
        self.api = api
        self.mirrors = Mirrors(api)
        self.tunnels = Tunnels(api)
        self.helm = Helm(settings, api)
        self.records = Records(settings.home / "records.db", self.key)

    @property
    def key(self) -> str:
        """Under which everything that Carbon remembers of this cluster is kept."""
        return platform_key(self.cluster_id, self.settings)

    def reach(self, component: Component) -> ComponentReach:
        """What the component's checks and content may use."""
        return ComponentReach(self.api, self.tunnels, component.namespace, component.release_name, component.endpoints)


def platform_key(cluster_id: str, settings: Settings) -> str:
    """One platform: a cluster, and the profile it was deployed with."""
    return f"{cluster_id} {settings.profile}"


@contextlib.asynccontextmanager
async def open_session(settings: Settings) -> AsyncIterator[Session]:
    """A session with the cluster the settings mean. Raises Unreachable at once when it does not answer."""
    async with Api(target(settings), settings.api_seconds) as api:
        session = Session(settings, api, await _cluster_id(api))
        try:
            yield session
        finally:
            await session.mirrors.close()
            await session.tunnels.close()


async def _cluster_id(api: Api) -> str:
    """Tells clusters apart, also ones that had the same name: the UID of the namespace none can do without."""
    path = "/api/v1/namespaces/kube-system"
    found = await api.request("GET", path, what="get Namespace kube-system", patience=_FIRST_ANSWER_SECONDS)
    return str(found["metadata"]["uid"])


class _Shared:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.session: Session | None = None
        self.stack = contextlib.AsyncExitStack()


_SHARED: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = weakref.WeakKeyDictionary()


@contextlib.asynccontextmanager
async def shared_session(settings: Settings) -> AsyncIterator[Session]:
    """The session of this event loop; opened by its first user, closed by its last."""
    shared = _SHARED.setdefault(asyncio.get_running_loop(), _Shared())
    async with shared.lock:
        if shared.session is None:
            shared.session = await shared.stack.enter_async_context(open_session(settings))
        shared.users += 1
    session = shared.session
    try:
        yield session
    finally:
        async with shared.lock:
            shared.users -= 1
            if shared.users == 0:
                shared.session = None
                await shared.stack.aclose()
