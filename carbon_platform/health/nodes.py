"""Do the nodes speak? While most of them do not, what Kubernetes tells of pods is no finding about them. Pure."""

import datetime
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.shape import readable
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.events import age
from carbon_platform.health.status import condition

_CATCHES_UP_SECONDS = 30.0
"""A node that is back tells of its pods anew within the kubelet's sync period, 10 s; then Services follow."""
_CONTROLLERS_SECONDS = 60.0
"""So much longer: after an API server outage an operator's watch pauses for up to a minute (client-go's Reflector:
30 s, which jitter doubles), and it may tell of its pods only when it looks the next time (KubeRay: each 30 s)."""
_NAMES = 3
_LEAVES_SECONDS = 30
"""A pod that should have been gone for so long has a node that does not end it."""


def silent(nodes: Iterable[Object]) -> str:
    """Why nothing is known of the pods; empty when it is.

    Most nodes are silent, so that every pod of theirs is called not ready and taken out of its Services.
    """
    seen = list(nodes)
    found = [node for node in seen if not _ready(node)]
    return f"{len(found)} of {len(seen)} nodes are not ready: {_names(found)}" if 2 * len(found) > len(seen) else ""


def catching_up(nodes: Iterable[Object], now: datetime.datetime, since: float = 0.0) -> str:
    """Why pods may still be called not ready of which nothing says that they are; empty when none is.

    Most nodes were silent until just now. `since`: seconds ago from when on they must have spoken of their pods.
    """
    seen = list(nodes)
    found = [node for node in seen if not _ready(node) or _came_back(node, now, _CATCHES_UP_SECONDS + since)]
    return f"{len(found)} of {len(seen)} nodes were silent: {_names(found)}" if 2 * len(found) > len(seen) else ""


def controllers_behind(nodes: Iterable[Object], now: datetime.datetime) -> str:
    """Why controllers may not know yet that pods are ready; empty when they do."""
    return catching_up(nodes, now, _CONTROLLERS_SECONDS)


def _ready(node: Object) -> bool:
    return condition(node, "Ready").get("status") == "True"


def _came_back(node: Object, now: datetime.datetime, within: float) -> bool:
    at = condition(node, "Ready").get("lastTransitionTime")
    return bool(at) and 0 <= age(at, now) < within


def _names(nodes: Iterable[Object]) -> str:
    return ", ".join(sorted(node["metadata"]["name"] for node in nodes)[:_NAMES])


def unheard(pod: Object, now: datetime.datetime) -> Cause | None:
    """The cause for which a pod counts as not ready though nothing says that it is: its node has not spoken since.

    Of a node that is silent for longer than its grace period Kubernetes takes `Ready` from every pod, and from nothing
    else of them (`MarkPodsNotReady`); to the kubelet, `Ready` is what `ContainersReady` and the readiness gates say.
    So the two differ from then on until the node has spoken of the pod, which may be a while after it is back.
    """
    pod = readable(pod)
    leaves = pod["metadata"].get("deletionTimestamp")
    if (leaves and age(leaves, now) < _LEAVES_SECONDS) or pod.get("spec", {}).get("readinessGates"):
        return None
    if condition(pod, "Ready").get("status") != "False" or condition(pod, "ContainersReady").get("status") != "True":
        return None
    node = pod["spec"].get("nodeName", "")
    why = f"it was silent and has not told of Pod {pod['metadata']['name']} since"
    fix = f"start node {node} and its kubelet; Kubernetes moves what may move after five minutes"
    return Cause(Kind.NODE, ObjectName("v1", "Node", "", node), why, fix)


def pods_are_ready(obj: Object, pods: Iterable[Object]) -> bool:
    """True when its current pods say that they are ready, and are as many as it wants, where it says so."""
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    obj = readable(obj)
    wanted: int = obj["status"].get("desiredNumberScheduled", obj["spec"].get("replicas", 1))
    ready = [pod for pod in staying if condition(pod, "Ready").get("status") == "True"]
    return len(staying) == len(ready) >= wanted
