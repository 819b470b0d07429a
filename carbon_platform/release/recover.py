"""A release that a dead writer left in the middle: bring it to where Helm can go on."""

import asyncio
import dataclasses
from collections.abc import Callable

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.errors import CarbonError
from carbon_platform.release.history import Revision, latest, mark_failed
from carbon_platform.release.lease import Held, left_behind
from carbon_platform.spec.platform import Release

_LEFT_BEHIND_SECONDS = 60.0


class _StillThere(Exception):
    pass


async def recover(api: Api, release: Release, held: Held, log: Callable[[str], None]) -> Revision | None:
    """Make the release ready for the next upgrade; its newest revision then, or None when it is not installed.

    Only its writer may call this: whoever holds the lease. A Helm process that the dead writer left behind is
    waited for, as it will finish the revision by itself. A revision still pending then is marked failed: Helm goes
    on from there, and nothing in the cluster changes.
    """
    if held.taken_from is not None:
        await _await_left_behind(release, log)
        log(f"took over from {held.taken_from}, which is no more")
    revision = await latest(api, release)
    if revision is None or not revision.pending:
        return revision
    why = f"its writer died during {revision.status}"
    await mark_failed(api, revision, why)
    log(f"revision {revision.number} was left {revision.status}; marked failed")
    return dataclasses.replace(revision, status="failed")


async def _await_left_behind(release: Release, log: Callable[[str], None]) -> None:
    """Also what a writer before the last one left: it may have died while it waited for the same."""
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(_StillThere),
        wait=tenacity.wait_fixed(0.1),
        stop=tenacity.stop_after_delay(_LEFT_BEHIND_SECONDS),
        reraise=True,
    )
    told = False
    try:
        async for attempt in retrying:
            with attempt:
                left = await asyncio.to_thread(left_behind, release.namespace, release.name)
                if left and not told:
                    told = True
                    log(f"waits for processes {left}, which a dead writer left at work on it")
                if left:
                    raise _StillThere(left)  # noqa: TRY301 - this is how tenacity is told
    except _StillThere as error:
        raise CarbonError(
            "a Helm process of a run that was killed is still running",
            f"processes {error.args[0]} have not ended within {_LEFT_BEHIND_SECONDS:g} s",
            "end them, then run it again",
        ) from error
