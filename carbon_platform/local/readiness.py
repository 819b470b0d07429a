"""Is the cluster up: its API, its nodes, its addons; and why not."""

import asyncio
import dataclasses
import datetime
import time
from collections.abc import Iterable, Sequence

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, NotReady
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.diagnosis import diagnose, owned_pods
from carbon_platform.health.status import condition, status
from carbon_platform.local import supervision
from carbon_platform.local.layout import Layout
from carbon_platform.local.packages import Report
from carbon_platform.local.simulation import is_simulated

_POLL_SECONDS = 0.2
_API_SECONDS = 60.0
_READY_SECONDS = 180.0
_FAILING_SECONDS = 8.0
"""A program that can't start for so long won't: the others that it waits for need less."""
_BELOW = ("etcd", "kube-apiserver")
"""What keeps an API server from being ready. Its clients give up while it isn't, and are started anew."""
_DIAGNOSE_EVERY = 3.0
_JUDGED = ("Deployment", "APIService")
_PASSING = {Kind.CRASH_LOOP, Kind.LIVENESS, Kind.STARTUP, Kind.DEADLINE}
"""Addons crash until what they need is there; these causes count only when the time is over."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A node or an addon."""

    name: str
    ready: bool
    message: str
    simulated: bool = False
    essential: bool = True
    """False: the cluster works without it."""


@dataclasses.dataclass(frozen=True)
class Sight:
    """The cluster as its API shows it at one moment."""

    nodes: Sequence[Part]
    addons: Sequence[Part]

    @property
    def waiting(self) -> list[str]:
        """What is not as it should be, of all that a pod needs to work."""
        parts = [part for part in (*self.nodes, *self.addons) if not part.ready and part.essential]
        return [f"{part.name}: {part.message}" for part in parts]


async def look(api: Api, layout: Layout, objects: Sequence[Object], since: datetime.datetime | None = None) -> Sight:
    """Nodes and addons now. With `since`, what ran before then counts as gone, though the API still shows it."""
    seen = await api.list("v1", "Node")
    nodes = [_node(node) for node in seen]
    if layout.real_node and not any(part.name == f"node {layout.node}" for part in nodes):
        nodes.append(Part(f"node {layout.node}", False, "has not registered"))
    judged = [obj for obj in objects if obj["kind"] in _JUDGED]
    if not judged:
        return Sight(nodes, [])
    live = await asyncio.gather(*(api.get(ObjectName.of(obj)) for obj in judged))
    pods = await api.list("v1", "Pod", fields=f"spec.nodeName={layout.node}")
    parts = [addon(obj, now, pods, since) for obj, now in zip(judged, live, strict=True)]
    ours = {pod["metadata"]["uid"] for obj in judged for pod in owned_pods(obj, pods)}
    old = [pod for pod in pods if pod["metadata"]["uid"] not in ours and since and stale(pod, since)]
    if old:
        parts.append(Part("pods", False, f"{len(old)} have not been started again"))
    return Sight(nodes, parts)


def _node(node: Object) -> Part:
    ready = condition(node, "Ready")
    message = "is Ready" if ready.get("status") == "True" else str(ready.get("message") or "is not Ready")
    return Part(f"node {node['metadata']['name']}", ready.get("status") == "True", message, is_simulated(node))


def addon(obj: Object, live: Object | None, pods: Iterable[Object], since: datetime.datetime | None) -> Part:
    """An addon's object, judged by itself and by the pods behind it."""
    name = str(ObjectName.of(obj))
    # Metrics are there once the first measurements are: ten seconds after everything else.
    essential = "metrics" not in obj["metadata"]["name"]
    if live is None:
        return Part(name, False, "is not there", essential=essential)
    found = status(live)
    if not found.ready or obj["kind"] != "Deployment":
        return Part(name, found.ready, found.message, essential=essential)
    own = [pod for pod in owned_pods(obj, pods) if not pod["metadata"].get("deletionTimestamp")]
    running = [p for p in own if condition(p, "Ready").get("status") == "True" and not (since and stale(p, since))]
    return Part(name, bool(running), "ready" if running else "its pod has not been started again", essential=essential)


def stale(pod: Object, since: datetime.datetime) -> bool:
    """True when a container is said to run that was started before `since`: it is gone, nobody has told the API yet."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        began = (container.get("state", {}).get("running") or {}).get("startedAt")
        if began and datetime.datetime.fromisoformat(began) < since:
            return True
    return False


async def await_api(api: Api, layout: Layout) -> None:
    """Return when the API server is ready. Raises NotReady with the end of the log of what keeps it from that."""
    began = time.monotonic()
    while True:
        try:
            await api.request("GET", "/readyz", what="wait for the API server", patience=0)
        except CarbonError as error:
            waited = time.monotonic() - began
            failing = [p for p in supervision.failing(layout) if p in _BELOW] if waited > _FAILING_SECONDS else []
            if failing or waited > _API_SECONDS:
                raise _not_up(layout, failing[0] if failing else "kube-apiserver", error) from error
        else:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _not_up(layout: Layout, program: str, error: CarbonError) -> NotReady:
    return NotReady(
        "the API server of the local cluster does not get ready",
        f"{program} does not run as it should: {error.cause or error.summary}",
        f"see {layout.logs}/{program}.log",
        supervision.last_lines(layout, program),
    )


async def await_ready(
    api: Api, layout: Layout, objects: Sequence[Object], since: datetime.datetime | None, report: Report
) -> None:
    """Return when nodes and addons are ready. Raises NotReady with the cause, as early as it is plain."""
    began, told, diagnosed = time.monotonic(), "", time.monotonic()
    while True:
        sight = await look(api, layout, objects, since)
        if not sight.waiting:
            return
        now = time.monotonic()
        over = now - began > _READY_SECONDS
        if over or now - diagnosed > _DIAGNOSE_EVERY:
            diagnosed = now
            await _refuse_to_wait(api, layout, objects, sight, over)
        if sight.waiting[0] != told:
            told = sight.waiting[0]
            report(f"waiting: {told}")
        await asyncio.sleep(_POLL_SECONDS)


async def _refuse_to_wait(api: Api, layout: Layout, objects: Sequence[Object], sight: Sight, over: bool) -> None:
    failing = supervision.failing(layout)
    if failing:
        raise NotReady(
            "the local cluster does not get ready",
            f"{failing[0]} ends as soon as it is started",
            f"see {layout.logs}/{failing[0]}.log",
            supervision.last_lines(layout, failing[0]),
        )
    cause = await _cause(api, objects)
    if cause and (over or cause.kind not in _PASSING):
        raise NotReady("the local cluster does not get ready", str(cause), cause.fix, cause.evidence)
    if over:
        raise NotReady(
            "the local cluster did not get ready in time", "; ".join(sight.waiting), f"see the logs in {layout.logs}"
        )


async def _cause(api: Api, objects: Sequence[Object]) -> Cause | None:
    now = datetime.datetime.now(datetime.UTC)
    for obj in objects:
        if obj["kind"] == "Deployment":
            namespace = obj["metadata"]["namespace"]
            live = await api.get(ObjectName.of(obj))
            if live is not None and not status(live).ready:
                pods = owned_pods(live, await api.list("v1", "Pod", namespace))
                cause = diagnose(live, pods, await api.list("v1", "Event", namespace), now)
                if cause:
                    return cause
    return None
