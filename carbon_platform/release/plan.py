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
from carbon_platform.cluster.shape import readable
from carbon_platform.errors import Conflict, PermissionDenied
from carbon_platform.health.deletion import being_deleted
from carbon_platform.health.status import status
from carbon_platform.release.desired import Desired, Rendered
from carbon_platform.release.difference import FieldChange, difference, mark_drawn
from carbon_platform.release.history import Revision
from carbon_platform.release.managed_fields import HELM_MANAGER, Path, autoscaled, owner, owners
from carbon_platform.release.prepare import namespaces
from carbon_platform.release.removal import without_additions
from carbon_platform.release.untouched import untouched
from carbon_platform.release.vanished import cleaned_away, vanishes
from carbon_platform.spec.platform import Component
from carbon_platform.spec.rules import NO_RULES, Rules

_AT_ONCE = 16
BY_HELM = "app.kubernetes.io/managed-by=Helm"
"""The label that Helm puts on what it applies."""
MADE_ANEW = frozenset({"StatefulSet.apps", "Deployment.apps", "DaemonSet.apps", "Job.batch"})
"""Kinds that are deleted and created again where they can't be changed in place."""
_STAND_IN_NAMESPACE = "default"
"""Where the API server is asked about objects whose own namespace is not there yet."""
_NO_KIND = "its kind is gone"
_LOOKS = 10
"""At an object that somebody else changes while it is looked at: a controller during a rollout, above all."""


class Action(enum.StrEnum):
    """What happens to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REFUSED = "refused"
    """The API server refuses the change in place: an immutable field."""
    INVALID = "invalid"
    """The API server refuses it, and would refuse it as a new object, too."""
    OWNED = "owned"
    """It is there and is somebody else's, who would undo what is applied."""
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
    rendered: Rendered | None = None
    """The new render that this is about; None when it is about what that revision applied."""
    unready: tuple[str, ...] = ()
    """What is live as desired but does not work yet, or any more; each with what is awaited."""
    meaningless: tuple[str, ...] = ()
    """Rules of the definition that mean none of the objects."""

    @property
    def installed(self) -> bool:
        """True when Helm has a finished, good revision."""
        return self.revision is not None and self.revision.status == "deployed"

    @property
    def empty(self) -> bool:
        """True when there is nothing to apply. What Helm has of it must be as desired, too: drift is told from that."""
        return self.installed and not self.changes and self.rendered is None


@dataclasses.dataclass(frozen=True)
class Unmade:
    """How an object that is not there is looked at."""

    asks: bool = True
    """Whether the API server is asked if it would take the object."""
    absent: frozenset[str] = frozenset()
    """Namespaces that are not there: so is nothing in them."""


_UNMADE = Unmade()


async def plan(component: Component, desired: Desired, api: Api, *, asks: bool = True) -> Plan:
    """Compare desired with live. Reads only.

    Without `asks` nothing is said of whether the API server would take what is new: for who only wants to know
    whether there is something to do.
    """
    everything = {ObjectName.of(obj).namespace for obj in desired.everything} - {""}
    absent = await _absent(everything, api) if desired.revision is None else frozenset()
    changes, unready = await compare_all(component, desired, api, unmade=Unmade(asks, absent))
    changes = await _without_namespace(component, desired, changes, absent, api)
    changes = _without_kind(desired, changes)
    revision = desired.revision
    removed = await _removed(revision, desired.everything, api) if revision and desired.rendered else []
    if desired.rendered is None:
        changes = [change for change in changes if not _gone_as_declared(change)]
    elif revision and not removed and _only_cleaned_away(changes, revision):
        changes = []
    meaningless = tuple(component.rules.meaningless(desired.everything))
    return Plan(component.key, component.digest, (*changes, *removed), revision, desired.rendered, unready, meaningless)


def no_namespace(name: ObjectName) -> str:
    """The reason why an object is deferred whose namespace nobody makes."""
    return f"its namespace {name.namespace} does not exist"


def no_kind(name: ObjectName) -> str:
    """The reason why an object is deferred whose kind nobody brings."""
    return f"the cluster has no kind {name.kind} of {name.api_version}, and the release brings none"


def _without_kind(desired: Desired, changes: Sequence[Change]) -> list[Change]:
    """The changes; what is deferred for a kind that the release does not bring says so."""
    kinds = [readable(obj)["spec"] for obj in desired.everything if obj["kind"] == "CustomResourceDefinition"]
    brought = {(str(spec.get("group")), str((spec.get("names") or {}).get("kind"))) for spec in kinds}

    def told(change: Change) -> Change:
        name = change.object
        waits = change.action is Action.DEFERRED and change.reason != no_namespace(name)
        if not waits or (name.api_version.rpartition("/")[0], name.kind) in brought:
            return change
        return dataclasses.replace(change, reason=no_kind(name))

    return [told(change) for change in changes]


async def _without_namespace(
    component: Component, desired: Desired, changes: Sequence[Change], absent: frozenset[str], api: Api
) -> list[Change]:
    """The changes; what would be made in a namespace that is not there, and that nothing here makes, is deferred."""
    beside = desired.rendered.hooks if desired.rendered else ()
    coming = {obj["metadata"].get("name") for obj in (*desired.everything, *beside) if obj["kind"] == "Namespace"}
    coming |= {"", *namespaces(component)}
    made_in = {change.object.namespace for change in changes if change.action is Action.CREATE} - coming
    nowhere = made_in & absent if desired.revision is None else await _absent(made_in, api)
    return [
        dataclasses.replace(change, action=Action.DEFERRED, reason=no_namespace(change.object))
        if change.action is Action.CREATE and change.object.namespace in nowhere
        else change
        for change in changes
    ]


async def _absent(names: Iterable[str], api: Api) -> frozenset[str]:
    """Those of the namespaces that are not there. One that may not be read counts as there."""

    async def missing(name: str) -> bool:
        with contextlib.suppress(PermissionDenied):
            return await api.get(ObjectName("v1", "Namespace", "", name)) is None
        return False

    known = list(names)
    found = await asyncio.gather(*map(missing, known))
    return frozenset(name for name, gone in zip(known, found, strict=True) if gone)


def _gone_as_declared(change: Change) -> bool:
    """True for a Job that ran and vanished: nothing but a new revision makes it again."""
    return change.action is Action.CREATE and change.desired is not None and vanishes(change.desired)


def _only_cleaned_away(changes: Sequence[Change], revision: Revision) -> bool:
    """True when all there is to make are Jobs that ran and vanished; with anything else Helm makes them again too."""
    made = [change.desired for change in changes if change.action is Action.CREATE and change.desired]
    if revision.status != "deployed" or len(made) < len(changes) or not all(map(vanishes, made)):
        return False
    return all(cleaned_away(obj, revision.applied) for obj in made)


Reader = Callable[[ObjectName], Awaitable[Object | None]]
"""How a live object is read: None when there is no such object."""


async def compare_all(
    component: Component, desired: Desired, api: Api, read: Reader | None = None, unmade: Unmade = _UNMADE
) -> tuple[list[Change], tuple[str, ...]]:
    """What making live as desired would change, and what is as desired but not ready, with what is awaited."""
    limit, rules = asyncio.Semaphore(_AT_ONCE), component.rules
    drawn = desired.rendered.drawn if desired.rendered else {}
    # Helm asks whose an object is only where the revision before did not have it.
    had = {ObjectName.of(obj) for obj in desired.revision.applied} if desired.revision and desired.rendered else None

    async def one(obj: Object) -> Change | str | None:
        async with limit:
            found = await compare(obj, api, rules, read, unmade)
        if isinstance(found, Change):
            found = dataclasses.replace(found, fields=mark_drawn(found.fields, drawn.get(ObjectName.of(obj), ())))
            if (
                found.live
                and desired.rendered
                and obj not in desired.first
                and (not had or ObjectName.of(obj) not in had)
            ):
                found = _owned(found, owned_by(found.live, obj, new=True))
        return found

    found = await asyncio.gather(*(one(obj) for obj in desired.everything))
    return [each for each in found if isinstance(each, Change)], tuple(each for each in found if isinstance(each, str))


async def compare(
    obj: Object, api: Api, rules: Rules = NO_RULES, read: Reader | None = None, unmade: Unmade = _UNMADE
) -> Change | str | None:
    """The change that making one object as desired would be, or why an unchanged one is not ready, or None.

    What `rules` leave to others is welcome. `read` is how the object is read the first time.
    """
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Conflict),
        wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
        stop=tenacity.stop_after_attempt(_LOOKS),
        reraise=True,
    ):
        with attempt:
            first = attempt.retry_state.attempt_number == 1
            found = await _compare(obj, api, rules, read if read and first else api.get, unmade)
    return found


async def _compare(obj: Object, api: Api, rules: Rules, read: Reader, unmade: Unmade) -> Change | str | None:
    name = ObjectName.of(obj)
    try:
        live = None if name.namespace in unmade.absent else await read(name)
        if live is None:
            return Change(*(await _new(obj, api, unmade)), desired=obj)
        if going := being_deleted(live):
            return Change(Action.CREATE, name, (), going.why, (), live, obj)
        if whose := owned_by(live, obj):
            return _owned(Change(Action.OWNED, name, live=live, desired=obj), whose)
        if untouched(live, obj):
            return _unready(name, live, rules)
        wanted = await api.apply(obj, manager=HELM_MANAGER, dry_run=True)
    except MissingKind as error:
        return Change(Action.DEFERRED, name, reason=error.cause, desired=obj)
    except Rejected as error:
        refused = await _refused_anew(obj, api) if error.immutable else error.cause
        return Change(Action.INVALID if refused else Action.REFUSED, name, (), refused or error.cause, (), live, obj)
    removed, wanted = await without_additions(wanted, live, rules, api)
    fields = _unwelcome(difference(live, wanted, rules), live, rules.managers)
    if fields and wanted["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
        # What somebody wrote between the two looks would be told as a difference.
        raise Conflict(f"{name} was changed while it was looked at", "somebody keeps writing to it", "run it again")
    if fields:
        return Change(Action.UPDATE, name, fields, removed=removed, live=live, desired=obj)
    return _unready(name, live, rules)


async def _new(obj: Object, api: Api, unmade: Unmade) -> tuple[Action, ObjectName, tuple[FieldChange, ...], str]:
    """What making it would be, and why it can't be made; asked of the API server before anything is."""
    name = ObjectName.of(obj)
    if not unmade.asks:
        return Action.CREATE, name, (), ""
    if name.namespace in unmade.absent:
        return await _in_another_namespace(obj, api)
    try:
        await api.apply(obj, manager=HELM_MANAGER, dry_run=True)
    except PermissionDenied:
        return Action.CREATE, name, (), ""  # preflight tells everything that is not allowed
    except Rejected as error:
        if error.code != 404:
            return Action.INVALID, name, (), error.cause
        return await _in_another_namespace(obj, api) if name.namespace else (Action.DEFERRED, name, (), _NO_KIND)
    return Action.CREATE, name, (), ""


async def _in_another_namespace(obj: Object, api: Api) -> tuple[Action, ObjectName, tuple[FieldChange, ...], str]:
    """Its own is not there yet. What another namespace's quota or policy says is no finding, what is invalid is."""
    metadata = obj["metadata"] | {"namespace": _STAND_IN_NAMESPACE, "name": f"carbon-{uuid.uuid4().hex[:16]}"}
    try:
        await api.apply({**obj, "metadata": metadata}, manager=HELM_MANAGER, dry_run=True)
    except Rejected as error:
        if error.code == 404:
            return Action.DEFERRED, ObjectName.of(obj), (), _NO_KIND
        if error.code != 403:
            told = error.cause.replace(metadata["name"], obj["metadata"]["name"])
            return Action.INVALID, ObjectName.of(obj), (), told
    except (Conflict, PermissionDenied):
        pass
    return Action.CREATE, ObjectName.of(obj), (), ""


_ARGO = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_FLUX = (("kustomize.toolkit.fluxcd.io/name", "Kustomization"), ("helm.toolkit.fluxcd.io/name", "HelmRelease"))


def _owned(change: Change, whose: str) -> Change:
    """The change that can't be when somebody has the object: two programs would undo each other's work for ever."""
    reason = f"it is there already, and belongs to {whose}"
    return dataclasses.replace(change, action=Action.OWNED, reason=reason, fields=()) if whose else change


def owned_by(live: Object, desired: Object, *, new: bool = False) -> str:
    """Who else has a live object; empty when nobody has."""
    labels, notes = (live["metadata"].get(key) or {} for key in ("labels", "annotations"))
    argo = next((value for key in _ARGO if (value := notes.get(key) or labels.get(key))), None)
    if argo:
        return f"Argo CD application {argo.partition(':')[0]}"
    flux = next((f"Flux {kind} {labels[key]}" for key, kind in _FLUX if key in labels), "")
    if flux:
        return flux
    ours = desired["metadata"].get("annotations") or {}
    keys = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name")
    if keys[0] not in ours:
        return ""
    theirs = "/".join(str(notes[key]) for key in keys if key in notes)
    if theirs and theirs != "/".join(ours[key] for key in keys):
        return f"Helm release {theirs}"
    return "no Helm release: somebody made it by hand or with another tool" if new and not theirs else ""


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


def _unready(name: ObjectName, live: Object, rules: Rules) -> str | None:
    now = status(live, rules)
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
