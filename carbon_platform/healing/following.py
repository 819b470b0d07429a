"""One platform followed in one session: its revisions, live objects, edits and causes, until its definitions change."""

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Iterable

from carbon_platform.cluster.client import MissingKind
from carbon_platform.cluster.errors import RequestFailed
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.watch import Mirror
from carbon_platform.errors import CarbonError, Unreachable, foreseen
from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.edits import Edits
from carbon_platform.healing.explain import explain
from carbon_platform.healing.explanations import Explanations
from carbon_platform.healing.healers import HEALERS, Healers, release_key
from carbon_platform.healing.settling import Settling
from carbon_platform.healing.sources import files_below, stamp, taken_in_by
from carbon_platform.healing.symptoms import Sign, Symptom, of_release
from carbon_platform.healing.view import View, Write
from carbon_platform.health.nodes import controllers_behind, silent
from carbon_platform.health.status import may_own_pods, status
from carbon_platform.release.desired import Desired, stored
from carbon_platform.release.history import Revision, newest
from carbon_platform.release.lease import LEASE, holder_of, lease_name
from carbon_platform.release.managed_fields import writers
from carbon_platform.release.plan import BY_HELM
from carbon_platform.session import Session
from carbon_platform.settings import Settings
from carbon_platform.spec.load import definition_files, load_platform
from carbon_platform.spec.platform import Platform

_LOG = logging.getLogger(__name__)
_GATHER_SECONDS = 0.1
"""Changes come in bursts: so long after one, what came with it is looked at together."""
_LOOK_AGAIN_SECONDS = 2.0
"""While something is wrong: why it is may only show, or pass, with time."""

_REVISION = ("v1", "Secret")
_RELEASES = BY_HELM
_WRITERS = "app.kubernetes.io/managed-by=carbon"
_NODE = ("v1", "Node")
_ABSENT_SECONDS = 30.0
_MANY = 200
"""Names that a selector can hold."""
_IDLE_SECONDS = 5.0
"""Definitions are files: looked at this often, they need no watch of their own."""


class Following:
    """One platform in one session, followed until its definitions change.

    What is desired of a release is what its newest revision applied: nothing is rendered to watch it.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        publish: Callable[[View], None],
        settling: Settling,
        healers: Healers,
    ) -> None:
        self._settings, self._session, self._publish, self._settling = settings, session, publish, settling
        self._healers = healers
        self._mirrors: dict[tuple[str, str, str], Mirror] = {}
        self._absent: dict[tuple[str, str, str], float] = {}
        """Kinds that are not there, and when they are looked for again."""
        self._unserved: set[tuple[str, str]] = set()
        self._revisions: dict[str, Revision] = {}
        self._desired: dict[str, Desired] = {}
        self._edits = Edits(session.api, self._find)
        self._explanations = Explanations(self._why)
        self._writes: dict[ObjectName, tuple[str, tuple[Write, ...]]] = {}
        """What others wrote to each object, as of which version of it."""

    async def follow(self) -> None:
        """Return when the definitions have changed."""
        definitions = stamp(definition_files(self._settings))
        platform = load_platform(self._settings)
        sources = taken_in_by(platform)
        before = (definitions, stamp(files_below(sources)))
        wake, view = asyncio.Event(), View()
        async with contextlib.AsyncExitStack() as stack:
            releases = (*_REVISION, _revisions_of(platform))
            await self._open([releases, (*LEASE, _WRITERS), (*_NODE, "")], stack, wake)
            await self._take_in(platform, releases)
            stack.callback(asyncio.create_task(self._keep_up(platform), name="keep up the healer's lease").cancel)
            while (stamp(definition_files(self._settings)), stamp(files_below(sources))) == before:
                wake.clear()
                await self._take_in(platform, releases)
                await self._open(self._kinds(), stack, wake)
                await self._open([(*LEASE, HEALERS)], stack)
                view = await self._look(platform)
                self._publish(view)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_SECONDS if view.symptoms else _IDLE_SECONDS):
                        await wake.wait()
                    await asyncio.sleep(_GATHER_SECONDS)

    async def _take_in(self, platform: Platform, releases: tuple[str, str, str]) -> None:
        """What is desired now: anew for each release that has another revision than it had."""
        by_name: dict[tuple[str, str], list[Object]] = {}
        for secret in self._mirrors[releases].objects() if releases in self._mirrors else ():
            metadata = secret["metadata"]
            by_name.setdefault((metadata["namespace"], metadata["labels"].get("name", "")), []).append(secret)
        for component in platform.components.values():
            if component.release is None:
                continue
            found = newest(by_name.get((component.release.namespace, component.release.name), ()))
            known = self._revisions.get(component.key)
            if found is None:
                self._revisions.pop(component.key, None)
                self._desired.pop(component.key, None)
            elif known is None or known.secret is not found.secret:
                try:
                    made = await stored(component, found, self._session.api, self._settings.cache)
                except Unreachable:
                    raise
                except Exception as error:  # about one component: the others are watched all the same
                    why = foreseen(error, f"its revision {found.number} can't be read")
                    _LOG.warning("%s is not watched: %s", component.key, why)
                    self._desired.pop(component.key, None)
                else:
                    self._desired[component.key] = made
                self._revisions[component.key] = found

    def _kinds(self) -> set[tuple[str, str, str]]:
        """The kinds that releases declare."""
        objects = [obj for desired in self._desired.values() for obj in desired.everything]
        return {(obj["apiVersion"], obj["kind"], _labels_of(obj)) for obj in objects}

    async def _open(
        self,
        kinds: Iterable[tuple[str, str, str]],
        stack: contextlib.AsyncExitStack,
        wake: asyncio.Event | None = None,
    ) -> None:
        """A mirror of every kind that has none; what the cluster does not have is looked for again after a while."""
        now = asyncio.get_running_loop().time()
        for kind in sorted(set(kinds) - self._mirrors.keys()):
            if self._absent.get(kind, 0.0) > now:
                continue
            api_version, name, labels = kind
            try:
                mirror = await stack.enter_async_context(self._session.mirrors.of(api_version, name, None, labels))
            except MissingKind:
                self._absent[kind] = now + _ABSENT_SECONDS
                continue
            except RequestFailed as error:
                self._unknown(kind, error)
                continue
            self._unserved.discard(kind[:2])
            self._mirrors[kind] = mirror
            if wake:
                stack.callback(mirror.subscribe(wake.set))

    def _unknown(self, kind: tuple[str, str, str], error: CarbonError) -> None:
        """A kind that can't be served now: of its objects nothing is known, of all others everything."""
        _LOG.warning("%s of %s can't be watched, and is tried again: %s", kind[1], kind[0], error.told)
        self._absent[kind] = asyncio.get_running_loop().time() + _ABSENT_SECONDS
        self._unserved.add(kind[:2])

    def _known(self, desired: Desired) -> Desired:
        """Without the objects of which nothing is known."""
        if not self._unserved:
            return desired
        first, objects = (
            tuple(obj for obj in part if (obj["apiVersion"], obj["kind"]) not in self._unserved)
            for part in (desired.first, desired.objects)
        )
        return dataclasses.replace(desired, first=first, objects=objects)

    def _nodes(self) -> list[Object]:
        mirror = self._mirrors.get((*_NODE, ""))
        return list(mirror.objects()) if mirror else []

    def _find(self, name: ObjectName) -> Object | None:
        for labels in (_RELEASES, _WRITERS, ""):
            mirror = self._mirrors.get((name.api_version, name.kind, labels))
            found = mirror.get(name.namespace, name.name) if mirror else None
            if found is not None:
                return found
        return None

    async def _keep_up(self, platform: Platform) -> None:
        """Where something of it is deployed, others can see that this process heals it."""
        releases = [release_key(component) for component in platform.components.values()]

        def place() -> tuple[str, list[str]] | None:
            deployed = [platform.components[key].namespace for key in platform.order if key in self._revisions]
            return (deployed[0], releases) if deployed else None

        await self._healers.keep_up(self._session.api, place)

    def _healed_by_others(self, platform: Platform) -> dict[str, str]:
        """Who that is, by component."""
        mirror = self._mirrors.get((*LEASE, HEALERS))
        by_release = self._healers.others(mirror.objects()) if mirror else {}
        told = {key: by_release.get(release_key(component)) for key, component in platform.components.items()}
        return {key: who for key, who in told.items() if who}

    async def _look(self, platform: Platform) -> View:
        for kind, mirror in list(self._mirrors.items()):
            if isinstance(mirror.failure, RequestFailed):
                self._unknown(kind, mirror.failure)
                del self._mirrors[kind]
            elif mirror.failure:
                raise mirror.failure
        began = time.time()
        why = silent(self._nodes())
        others = self._healed_by_others(platform)
        left_to = ", ".join(sorted(set(others.values())))
        if why:
            return View(platform, self._session.cluster_id, why, left_to=left_to)
        busy = {key: f"{who}, which heals it," for key, who in others.items()}
        for key, component in platform.components.items():
            lease = self._find(lease_name(component.namespace, component.release_name))
            holder = holder_of(lease) if lease else None
            if holder:
                busy[key] = holder
        quiet = {key: desired for key, desired in self._desired.items() if key not in busy}
        rules = {key: platform.components[key].rules for key in quiet}
        await self._edits.update([(obj, rules[key]) for key, desired in quiet.items() for obj in desired.everything])
        known = {key: self._known(desired) for key, desired in self._desired.items()}
        stateful = {key: one.release is not None and one.release.stateful for key, one in platform.components.items()}
        found = {
            key: tuple(of_release(desired, self._find, self._edits.found, key, stateful=stateful[key]))
            for key, desired in known.items()
        }
        broken = [key for key, symptoms in found.items() if symptoms]
        # Of what somebody works on nothing is decided now, and what is decided afterwards rests on how it was left.
        self._explanations.forget_all_but([key for key in broken if key not in busy])
        told = await asyncio.gather(*(self._told(key, found[key], key in busy) for key in broken))
        self._settling.after(self._session.api.outage)
        revisions = {key: Deployed.of(revision) for key, revision in self._revisions.items()}
        symptoms = dict(zip(broken, told, strict=True))
        writes = {key: self._written(desired) for key, desired in known.items()}
        at, cluster = self._settling.at, self._session.cluster_id
        return View(platform, cluster, "", symptoms, busy, at, began, revisions, writes, left_to)

    def _written(self, desired: Desired) -> tuple[Write, ...]:
        """What others than Carbon, Helm and the cluster's controllers wrote to its objects."""
        found: list[Write] = []
        for name in map(ObjectName.of, desired.everything):
            live = self._find(name)
            if live is None:
                continue
            version = str(live["metadata"]["resourceVersion"])
            if name not in self._writes or self._writes[name][0] != version:
                theirs = writers(live, desired.rules)
                self._writes[name] = version, tuple(Write(str(name), who.manager, who.at) for who in theirs)
            found += self._writes[name][1]
        return tuple(found)

    async def _told(self, key: str, symptoms: tuple[Symptom, ...], busy: bool) -> tuple[Symptom, ...]:
        return symptoms if busy else await self._explanations.of(key, symptoms)

    async def _why(self, key: str, symptoms: tuple[Symptom, ...]) -> tuple[Symptom, ...]:
        desired = self._desired[key]
        unready = {symptom.object for symptom in symptoms if symptom.sign in {Sign.UNREADY, Sign.JOB_FAILED}}
        if not unready:
            return symptoms
        names = [ObjectName.of(obj) for obj in desired.objects if may_own_pods(obj)]
        objects = [live for name in names if (live := self._find(name)) and not status(live, desired.rules).ready]
        behind = controllers_behind(self._nodes(), datetime.datetime.now(datetime.UTC))
        return await explain(symptoms, objects, self._session.api, behind)


def _revisions_of(platform: Platform) -> str:
    """A selector for the revisions of the platform's releases."""
    names = sorted({one.release.name for one in platform.components.values() if one.release})
    selector = "owner=helm,status!=superseded"
    return f"{selector},name in ({','.join(names)})" if 0 < len(names) <= _MANY else selector


def _labels_of(obj: Object) -> str:
    """Whom of its kind to watch: Helm's; all, where Carbon applied it: that bears the mark of no release."""
    name, _, value = _RELEASES.partition("=")
    return _RELEASES if (obj["metadata"].get("labels") or {}).get(name) == value else ""
