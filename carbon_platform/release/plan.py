"""The plan: what applying a release would change, by server-side dry run. Drift is a plan nobody asked for."""

import asyncio
import dataclasses
import enum
from collections.abc import Sequence

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health.status import status
from carbon_platform.release.difference import FieldChange, difference
from carbon_platform.release.history import Revision, latest
from carbon_platform.release.render import Desired
from carbon_platform.spec.platform import Component

HELM_MANAGER = "helm"
"""The field manager Helm 4 applies as: a dry run must claim the same fields."""
_AT_ONCE = 16


class Action(enum.StrEnum):
    """What happens to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REFUSED = "refused"
    """The API server refuses the change in place: an immutable field, most often."""
    DEFERRED = "deferred"
    """Its kind or namespace does not exist yet."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What would happen to one object, and why."""

    action: Action
    object: ObjectName
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    live: Object | None = dataclasses.field(default=None, repr=False, compare=False)
    desired: Object | None = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What applying a component would change. Empty when live is as desired."""

    component: str
    digest: str
    changes: tuple[Change, ...]
    revision: Revision | None
    """The newest Helm revision, None when not installed."""
    unready: tuple[str, ...] = ()
    """What is live as desired but does not work yet, or any more; each with what is awaited."""

    @property
    def installed(self) -> bool:
        """True when Helm has a finished, good revision."""
        return self.revision is not None and self.revision.status == "deployed"

    @property
    def empty(self) -> bool:
        """True when there is nothing to apply."""
        return self.installed and not self.changes


async def plan(component: Component, desired: Desired, api: Api) -> Plan:
    """Compare desired with live. Reads only."""
    assert component.release is not None, "content is planned by its own type"
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(obj: Object) -> Change | str | None:
        async with limit:
            return await _change(obj, api)

    looking = asyncio.create_task(latest(api, component.release))
    found = await asyncio.gather(*(one(obj) for obj in (*desired.crds, *desired.objects)))
    revision = await looking
    changes = [change for change in found if isinstance(change, Change)]
    removed = await _removed(revision, (*desired.crds, *desired.objects), api) if revision else []
    unready = tuple(text for text in found if isinstance(text, str))
    return Plan(component.key, component.digest, (*changes, *removed), revision, unready)


async def _change(obj: Object, api: Api) -> Change | str | None:
    """The change, or why an unchanged object is not ready, or None."""
    name = ObjectName.of(obj)
    try:
        live = await api.get(name)
        if live is None:
            return Change(Action.CREATE, name, desired=obj)
        wanted = await api.apply(obj, manager=HELM_MANAGER, dry_run=True)
    except MissingKind as error:
        return Change(Action.DEFERRED, name, reason=error.cause, desired=obj)
    except Rejected as error:
        return Change(Action.REFUSED, name, reason=error.cause, live=live, desired=obj)
    fields = difference(live, wanted)
    if fields:
        return Change(Action.UPDATE, name, fields, live=live, desired=obj)
    now = status(live)
    return None if now.ready else f"{name.kind} {name.name}: {now.message}"


async def _removed(revision: Revision, desired: Sequence[Object], api: Api) -> list[Change]:
    """What the newest revision applied and the chart no longer makes."""
    wanted = {ObjectName.of(obj) for obj in desired}
    by_identity = {(n.kind, n.namespace, n.name) for n in wanted}
    namespace = revision.secret["metadata"]["namespace"]
    gone = []
    for obj, name in revision.manifest():
        try:
            namespaced = (await api.resource(name.api_version, name.kind)).namespaced
        except MissingKind:
            continue
        full = dataclasses.replace(name, namespace=(name.namespace or namespace) if namespaced else "")
        kept = "keep" in str((obj["metadata"].get("annotations") or {}).get("helm.sh/resource-policy", ""))
        if (full.kind, full.namespace, full.name) in by_identity or kept:
            continue
        live = await api.get(full)
        if live is not None:
            gone.append(Change(Action.DELETE, full, reason="the chart no longer makes it", live=live))
    return gone
