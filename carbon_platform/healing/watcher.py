"""What is live of the platform, kept current by watches in a thread of its own, and what is wrong with it.

It lives as long as its process, not as long as one evaluation of a sensor: nothing is missed in between, and nothing
is listed again. After a lost connection, an expired watch or an API server that went away it goes on by itself.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import tenacity

from carbon_platform.cluster.client import MissingKind
from carbon_platform.cluster.errors import RequestFailed
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.watch import Mirror
from carbon_platform.errors import CarbonError, Unreachable
from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.explain import explain
from carbon_platform.healing.symptoms import Sign, Symptom, edits_of, of_release
from carbon_platform.health.nodes import controllers_behind, silent
from carbon_platform.health.status import may_own_pods, status
from carbon_platform.release.desired import Desired, stored
from carbon_platform.release.difference import FieldChange
from carbon_platform.release.history import Revision, newest
from carbon_platform.release.lease import holder_of, lease_name
from carbon_platform.release.plan import BY_HELM, compare
from carbon_platform.session import Session, open_session
from carbon_platform.settings import Settings
from carbon_platform.spec.load import definition_files, load_platform
from carbon_platform.spec.platform import Platform
from carbon_platform.spec.rules import Rules

_LOG = logging.getLogger(__name__)
_GATHER_SECONDS = 0.1
"""Changes come in bursts: so long after one, what came with it is looked at together."""
_LOOK_AGAIN_SECONDS = 2.0
"""While something is wrong: why it is may only show, or pass, with time."""
_LONGEST_PAUSE_SECONDS = 30.0
"""What stays wrong is asked about less and less often, down to this."""
_LONGEST_WATCH_PAUSE_SECONDS = 60.0
_AT_ONCE = 16
_ANSWER_SECONDS = 10.0
"""What can't be told of one object within so long does not keep back what is known of the others."""


@dataclasses.dataclass(frozen=True)
class View:
    """What was seen of the platform."""

    platform: Platform | None = None
    cluster_id: str = ""
    unreachable: str = "not looked at yet"
    """Why nothing is known now; empty when the rest holds."""
    symptoms: Mapping[str, tuple[Symptom, ...]] = dataclasses.field(default_factory=dict)
    """By component; releases only, and only what the cluster shows: checks are remembered elsewhere."""
    busy: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Who is at work, by component."""
    settled_at: str = ""
    """What checks said before may come of an API server outage alone: controllers are behind until then."""
    at: float = dataclasses.field(default=math.inf, compare=False)
    """When the look began that saw this, in seconds since the epoch."""
    revisions: Mapping[str, Deployed] | None = None
    """The newest revision of each release that Helm has one of; None when that is not known."""


@dataclasses.dataclass(frozen=True)
class _Explained:
    """What was wrong with a component, and why."""

    symptoms: tuple[Symptom, ...]
    told: tuple[Symptom, ...]
    """The same with causes."""
    due: float
    pause: float
    """Seconds until `due` when it was asked; the next pause is twice as long."""


@dataclasses.dataclass(frozen=True)
class _Unanswered:
    """A comparison that failed: the edit that may be there is looked for again."""

    due: float
    pause: float
    """Seconds until `due` when it failed; the next pause is twice as long."""


class Watcher:
    """Call `start` once; then `view` is what is known now, and `wait` returns when that may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._view = View()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._settling = _Settling()

    def start(self) -> None:
        """Watch from now on, in a thread that ends with the process."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="watcher", daemon=True)
            self._thread.start()

    def view(self) -> View:
        """What was seen last."""
        return self._view

    def wait(self, seconds: float) -> bool:
        """Return at once when the view has changed since the last call, or after so many seconds; whether it has."""
        changed = self._changed.wait(seconds)
        self._changed.clear()
        return changed

    def _publish(self, view: View) -> None:
        if view.unreachable and view.unreachable != self._view.unreachable:
            _LOG.warning("the platform can't be seen: %s", view.unreachable)
        elif not view.unreachable and self._view.unreachable not in {"", View.unreachable}:
            _LOG.warning("the platform is seen again")
        changed, self._view = view != self._view, view
        if changed:
            self._changed.set()

    async def _run(self) -> None:
        retrying = tenacity.AsyncRetrying(wait=tenacity.wait_random_exponential(multiplier=0.5, max=5))
        async for attempt in retrying:
            with attempt:
                try:
                    async with open_session(self._settings) as session:
                        while True:
                            retrying.statistics["attempt_number"] = 1
                            await _Following(self._settings, session, self._publish, self._settling).follow()
                except Exception as error:  # whatever it is: it is told, and the watch begins anew
                    if isinstance(error, Unreachable):
                        now = time.monotonic()
                        self._settling.after((now - _LONGEST_WATCH_PAUSE_SECONDS, now))
                    why = error.summary if isinstance(error, CarbonError) else f"{type(error).__name__}: {error}"
                    self._publish(dataclasses.replace(self._view, unreachable=why, symptoms={}, busy={}))
                    raise


class _Settling:
    """When the cluster has settled after an outage of its API server.

    Who watches tries again after a pause that doubles from 0.8 s to 30 s, jitter doubles that again (client-go's
    Reflector), and the last pause began before the server was back. So long a controller may not act.
    """

    def __init__(self) -> None:
        self._seen, self.at = -math.inf, ""
        """A time as records have it; empty when there was no outage."""

    def after(self, outage: tuple[float, float]) -> None:
        """It was seen from then to then (`time.monotonic`)."""
        since, last = outage
        if last > self._seen:
            self._seen = last
            pause = min(2 * (last - since), _LONGEST_WATCH_PAUSE_SECONDS)
            at = time.time() + pause - (time.monotonic() - last)
            self.at = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")


class _Following:
    """One platform in one session, followed until its definitions change.

    What is desired of a release is what its newest revision applied: nothing is rendered to watch it.
    """

    def __init__(
        self, settings: Settings, session: Session, publish: Callable[[View], None], settling: _Settling
    ) -> None:
        self._settings, self._session, self._publish, self._settling = settings, session, publish, settling
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._mirrors: dict[tuple[str, str, str], Mirror] = {}
        self._absent: dict[tuple[str, str, str], float] = {}
        """Kinds that are not there, and when they are looked for again."""
        self._unserved: set[tuple[str, str]] = set()
        self._revisions: dict[str, Revision] = {}
        self._desired: dict[str, Desired] = {}
        self._versions: dict[ObjectName, str] = {}
        self._fingerprints: dict[ObjectName, str] = {}
        self._edits: dict[ObjectName, tuple[FieldChange, ...]] = {}
        self._unanswered: dict[ObjectName, _Unanswered] = {}
        self._explanations: dict[str, _Explained] = {}

    async def follow(self) -> None:
        """Return when the definitions have changed."""
        definitions = _stamp(definition_files(self._settings))
        platform = load_platform(self._settings)
        charts = _charts(platform)
        stamp = (definitions, _stamp(_files(charts)))
        wake, view = asyncio.Event(), View()
        async with contextlib.AsyncExitStack() as stack:
            releases = (*_REVISION, _revisions_of(platform))
            await self._open([releases, (*_LEASE, _WRITERS), (*_NODE, "")], stack, wake)
            while (_stamp(definition_files(self._settings)), _stamp(_files(charts))) == stamp:
                wake.clear()
                await self._take_in(platform, releases)
                await self._open(self._kinds(), stack, wake)
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
                except CarbonError as error:
                    if isinstance(error, Unreachable):
                        raise
                    _LOG.warning("%s is not watched: revision %s can't be read: %s", component.key, found.number, error)
                    self._desired.pop(component.key, None)
                else:
                    self._desired[component.key] = made
                self._revisions[component.key] = found

    def _kinds(self) -> set[tuple[str, str, str]]:
        """The kinds that releases declare."""
        objects = [obj for desired in self._desired.values() for obj in desired.everything]
        return {(obj["apiVersion"], obj["kind"], _labels_of(obj)) for obj in objects}

    async def _open(
        self, kinds: Iterable[tuple[str, str, str]], stack: contextlib.AsyncExitStack, wake: asyncio.Event
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

    async def _look(self, platform: Platform) -> View:
        for kind, mirror in list(self._mirrors.items()):
            if isinstance(mirror.failure, RequestFailed):
                self._unknown(kind, mirror.failure)
                del self._mirrors[kind]
            elif mirror.failure:
                raise mirror.failure
        began = time.time()
        why = silent(self._nodes())
        if why:
            return View(platform, self._session.cluster_id, why)
        busy = {}
        for key, component in platform.components.items():
            lease = self._find(lease_name(component.namespace, component.release_name))
            holder = holder_of(lease) if lease else None
            if holder:
                busy[key] = holder
        quiet = {key: desired for key, desired in self._desired.items() if key not in busy}
        rules = {key: platform.components[key].rules for key in quiet}
        await self._compare([(obj, rules[key]) for key, desired in quiet.items() for obj in desired.everything])
        known = {key: self._known(desired) for key, desired in self._desired.items()}
        found = {key: tuple(of_release(desired, self._find, self._edits)) for key, desired in known.items()}
        broken = [key for key, symptoms in found.items() if symptoms]
        for key in self._explanations.keys() - broken:
            del self._explanations[key]
        told = await asyncio.gather(*(self._explained(key, found[key], key in busy) for key in broken))
        self._settling.after(self._session.api.outage)
        revisions = {key: Deployed.of(revision) for key, revision in self._revisions.items()}
        symptoms = dict(zip(broken, told, strict=True))
        return View(platform, self._session.cluster_id, "", symptoms, busy, self._settling.at, began, revisions)

    async def _explained(self, key: str, symptoms: tuple[Symptom, ...], busy: bool = False) -> tuple[Symptom, ...]:
        if busy:
            # Nothing is decided about it now, and what is decided afterwards rests on how it was left.
            self._explanations.pop(key, None)
            return symptoms
        now, last = asyncio.get_running_loop().time(), self._explanations.get(key)
        same = last if last and last.symptoms == symptoms else None
        if same and now < same.due:
            return same.told
        pause = _pause_after(same)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                told = await self._why(symptoms, self._desired[key])
        except TimeoutError:
            _LOG.warning("why %s is not as it should be could not be told within %g s", key, _ANSWER_SECONDS)
            told = same.told if same else symptoms
        self._explanations[key] = _Explained(symptoms, told, now + pause, pause)
        return told

    async def _why(self, symptoms: tuple[Symptom, ...], desired: Desired) -> tuple[Symptom, ...]:
        unready = {symptom.object for symptom in symptoms if symptom.sign in {Sign.UNREADY, Sign.JOB_FAILED}}
        if not unready:
            return symptoms
        names = [ObjectName.of(obj) for obj in desired.objects if may_own_pods(obj)]
        objects = [live for name in names if (live := self._find(name)) and not status(live, desired.rules).ready]
        behind = controllers_behind(self._nodes(), datetime.datetime.now(datetime.UTC))
        return await explain(symptoms, objects, self._session.api, behind)

    async def _compare(self, desired: Iterable[tuple[Object, Rules]]) -> None:
        """Ask the API server about the objects that somebody wrote since, but only those whose content changed.

        Each comes with what its definition says of it. What it did not answer is asked again, less and less
        often.
        """
        written, now = [], asyncio.get_running_loop().time()
        for obj, rules in desired:
            name = ObjectName.of(obj)
            live = self._find(name)
            if live is None:
                for known in (self._edits, self._versions, self._fingerprints, self._unanswered):
                    known.pop(name, None)
                continue
            unanswered = self._unanswered.get(name)
            if self._changed(name, live) or (unanswered and now >= unanswered.due):
                written.append((obj, rules))
        await asyncio.gather(*(self._compare_one(obj, rules) for obj, rules in written))

    def _changed(self, name: ObjectName, live: Object) -> bool:
        """True when its content is not what it was when this was asked last."""
        version = live["metadata"]["resourceVersion"]
        if self._versions.get(name) == version:
            return False
        self._versions[name] = version
        fingerprint, before = _fingerprint(live), self._fingerprints.get(name)
        self._fingerprints[name] = fingerprint
        return fingerprint != before

    async def _compare_one(self, obj: Object, rules: Rules) -> None:
        name = ObjectName.of(obj)
        try:
            async with self._limit, asyncio.timeout(_ANSWER_SECONDS):
                found = await compare(obj, self._session.api, rules)
        except (CarbonError, TimeoutError) as error:
            # Whether the API server answers at all is the watches' business; this is about one object of one component.
            pause = _pause_after(self._unanswered.get(name))
            self._unanswered[name] = _Unanswered(asyncio.get_running_loop().time() + pause, pause)
            why = error if isinstance(error, CarbonError) else f"no answer within {_ANSWER_SECONDS:g} s"
            _LOG.warning("%s can't be compared, and is again in %g s: %s", name, pause, why)
            return
        self._unanswered.pop(name, None)
        fields = edits_of(found)
        if fields:
            self._edits[name] = fields
        else:
            self._edits.pop(name, None)


_REVISION = ("v1", "Secret")
_RELEASES = BY_HELM
_WRITERS = "app.kubernetes.io/managed-by=carbon"
_NODE = ("v1", "Node")
_LEASE = ("coordination.k8s.io/v1", "Lease")
_ABSENT_SECONDS = 30.0
_MANY = 200
"""Names that a selector can hold."""
_IDLE_SECONDS = 5.0
"""Definitions are files: looked at this often, they need no watch of their own."""


def _pause_after(last: _Explained | _Unanswered | None) -> float:
    """Seconds until the same is asked once more."""
    return min(2 * last.pause, _LONGEST_PAUSE_SECONDS) if last else _LOOK_AGAIN_SECONDS


def _revisions_of(platform: Platform) -> str:
    """A selector for the revisions of the platform's releases."""
    names = sorted({one.release.name for one in platform.components.values() if one.release})
    selector = "owner=helm,status!=superseded"
    return f"{selector},name in ({','.join(names)})" if 0 < len(names) <= _MANY else selector


def _labels_of(obj: Object) -> str:
    """Whom of its kind to watch: Helm's; all, where Carbon applied it: that bears the mark of no release."""
    name, _, value = _RELEASES.partition("=")
    return _RELEASES if (obj["metadata"].get("labels") or {}).get(name) == value else ""


def _charts(platform: Platform) -> set[Path]:
    """Chart folders, and files that definitions take in."""
    releases = [one.release for one in platform.components.values() if one.release]
    return {path for one in releases for path in (one.chart.folder, *one.files) if path}


def _files(folders: Iterable[Path]) -> Iterable[Path]:
    """All files below; linked folders (a vendored library chart) are followed. With a file, its folder: others come."""
    for folder in folders:
        if folder.is_file():
            yield from (folder, folder.parent)
        for place, _, names in os.walk(folder, followlinks=True):
            yield from (Path(place, name) for name in names)


def _stamp(files: Iterable[Path]) -> tuple[tuple[str, int], ...]:
    """Changes when a file does, comes or goes."""
    return tuple(sorted((str(file), file.stat().st_mtime_ns) for file in files))


def _fingerprint(live: Object) -> str:
    """Changes when something is written that a person or a program could have meant; not with status."""
    kept = {key: value for key, value in live.items() if key not in {"status", "metadata"}}
    metadata = live["metadata"]
    kept["metadata"] = {key: metadata.get(key) for key in ("labels", "annotations")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()
