"""The plan: what applying a release would change, by server-side dry run. Drift is a plan nobody asked for."""

import asyncio
import contextlib
import dataclasses
import enum
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import tenacity

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.errors import Conflict
from carbon_platform.health.status import status
from carbon_platform.release.difference import FieldChange, difference
from carbon_platform.release.history import Revision, latest
from carbon_platform.release.managed_fields import HELM_MANAGER, Path, autoscaled, owner, owners
from carbon_platform.release.removal import without_additions
from carbon_platform.release.render import Desired
from carbon_platform.release.untouched import untouched
from carbon_platform.release.vanished import cleaned_away, vanishes
from carbon_platform.spec.platform import Component

_AT_ONCE = 16
MADE_ANEW = frozenset({"StatefulSet.apps", "Deployment.apps", "DaemonSet.apps", "Job.batch"})
"""Kinds that are deleted and created again where they can't be changed in place."""
_LOOKS = 10
"""At an object that somebody else changes while it is looked at: a controller during a rollout, above all."""


class Action(enum.StrEnum):
    """What happens to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REFUSED = "refused"
    """The API server refuses the change in place: an immutable field, most often."""
    INVALID = "invalid"
    """The API server would refuse it as a new object, too."""
    DEFERRED = "deferred"
    """Its kind or namespace does not exist yet."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What would happen to one object, and why."""

    action: Action
    object: ObjectName
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    removed: tuple[Path, ...] = ()
    """What somebody added: applying would leave it, so it is taken out afterwards. `fields` tells of it as well."""
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
    found, revision = await asyncio.gather(compare_all(component, desired, api), latest(api, component.release))
    removed = await _removed(revision, (*desired.crds, *desired.objects), api) if revision else []
    changes, unready = found
    if revision and not removed and _only_cleaned_away(changes, revision):
        changes = []
    return Plan(component.key, component.digest, (*changes, *removed), revision, unready)


def _only_cleaned_away(changes: Sequence[Change], revision: Revision) -> bool:
    """True when all there is to make are Jobs that ran and vanished; with anything else Helm makes them again too."""
    made = [change.desired for change in changes if change.action is Action.CREATE and change.desired]
    if revision.status != "deployed" or len(made) < len(changes) or not all(map(vanishes, made)):
        return False
    applied = revision.applied()
    return all(cleaned_away(obj, applied) for obj in made)


Reader = Callable[[ObjectName], Awaitable[Object | None]]
"""How a live object is read: None when there is no such object."""


async def compare_all(
    component: Component, desired: Desired, api: Api, read: Reader | None = None
) -> tuple[list[Change], tuple[str, ...]]:
    """What making live as desired would change, and what is as desired but not ready, with what is awaited."""
    limit, others = asyncio.Semaphore(_AT_ONCE), component.drift.managers

    async def one(obj: Object) -> Change | str | None:
        async with limit:
            return await compare(obj, api, others, read)

    found = await asyncio.gather(*(one(obj) for obj in (*desired.crds, *desired.objects)))
    return [each for each in found if isinstance(each, Change)], tuple(each for each in found if isinstance(each, str))


async def compare(
    obj: Object, api: Api, others: Collection[str] = (), read: Reader | None = None
) -> Change | str | None:
    """The change that making one object as desired would be, or why an unchanged one is not ready, or None.

    What field managers named in `others` write is welcome. `read` is how the object is read the first time.
    """
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Conflict),
        wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
        stop=tenacity.stop_after_attempt(_LOOKS),
        reraise=True,
    ):
        with attempt:
            first = attempt.retry_state.attempt_number == 1
            found = await _compare(obj, api, others, read if read and first else api.get)
    return found


async def _compare(obj: Object, api: Api, others: Collection[str], read: Reader) -> Change | str | None:
    name = ObjectName.of(obj)
    try:
        live = await read(name)
        if live is None:
            return Change(Action.CREATE, name, desired=obj)
        if untouched(live, obj):
            return _unready(name, live)
        wanted = await api.apply(obj, manager=HELM_MANAGER, dry_run=True)
    except MissingKind as error:
        return Change(Action.DEFERRED, name, reason=error.cause, desired=obj)
    except Rejected as error:
        refused = await _refused_anew(obj, api)
        return Change(Action.INVALID if refused else Action.REFUSED, name, (), refused or error.cause, (), live, obj)
    removed, wanted = await without_additions(wanted, live, others, api)
    fields = _unwelcome(difference(live, wanted), live, others)
    if fields and wanted["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
        # What somebody wrote between the two looks would be told as a difference.
        raise Conflict(f"{name} was changed while it was looked at", "somebody keeps writing to it", "run it again")
    if fields:
        return Change(Action.UPDATE, name, fields, removed=removed, live=live, desired=obj)
    return _unready(name, live)


async def _refused_anew(obj: Object, api: Api) -> str:
    """Why a workload could not be made anew either; empty when it could, or is never made anew."""
    if group_kind(obj) not in MADE_ANEW:
        return ""
    metadata = obj["metadata"] | {"name": f"{obj['metadata']['name'][:40]}-{uuid.uuid4().hex[:8]}"}
    try:
        await api.create({**obj, "metadata": metadata}, dry_run=True)
    except Rejected as error:
        return error.cause
    return ""


def _unwelcome(fields: tuple[FieldChange, ...], live: Object, others: Collection[str]) -> tuple[FieldChange, ...]:
    """Without what autoscalers chose, also where the chart names a number to begin with, and what others may write."""
    if autoscaled(live):
        fields = tuple(field for field in fields if field.steps != ("spec", "replicas"))
    if not fields or not others:
        return fields
    owned = owners(live)
    return tuple(field for field in fields if not ((who := owner(owned, field.steps)) and who.manager in others))


def _unready(name: ObjectName, live: Object) -> str | None:
    now = status(live)
    return None if now.ready else f"{name.kind} {name.name}: {now.message}"


def kept(obj: Object) -> bool:
    """True when Helm is told to leave it when it goes out of its release, or the release goes."""
    return "keep" in str((obj["metadata"].get("annotations") or {}).get("helm.sh/resource-policy", ""))


async def declared(revision: Revision, api: Api) -> list[tuple[Object, ObjectName]]:
    """What a revision applied, with the full names; without kinds that are no more."""
    namespace, found = revision.secret["metadata"]["namespace"], []
    for obj, name in revision.manifest():
        with contextlib.suppress(MissingKind):
            namespaced = (await api.resource(name.api_version, name.kind)).namespaced
            full = dataclasses.replace(name, namespace=(name.namespace or namespace) if namespaced else "")
            found.append((obj, full))
    return found


async def _removed(revision: Revision, desired: Sequence[Object], api: Api) -> list[Change]:
    """What the newest revision applied and the chart no longer makes."""
    wanted = {ObjectName.of(obj) for obj in desired}
    gone = []
    for obj, full in await declared(revision, api):
        if full in wanted or kept(obj):
            continue
        live = await api.get(full)
        if live is not None and not await _made_too(live, full, wanted, api):
            gone.append(Change(Action.DELETE, full, reason="the chart no longer makes it", live=live))
    return gone


async def _made_too(live: Object, name: ObjectName, wanted: Iterable[ObjectName], api: Api) -> bool:
    """True when the chart makes the same object by another of its API groups, as an Ingress once had two."""
    alike = [n for n in wanted if (n.kind, n.namespace, n.name) == (name.kind, name.namespace, name.name)]
    others = await asyncio.gather(*map(api.find, alike))
    return any(other is not None and other["metadata"]["uid"] == live["metadata"]["uid"] for other in others)
