"""Everything a materialization is connected to, opened once per process and event loop and shared by all in it."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.component_reach import ComponentReach
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.identity import claim, identity, refuse_other
from carbon_platform.cluster.target import target
from carbon_platform.cluster.tunnel import Tunnels
from carbon_platform.cluster.watch import Mirrors
from carbon_platform.errors import PermissionDenied
from carbon_platform.records import Records
from carbon_platform.release.helm import Helm
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component

_FIRST_ANSWER_SECONDS = 3.0
"""A cluster that does not answer at the start is told at once; patience is for one that goes away in between."""


class Session:
    """A cluster, and what works on it."""

    def __init__(self, settings: Settings, api: Api, cluster_id: str, *, named: bool) -> None:
        self.settings = settings
        self.cluster_id = cluster_id
        self.named = named
        """True when the cluster carries the name of this environment, or can't be given it."""
        self.naming = asyncio.Lock()
        self.api = api
        self.mirrors = Mirrors(api)
        self.tunnels = Tunnels(api)
        self.helm = Helm(settings, api)
        self.records = Records(settings.state / "records.db", self.key)

    @property
    def key(self) -> str:
        """Under which everything that Carbon remembers of this cluster is kept."""
        return platform_key(self.cluster_id, self.settings)

    def reach(self, component: Component) -> ComponentReach:
        """What the component's checks and content may use."""
        return ComponentReach(self.api, self.tunnels, component.namespace, component.release_name, component.endpoints)


def platform_key(cluster_id: str, settings: Settings) -> str:
    """One platform: a cluster, and the environment it was deployed for."""
    return f"{cluster_id} {settings.environment.name}"


@contextlib.asynccontextmanager
async def open_session(settings: Settings) -> AsyncIterator[Session]:
    """A session with the cluster of the chosen environment.

    Raises Unreachable at once when it does not answer, and ConfigurationError when it is another environment's.
    """
    async with Api(target(settings), settings.api_seconds) as api:
        found = await identity(api, patience=_FIRST_ANSWER_SECONDS)
        refuse_other(found.owner, settings.environment.name, str(api.target))
        session = Session(settings, api, found.uid, named=bool(found.owner))
        try:
            yield session
        finally:
            await session.mirrors.close()
            await session.tunnels.close()


async def mark_environment(session: Session, tell: Callable[[str], None]) -> None:
    """Before the first write to a cluster, name it after the environment; where that is not allowed, tell it.

    Raises ConfigurationError when another environment's was first.
    """
    async with session.naming:
        if session.named:
            return
        name = session.settings.environment.name
        try:
            await claim(session.api, name)
        except (PermissionDenied, Rejected) as error:
            tell(f"the cluster can't be named {name!r}: {error.summary}; who may: carbon env adopt --env {name}")
        session.named = True


async def owner(settings: Settings) -> str:
    """The environment whose name the cluster carries; empty when none. Raises Unreachable at once."""
    async with Api(target(settings), settings.api_seconds) as api:
        return (await identity(api, patience=_FIRST_ANSWER_SECONDS)).owner


async def adopt(settings: Settings, before: str) -> None:
    """Make the cluster that of the chosen environment, in place of `before`; what is remembered of it stays known.

    Raises ConfigurationError when it carries yet another name, PermissionDenied when that may not be written.
    """
    async with Api(target(settings), settings.api_seconds) as api:
        found = await identity(api, patience=_FIRST_ANSWER_SECONDS)
        await claim(api, settings.environment.name, over=before)
    if before:
        key = platform_key(found.uid, settings)
        Records(settings.state / "records.db", key).take_over(f"{found.uid} {before}")


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
