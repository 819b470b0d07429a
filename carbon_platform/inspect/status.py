"""What is seen of every component in the cluster: state, pods, checks. Reads only, a few calls for all of them."""

import asyncio
import contextlib
import dataclasses
import datetime
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.listing import Present
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.errors import Unreachable, foreseen
from carbon_platform.health.beside import beside
from carbon_platform.health.diagnosis import owned, owned_pods
from carbon_platform.health.events import NEVER, moment
from carbon_platform.health.ownership import with_owned
from carbon_platform.health.state import Sight, State, blocked_need, state
from carbon_platform.health.status import may_own_pods
from carbon_platform.health.steadiness import unsteady
from carbon_platform.records import CheckResult, Record
from carbon_platform.release.desired import stored
from carbon_platform.release.history import Revision, newest_of_each
from carbon_platform.release.lease import live_holders
from carbon_platform.release.plan import BY_HELM
from carbon_platform.release.vanished import vanishes
from carbon_platform.session import Session, open_session
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component, Platform

_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class ComponentStatus:
    """One component as `carbon status` tells it."""

    component: Component
    state: State
    reason: str
    revision: int | None
    running: int
    total: int
    checks: tuple[CheckResult, ...]


_KINDS = (("v1", "Pod"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"))


async def statuses(platform: Platform, keys: Sequence[str], settings: Settings) -> tuple[list[ComponentStatus], str]:
    """Every component of `keys`, and why the cluster can't be reached (empty when it can)."""
    try:
        async with open_session(settings) as session:
            return await statuses_in(session, platform, keys), ""
    except Unreachable as error:
        return unreachable(platform, keys), str(error)


def unreachable(platform: Platform, keys: Sequence[str]) -> list[ComponentStatus]:
    """What is told of every component of `keys` while the cluster can't be reached."""
    unknown, reason = state(None, Record(""), "", "", {})
    return [ComponentStatus(platform.components[key], unknown, reason, None, 0, 0, ()) for key in keys]


async def statuses_in(session: Session, platform: Platform, keys: Sequence[str]) -> list[ComponentStatus]:
    """Every component of `keys`, in their order. Raises Unreachable."""
    records = session.records.all()
    namespaces = {platform.components[key].namespace for key in keys}
    live, revisions, writers = await asyncio.gather(
        asyncio.gather(*(session.api.list(*kind) for kind in _KINDS)),
        _in_each(namespaces, newest_of_each, session.api),
        _in_each(namespaces, live_holders, session.api),
    )
    mine = [o for objects in live for o in objects if o["metadata"].get("namespace") in namespaces]
    pods = [o for o in mine if group_kind(o) == "Pod"]
    present = Present(session.api)

    async def one(component: Component) -> ComponentStatus:
        name = (component.namespace, component.release_name)
        revision = revisions.get(name) if component.release else None
        try:
            custom = await _custom_resources(revision, component, session.api) if revision else []
            gone = await _gone(revision, component, session, present) if revision else []
            between = await beside(custom, pods, component.namespace, session.api)
            waits_for = blocked_need(component.key, platform.needs, records)
            return _seen(component, revision, writers.get(name), [*mine, *custom], between, records, gone, waits_for)
        except Unreachable:
            raise
        except Exception as error:  # about one component: the others are told all the same
            why = foreseen(error, "it can't be looked at").told
            return ComponentStatus(component, State.UNKNOWN, why, None, 0, 0, ())

    return list(await asyncio.gather(*(one(platform.components[key]) for key in keys)))


async def _gone(revision: Revision, component: Component, session: Session, present: Present) -> list[ObjectName]:
    """What the revision applied and is there no more, or goes: what is gone is not verified, whoever watched it."""
    desired = await stored(component, revision, session.api, session.settings.cache)
    names = [ObjectName.of(obj) for obj in desired.objects if not vanishes(obj)]
    return await present.missing(names, BY_HELM)


async def _custom_resources(revision: Revision, component: Component, api: Api) -> list[Object]:
    """The live objects of the release that are of no usual kind."""

    async def one(name: ObjectName) -> Object | None:
        with contextlib.suppress(MissingKind):
            return await api.get(dataclasses.replace(name, namespace=name.namespace or component.namespace))
        return None

    names = [name for name in revision.objects() if is_custom(name.api_version, name.kind)]
    return [obj for obj in await asyncio.gather(*map(one, names)) if obj]


async def _in_each(
    namespaces: Iterable[str], read: Callable[[Api, str], Awaitable[Mapping[str, _Found]]], api: Api
) -> dict[tuple[str, str], _Found]:
    """What `read` finds of the releases of each namespace, by namespace and name."""
    names = list(namespaces)
    found = await asyncio.gather(*(read(api, namespace) for namespace in names))
    return {(where, name): one for where, there in zip(names, found, strict=True) for name, one in there.items()}


def _seen(
    component: Component,
    revision: Revision | None,
    writer: str | None,
    live: Sequence[Object],
    between: Sequence[Object],
    records: Mapping[str, Record],
    gone: Sequence[ObjectName],
    waits_for: str,
) -> ComponentStatus:
    record = records.get(component.key, Record(component.key))
    own = [o for o in live if component.release and _of_release(o, component)]
    owners = [o for o in own if may_own_pods(o)]
    live_pods = [o for o in live if group_kind(o) == "Pod"]
    pods = list({p["metadata"]["uid"]: p for o in owners for p in owned_pods(o, live_pods, between)}.values())
    states = [(o, with_owned(o, owned(o, live_pods, between), component.rules)) for o in owners]
    unready = [f"{o['kind']} {o['metadata']['name']}: {s.message}" for o, s in states if not s.ready]
    unready += unsteady(pods, moment(record.changed_at) or NEVER, datetime.datetime.now(datetime.UTC))
    unready += [f"{name.kind} {name.name} is gone" for name in gone]
    if revision is not None and revision.pending:
        unready.append(f"revision {revision.number} is {revision.status}")
    sight = Sight(
        installed=revision is not None if component.release else bool(record.changed_at or record.verified_at),
        writer=writer,
        unready=tuple(unready),
        wanted_pods=not owners or any(readable(o)["spec"].get("replicas", 1) for o in owners),
    )
    needs = {need: records.get(need, Record(need)) for need in component.needs}
    now, reason = state(sight, record, component.digest, component.checks_digest, needs, waits_for)
    running = sum(_running(pod) for pod in pods)
    checks = record.checks if sight.installed else ()
    return ComponentStatus(component, now, reason, revision.number if revision else None, running, len(pods), checks)


def _of_release(obj: Object, component: Component) -> bool:
    annotations = readable(obj)["metadata"].get("annotations", {})
    return bool(
        component.release
        and annotations.get("meta.helm.sh/release-name") == component.release.name
        and annotations.get("meta.helm.sh/release-namespace") == component.release.namespace
    )


def _running(pod: Object) -> bool:
    statuses = readable(pod)["status"].get("containerStatuses") or []
    return bool(statuses) and all(s.get("ready") for s in statuses) and not pod["metadata"].get("deletionTimestamp")
