"""Waiting for a release to become ready, on watches; ends early, with the cause, when it never will."""

import asyncio
import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.cluster.watch import Mirror, Mirrors, wait_until
from carbon_platform.errors import Blocked, CarbonError, NotReady, PermissionDenied
from carbon_platform.health.beside import beside
from carbon_platform.health.cause import Cause, Kind, root
from carbon_platform.health.diagnosis import owned, owned_cause, stuck_pods
from carbon_platform.health.events import age
from carbon_platform.health.overdue import overdue
from carbon_platform.health.ownership import BETWEEN, speaks, strangers, with_owned
from carbon_platform.health.status import WORKLOAD_KINDS, Status, condition, may_own_pods, ready_rule, status
from carbon_platform.health.steadiness import Run, stays, unproven
from carbon_platform.release.volumes import end_pod
from carbon_platform.spec.rules import NO_RULES, Rules

_LOOK_AGAIN = 1.0
"""Some rules depend on how long something has been so: no event tells when that is over."""
_HEARD_SECONDS = 10.0
"""For the controller of a custom resource to tell of it, or to make something of it, once all else is ready. Some never
do, though the kind has a status: what they don't tell for so long is not waited for."""
_LOG_LINES = 10
_NOTHING_TO_AWAIT = frozenset(
    {"ConfigMap", "Secret", "ServiceAccount", "Namespace", "PodDisruptionBudget.policy"}
    | {f"{kind}.rbac.authorization.k8s.io" for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")}
    | {"NetworkPolicy.networking.k8s.io", "Ingress.networking.k8s.io"}
    | {"PriorityClass.scheduling.k8s.io", "StorageClass.storage.k8s.io"}
)

Progress = Callable[[str], None]
Clock = Callable[[], datetime.datetime]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def wait_ready(
    names: Sequence[ObjectName],
    api: Api,
    mirrors: Mirrors,
    deadline: float,
    progress: Progress,
    clock: Clock = _now,
    *,
    rules: Rules = NO_RULES,
    vanishing: Collection[ObjectName] = (),
) -> None:
    """Return when every object is as its spec wants it, or gone if it is one of `vanishing`, and its containers have
    shown that they stay. So is what an operator made of a custom resource.

    Raises NotReady (Blocked for an image that can't be had) with the cause as soon as one can't become so by
    itself, or at the deadline (seconds). Raises DataAtRisk when a pod has to be replaced and a volume would go with it.
    """
    awaited = [name for name in names if name.group_kind not in _NOTHING_TO_AWAIT]
    live = await asyncio.gather(*(api.find(name) for name in awaited))
    ready = all(_as_wanted(name, obj, vanishing, rules) for name, obj in zip(awaited, live, strict=True))
    reporting = await _reporting(awaited, api)
    if ready and await _steady([obj for obj in live if obj], api, clock(), rules, reporting):
        return
    async with contextlib.AsyncExitStack() as stack:
        wanted = _kinds(awaited)
        mirrored = await _open(wanted, mirrors, stack)
        for name, obj in zip(awaited, live, strict=True):
            # A watch may not have told yet of what was applied just now, and take what was before it for ready.
            if obj is not None and (name.group_kind, name.namespace) in mirrored:
                mirrored[(name.group_kind, name.namespace)].learn(obj)
        told = ""
        causes: list[Cause] = []
        freeing = _Freeing(api, progress)
        settling = _Settling()
        waiting: dict[ObjectName, Status] = {}
        unknown: set[_Kind] = set()

        def done() -> bool:
            nonlocal told
            waiting.clear()
            now = clock()
            waiting.update(_unready(awaited, mirrored, settling, now, vanishing, rules))
            if not waiting:
                waiting.update(_unheard(reporting, mirrored, settling, now, rules))
            unknown.update(_strangers(reporting, mirrored) - wanted)
            news = "; ".join(f"{name.kind} {name.name}: {s.message}" for name, s in waiting.items())
            if news and news != told:
                told = news
                progress(news)
            causes[:] = _causes(waiting, mirrored, now)
            freeing.free(waiting, mirrored, now)
            return not waiting or bool(causes or unknown)

        try:
            async with asyncio.timeout(deadline):
                await wait_until(mirrored.values(), done, again=_LOOK_AGAIN)
                while unknown:
                    wanted |= unknown
                    mirrored |= await _open(unknown, mirrors, stack)
                    unknown.clear()
                    await wait_until(mirrored.values(), done, again=_LOOK_AGAIN)
        except TimeoutError:
            causes[:] = _late(waiting, mirrored, deadline, clock())
    cause = root(causes)
    if cause:
        raise await _not_ready(cause, api)


_Kind = tuple[str, str, str]
"""An apiVersion, a kind, and a namespace."""


async def _reporting(awaited: Iterable[ObjectName], api: Api) -> dict[ObjectName, bool]:
    """The custom resources; of each, whether its kind has a status that a controller writes."""
    found = {}
    for name in awaited:
        if is_custom(name.api_version, name.kind) and name.namespace:
            with contextlib.suppress(MissingKind):
                found[name] = (await api.resource(name.api_version, name.kind)).reports
    return found


def _kinds(awaited: Iterable[ObjectName]) -> set[_Kind]:
    """Those of the objects, and pods, events, and what may stand between, beside what may own pods."""
    wanted = {(name.api_version, name.kind, name.namespace) for name in awaited}
    for name in awaited:
        custom = is_custom(name.api_version, name.kind)
        if name.group_kind in WORKLOAD_KINDS or custom:
            wanted |= {("v1", "Pod", name.namespace), ("v1", "Event", name.namespace)}
        if name.group_kind == "Deployment.apps":
            wanted.add(("apps/v1", "ReplicaSet", name.namespace))
        if custom and name.namespace:
            wanted |= {(*kind, name.namespace) for kind in BETWEEN}
    return wanted


async def _open(
    wanted: Iterable[_Kind], mirrors: Mirrors, stack: contextlib.AsyncExitStack
) -> dict[tuple[str, str], Mirror]:
    """A mirror for each, but for what is not there, and what nobody may read who may deploy the release."""
    opened = {}
    for api_version, kind, namespace in sorted(wanted):
        with contextlib.suppress(MissingKind, PermissionDenied):
            mirror = await stack.enter_async_context(mirrors.of(api_version, kind, namespace or None))
            opened[(group_kind({"apiVersion": api_version, "kind": kind}), namespace)] = mirror
    return opened


Mirrored = dict[tuple[str, str], Mirror]
"""By kind, as `group_kind` tells it, and namespace."""


def _find(name: ObjectName, mirrored: Mirrored) -> Object | None:
    mirror = mirrored.get((name.group_kind, name.namespace))
    return next((o for o in mirror.objects() if o["metadata"]["name"] == name.name), None) if mirror else None


def _as_wanted(name: ObjectName, obj: Object | None, vanishing: Collection[ObjectName], rules: Rules) -> bool:
    return name in vanishing if obj is None else status(obj, rules).ready


def _unready(
    awaited: Iterable[ObjectName],
    mirrored: Mirrored,
    settling: "_Settling",
    now: datetime.datetime,
    vanishing: Collection[ObjectName],
    rules: Rules,
) -> dict[ObjectName, Status]:
    found = {}
    for name in awaited:
        obj = _find(name, mirrored)
        if obj is None and name in vanishing:
            continue
        seen = status(obj, rules) if obj else Status(False, "is not there")
        if obj and seen.ready and _runs_on(obj):
            own = _own(obj, mirrored)
            left = settling.left(unproven(_pods_of(own), _objects("Event", name, mirrored), now), now)
            seen = Status(False, str(left[0])) if left else _all_there(obj, own, rules)
        if not seen.ready:
            found[name] = seen
    return found


def _unheard(
    reporting: Mapping[ObjectName, bool],
    mirrored: Mirrored,
    settling: "_Settling",
    now: datetime.datetime,
    rules: Rules,
) -> dict[ObjectName, Status]:
    """The custom resources of which nothing was heard yet, where there may be somebody to say something."""
    found = {}
    for name, reports in reporting.items():
        obj = _find(name, mirrored) if reports else None
        if obj and _unsaid(obj, rules) and not _own(obj, mirrored):
            version = str(obj["metadata"].get("generation"))
            if settling.seconds((obj["metadata"]["uid"], "", version), now) < _HEARD_SECONDS:
                found[name] = Status(False, "its controller has told nothing of it yet")
    return found


def _unsaid(obj: Object, rules: Rules) -> bool:
    return not speaks(obj) and ready_rule(obj, rules) is None


def _strangers(custom: Iterable[ObjectName], mirrored: Mirrored) -> set[_Kind]:
    """Kinds of custom resources that own something beside these, and are not known yet."""
    return {
        (*kind, namespace)
        for namespace in {name.namespace for name in custom}
        for kind in strangers((), _beside(namespace, mirrored))
    }


def _runs_on(obj: Object) -> bool:
    """True for what has pods that are to stay."""
    return may_own_pods(obj) and group_kind(obj) != "Job.batch" and bool(obj["metadata"].get("namespace"))


def _all_there(obj: Object, own: Sequence[Object], rules: Rules) -> Status:
    """Whether a workload's pods are as many and as ready as its controller, which is a moment behind, says."""
    if group_kind(obj) not in WORKLOAD_KINDS:
        return with_owned(obj, own, rules)
    daemons = obj["status"].get("desiredNumberScheduled", 0)
    wanted = daemons if group_kind(obj) == "DaemonSet.apps" else obj["spec"].get("replicas", 1)
    ready = sum(condition(pod, "Ready").get("status") == "True" for pod in own if stays(pod))
    return Status(ready >= wanted, f"{ready}/{wanted} pods ready")


async def _steady(
    objects: Iterable[Object], api: Api, now: datetime.datetime, rules: Rules, reporting: Mapping[ObjectName, bool]
) -> bool:
    """Whether all containers of what is ready run for long enough already, as they do where nothing has changed."""
    owners = [obj for obj in objects if _runs_on(obj)]
    for namespace in {obj["metadata"]["namespace"] for obj in owners}:
        pods = await api.list("v1", "Pod", namespace)
        between = await beside(owners, pods, namespace, api)
        for obj in owners:
            own = owned(obj, pods, between)
            if unproven(_pods_of(own), (), now) or not _all_there(obj, own, rules).ready:
                return False
            new = age(obj["metadata"].get("creationTimestamp", ""), now) < _HEARD_SECONDS
            if new and not own and reporting.get(ObjectName.of(obj)) and _unsaid(obj, rules):
                return False
    return True


class _Settling:
    """The runs that were seen to go on. How long they do is taken from this machine's clock as well as from the
    node's, which may be wrong."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], datetime.datetime] = {}

    def left(self, runs: Iterable[Run], now: datetime.datetime) -> list[Run]:
        """Those of the runs that have not been seen for as long as they need."""
        return [run for run in runs if not run.began or self.seconds(run.key, now) < run.needs]

    def seconds(self, key: tuple[str, str, str], now: datetime.datetime) -> float:
        """For how long this was asked of."""
        return (now - self._seen.setdefault(key, now)).total_seconds()


def _causes(waiting: Iterable[ObjectName], mirrored: Mirrored, now: datetime.datetime) -> list[Cause]:
    return [cause for name in waiting if (cause := _cause(name, mirrored, now))]


def _cause(name: ObjectName, mirrored: Mirrored, now: datetime.datetime, *, late: bool = False) -> Cause | None:
    obj = _find(name, mirrored)
    if obj is None:
        return None
    sets = _objects("ReplicaSet.apps", name, mirrored)
    return owned_cause(obj, _own(obj, mirrored), sets, _objects("Event", name, mirrored), now, late=late)


def _objects(kind: str, beside: ObjectName, mirrored: Mirrored) -> list[Object]:
    mirror = mirrored.get((kind, beside.namespace))
    return list(mirror.objects()) if mirror else []


def _own(obj: Object, mirrored: Mirrored) -> list[Object]:
    name = ObjectName.of(obj)
    custom = is_custom(name.api_version, name.kind)
    return owned(obj, _objects("Pod", name, mirrored), _beside(name.namespace, mirrored) if custom else ())


def _beside(namespace: str, mirrored: Mirrored) -> list[Object]:
    return [
        obj
        for (kind, there), mirror in mirrored.items()
        if there == namespace and kind != "Event"
        for obj in mirror.objects()
    ]


def _pods_of(own: Iterable[Object]) -> list[Object]:
    return [one for one in own if group_kind(one) == "Pod"]


def _pods(obj: Object, mirrored: Mirrored) -> list[Object]:
    return _pods_of(_own(obj, mirrored))


class _Freeing:
    """Deletes, once each, the broken old pods that a StatefulSet's rollout waits for, unless a volume goes with one."""

    def __init__(self, api: Api, progress: Progress) -> None:
        self._api, self._progress = api, progress
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def free(self, waiting: Iterable[ObjectName], mirrored: Mirrored, now: datetime.datetime) -> None:
        """Begins it. Raises what became of those begun before: DataAtRisk, or an error of the API server's."""
        for task in self._tasks.values():
            if task.done():
                task.result()
        for name in waiting:
            obj = _find(name, mirrored) if name.group_kind == "StatefulSet.apps" else None
            events = _objects("Event", name, mirrored)
            for pod in stuck_pods(obj, _pods(obj, mirrored), events, now) if obj and not status(obj).ready else ():
                if pod["metadata"]["uid"] not in self._tasks:
                    self._progress(f"deletes pod {pod['metadata']['name']}: broken, and the rollout waits for it")
                    self._tasks[pod["metadata"]["uid"]] = asyncio.create_task(end_pod(pod, self._api))


def _late(
    waiting: dict[ObjectName, Status], mirrored: Mirrored, deadline: float, now: datetime.datetime
) -> list[Cause]:
    """What to say at the deadline of each object that is not ready: why, as far as its pods tell, and what they are."""
    late = []
    for name, seen in waiting.items():
        obj = _find(name, mirrored)
        mine = _pods(obj, mirrored) if obj else []
        told = tuple(f"Pod {p['metadata']['name']}: {readable(p)['status'].get('phase')}" for p in mine)
        why = f"{seen.message} after {deadline:g} s"
        cause = _cause(name, mirrored, now, late=True)
        if cause:
            late.append(dataclasses.replace(cause, evidence=(*cause.evidence, f"{name}: {why}")))
        else:
            late.append(overdue(name, obj, why, told))
    return late


_OF_ITS_OWN_LOG = frozenset(
    {Kind.CRASH_LOOP, Kind.OUT_OF_MEMORY, Kind.STARTUP, Kind.READINESS, Kind.LIVENESS, Kind.DEADLINE}
)
"""Causes of which a container's log may tell more."""


async def _not_ready(cause: Cause, api: Api) -> CarbonError:
    evidence = [*cause.evidence]
    if cause.kind in _OF_ITS_OWN_LOG:
        evidence += await last_words(cause.object, api)
    # An image that is not to be had is no fault of the component: it waits for somebody to bring it.
    kind = Blocked if cause.kind is Kind.IMAGE else NotReady
    return kind(f"{cause.object} can't become ready: {cause.kind}", cause.why, cause.fix, evidence)


async def last_words(name: ObjectName, api: Api) -> list[str]:
    """The last log lines of a pod's containers that crashed, or run and are not ready."""
    pod = await api.get(name) if name.group_kind == "Pod" else None
    lines: list[str] = []
    state = readable(pod or {})["status"]
    for container in [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]:
        again = bool(container.get("restartCount"))
        if not container.get("ready") and (again or (container.get("state") or {}).get("running")):
            text = ""
            if again:
                text = await api.logs(name.namespace, name.name, container["name"], previous=True, lines=_LOG_LINES)
            text = text or await api.logs(name.namespace, name.name, container["name"], lines=_LOG_LINES)
            lines += [f"{container['name']}: {line}" for line in text.splitlines()]
    return lines
