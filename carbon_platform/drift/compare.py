"""Comparing components with what is live, all at once, each within its deadline."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from carbon_platform.cluster.listing import Listing
from carbon_platform.drift.drift import Drift, Verdict, of_content, of_release
from carbon_platform.errors import CarbonError, Unreachable, foreseen
from carbon_platform.health.state import State
from carbon_platform.inspect.status import statuses_in
from carbon_platform.records import Record
from carbon_platform.release.desired import stored
from carbon_platform.release.history import Revision, latest, newest
from carbon_platform.release.lease import live_holder
from carbon_platform.release.plan import BY_HELM, compare_all
from carbon_platform.session import Session, open_session
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component, Platform

_NEWEST = "owner=helm,status!=superseded"
_ANSWER_SECONDS = 3.0
"""For the API server to say that it is there, when a comparison took too long."""


async def drifts(platform: Platform, keys: Sequence[str], settings: Settings) -> list[Drift]:
    """Each of `keys` compared, in a session of its own. Never raises Unreachable: then all are unknown."""
    components = [platform.components[key] for key in keys]
    try:
        async with open_session(settings) as session:
            return await _with_blocked(await compare(components, session), platform, session)
    except Unreachable as error:
        return [_unknown(component, error) for component in components]


async def compare(components: Sequence[Component], session: Session) -> list[Drift]:
    """Every component compared with what is live; what went wrong with one is told of that one. Reads only."""
    records, live = session.records.all(), Listing(session.api)
    return list(await asyncio.gather(*(_compare(component, records, live, session) for component in components)))


async def _with_blocked(found: Sequence[Drift], platform: Platform, session: Session) -> list[Drift]:
    """The same, with those told that are blocked. Only what is not there, or failed for it, can be."""
    records = session.records.all()
    asked = [
        one.component.key
        for one in found
        if one.verdict is Verdict.ABSENT or records.get(one.component.key, Record("")).blocked
    ]
    seen = await statuses_in(session, platform, asked) if asked else []
    blocked = {one.component.key: one.reason for one in seen if one.state is State.BLOCKED}
    return [dataclasses.replace(one, blocked=blocked.get(one.component.key, "")) for one in found]


async def _compare(component: Component, records: Mapping[str, Record], live: Listing, session: Session) -> Drift:
    limit = session.settings.check_seconds
    try:
        async with asyncio.timeout(limit):
            if component.release:
                return await _release(component, records.get(component.key, Record(component.key)), live, session)
            return await _content(component, records.get(component.key, Record(component.key)), session)
    except Unreachable as error:
        return _unknown(component, error)
    except CarbonError as error:
        return _failed(component, error)
    except TimeoutError:
        try:
            await session.api.request("GET", "/readyz", what="see whether it answers", patience=_ANSWER_SECONDS)
        except CarbonError as error:
            return _unknown(component, error)
        return _failed(component, CarbonError("not compared in time", f"it took longer than {limit:g} s"))
    except Exception as error:  # one component that can't be compared must not keep the others from being told
        return _failed(component, foreseen(error, "the comparison crashed"))


def _unknown(component: Component, error: CarbonError) -> Drift:
    return Drift(component, Verdict.UNKNOWN, reason=error.summary, error=error)


def _failed(component: Component, error: CarbonError) -> Drift:
    return Drift(component, Verdict.FAILED, reason=error.summary, error=error)


async def _release(component: Component, record: Record, live: Listing, session: Session) -> Drift:
    """Against the newest revision, which is what was deployed: a definition that has changed since is no drift.

    A revision that somebody else made is.
    """
    release, api = component.release, session.api
    assert release is not None, "content is compared by its own type"
    secrets = await live.of("v1", "Secret", release.namespace, _NEWEST)
    revision = newest(s for s in secrets.values() if s["metadata"]["labels"].get("name") == release.name)
    if revision is None:
        return Drift(component, Verdict.ABSENT, reason="not installed")
    if revision.pending:
        return _deploying(component, f"revision {revision.number} is {revision.status}")
    desired = await stored(component, revision, api, session.settings.cache)
    changes, _ = await compare_all(component, desired, api, lambda name: live.get(name, BY_HELM))
    writer = await _writer(component, revision, session) if changes else ""
    if writer:
        return _deploying(component, writer)
    return of_release(component, changes, revision if revision.by_somebody_else(record.revision) else None)


def _deploying(component: Component, why: str) -> Drift:
    return Drift(component, Verdict.DEPLOYING, reason=why)


async def _writer(component: Component, seen: Revision, session: Session) -> str:
    """Who is changing the release in order, or has while it was looked at; empty when nobody."""
    assert component.release is not None, "only releases have revisions"
    now = await latest(session.api, component.release)
    if now is None or now.number != seen.number or now.pending:
        return f"revision {seen.number} was replaced meanwhile"
    holder = await live_holder(session.api, component.release.namespace, component.release.name)
    return f"{holder} is at work on it" if holder else ""


async def _content(component: Component, record: Record, session: Session) -> Drift:
    assert component.content is not None, "a component is a release or content"
    if not record.changed_at and not record.verified_at:
        return Drift(component, Verdict.ABSENT, reason="not installed")
    return of_content(component, await component.content.plan(session.reach(component)))
