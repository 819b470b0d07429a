"""What a component's checks say, and not what the way to them does: it leads through the API server and the nodes."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from carbon_platform.checks.run import run_checks
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.watch import wait_until
from carbon_platform.errors import Unreachable
from carbon_platform.health.nodes import catching_up
from carbon_platform.records import CheckResult
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component

_Seen = TypeVar("_Seen")
_TIMES = 3
_LOOK_AGAIN_SECONDS = 2.0
"""That a node is back for long enough no event tells."""


async def functional_checks(component: Component, session: Session, settle: float) -> list[CheckResult]:
    """The result of every functional check, undisturbed. One that fails is tried again for `settle` seconds."""

    async def look() -> list[CheckResult]:
        return await run_checks(component.checks, session.reach(component), session.settings.check_seconds, settle)

    return await undisturbed(look, lambda results: results, component.key, session)


async def undisturbed(
    look: Callable[[], Awaitable[_Seen]], checks: Callable[[_Seen], Sequence[CheckResult]], of: str, session: Session
) -> _Seen:
    """What `look` sees, with these checks in it.

    A check that failed while the API server was away, or most nodes were silent, says nothing about the component:
    when they are back, it looks again. Raises Unreachable when they stay away for longer than the client's patience,
    or go away each time.
    """
    for _ in range(_TIMES):
        began = time.monotonic()
        seen = await look()
        if all(check.passed for check in checks(seen)):
            return seen
        if not (await session.api.was_away(began) or await _nodes_were_silent(began, session)):
            return seen
    raise Unreachable(
        f"{of} can't be checked: the API server or the nodes go away each time",
        f"they did {_TIMES} times",
        "see whether they are restarted again and again",
    )


async def _nodes_were_silent(began: float, session: Session) -> bool:
    """Whether most nodes were silent at some time after `began`; returns when they speak. Raises Unreachable."""
    if not _behind(await session.api.list("v1", "Node"), time.monotonic() - began):
        return False
    async with session.mirrors.of("v1", "Node", None) as nodes:
        try:
            async with asyncio.timeout(session.settings.api_seconds):
                await wait_until([nodes], lambda: not _behind(nodes.objects()), again=_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            why = _behind(nodes.objects())
            raise Unreachable("the nodes are silent", why, "start the nodes and their kubelets") from None
    return True


def _behind(nodes: Iterable[Object], since: float = 0.0) -> str:
    return catching_up(nodes, datetime.datetime.now(datetime.UTC), since)
