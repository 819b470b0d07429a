"""Why is a workload not ready? Rules over its pods and their events; each ends in a cause or in patience. Pure.

A rule answers only when waiting on is pointless; what may pass by itself (a first image pull that timed out, a
pod waiting for its volume to be made) is left to the deadline.
"""

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, group_of
from carbon_platform.cluster.shape import readable
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.status import WORKLOAD_KINDS, condition, status

_CRASHES = 2
"""Restarts of a container after which its crash is no accident of starting in the wrong order."""
_DIED_WITH_THE_NODE = frozenset({"Unknown", "ContainerStatusUnknown"})
"""What the kubelet says of containers that were gone when it, or their runtime, came back."""
_NO_LOOP_SECONDS = 60
"""A container that ran for so long before it crashed is not in a loop yet."""
_FIRST_PAUSE = re.compile(r"\bback-off 10s\b")
"""What the kubelet says of a container that crashed again, and had not for a while before: it may well come up now."""
_PULLS = 4
"""Failure events of an image pull (two for each try) after which the reason is no passing one."""
_UNSCHEDULABLE_SECONDS = 8
"""The scheduler tries again at once when a node or volume appears; this long is no race any more."""
_UNBOUND = "unbound immediate"
_UNBOUND_SECONDS = 60
"""Binding is tried again every 15 s, and a cloud makes a disk within a minute: nothing is wrong before that."""
_EVENT_SECONDS = 12
"""Mounts and sandboxes are tried again every few seconds; after this long the reason stands."""
_PULL_HOPELESS = re.compile(
    r"not found|does not exist|no such (host|image)|manifest unknown|unauthorized|authorization failed|denied"
    r"|forbidden|invalid reference|connection refused|not present with pull policy",
    re.IGNORECASE,
)
_VOLUME_SOON_SEEN = re.compile(r'persistentvolume "[^"]+" not found')
"""The scheduler met the claim of a volume before the volume, and tries again. A claim whose volume is gone is Lost."""
_STORAGE = re.compile(r"unbound|persistentvolumeclaim|storageclass|volume", re.IGNORECASE)


def diagnose(obj: Object, pods: Iterable[Object], events: Iterable[Object], now: datetime.datetime) -> Cause | None:
    """The cause for which `obj` can't become ready, or None while it still may. `pods` are its own."""
    name, obj = ObjectName.of(obj), readable(obj)
    by_object: dict[str, list[Object]] = {}
    for event in map(readable, events):
        by_object.setdefault(event.get("involvedObject", {}).get("uid", ""), []).append(event)
    for pod in sorted(map(readable, pods), key=lambda p: p["metadata"]["name"]):
        cause = pod_cause(pod, by_object.get(pod["metadata"]["uid"], ()), now)
        if cause:
            return cause
    quota = _create_refused(obj, by_object.get(obj["metadata"].get("uid", ""), ()))
    if quota:
        return Cause(Kind.QUOTA, name, f"its pods are refused: {quota}", "raise the quota or correct the pod", (quota,))
    found = status(obj)
    if found.failed:
        kind = Kind.JOB_FAILED if group_kind(obj) == "Job.batch" else Kind.ROLLOUT
        return Cause(kind, name, found.message, "see its pods' logs; correct the values and redeploy")
    return None


_PASSES = re.compile(r'serviceaccount "default" not found|pvc \S+ is being deleted')
"""Every namespace gets this account a moment after it is made, and a claim goes with its last pod: what was refused
before is tried again."""


def _create_refused(obj: Object, events: Iterable[Object]) -> str:
    if group_kind(obj) not in WORKLOAD_KINDS or not current_generation(obj):
        return ""
    refused = condition(obj, "ReplicaFailure")
    if refused.get("status") == "True" and not _PASSES.search(str(refused.get("message"))):
        return str(refused.get("message"))
    told = [event for event in events if not _PASSES.search(_message(event))]
    made = max((_last(e) for e in told if e.get("reason") == "SuccessfulCreate"), default="")
    return next((_message(e) for e in told if e.get("reason") == "FailedCreate" and _last(e) > made), "")


def _message(event: Object) -> str:
    return str(event.get("message") or event.get("reason"))


def _last(event: Object) -> str:
    """When the event was last seen. Times of the API compare as text."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", ""))


def pod_cause(pod: Object, events: Iterable[Object], now: datetime.datetime) -> Cause | None:
    """The cause for which one pod can't run, or None while it still may."""
    name, pod, events = ObjectName.of(pod), readable(pod), [readable(event) for event in events]
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") == "Succeeded":
        return None
    unscheduled = _unscheduled(pod, name, now)
    if unscheduled:
        return unscheduled
    state = pod.get("status", {})
    for container in [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]:
        cause = _container_cause(name, container, events)
        if cause:
            return cause
    return _event_cause(pod, name, events, now)


def _unscheduled(pod: Object, name: ObjectName, now: datetime.datetime) -> Cause | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return None
    message = str(scheduled.get("message", ""))
    grace = _UNBOUND_SECONDS if _UNBOUND in message else _UNSCHEDULABLE_SECONDS
    if age(scheduled.get("lastTransitionTime"), now) < grace:
        return None
    if _VOLUME_SOON_SEEN.search(message):
        return None
    if _STORAGE.search(message) and "Insufficient" not in message:
        fix = "see the claim's storage class, its provisioner and the size it asks for"
        return Cause(Kind.VOLUME, name, f"its volume can't be had: {message}", fix, (message,))
    fix = "give it smaller requests, or the cluster more room"
    return Cause(Kind.UNSCHEDULABLE, name, f"no node has room for it: {message}", fix, (message,))


def _container_cause(name: ObjectName, container: Mapping[str, Any], events: list[Object]) -> Cause | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", ""))
    who = f"container {container['name']}"
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        told = [_message(e) for e in events if e.get("reason") in {"Failed", "InspectFailed"}]
        story = next((t for t in [message, *told] if _PULL_HOPELESS.search(t)), "")
        hopeless = reason in {"InvalidImageName", "ErrImageNeverPull"} or _times(events, "Failed") >= _PULLS
        if story or hopeless:
            fix = "correct the image's name and tag, or make it available on the node or in a registry it reaches"
            why = f"image {container['image']} of {who} can't be pulled"
            return Cause(Kind.IMAGE, name, why, fix, (story or max(told, key=len, default=message),))
    if reason in {"CreateContainerConfigError", "CreateContainerError"}:
        fix = "create what is missing (a Secret or ConfigMap), or correct its name in the values"
        return Cause(Kind.CONFIGURATION, name, f"{who} can't be created: {message}", fix, (message,))
    return _crash(name, container, reason, message)


def _times(events: Iterable[Object], reason: str) -> int:
    return sum(int(e.get("count") or 1) for e in events if e.get("reason") == reason)


def _lasted(run: Mapping[str, Any]) -> float:
    """Seconds between the start and the end of a container; 0 when they are not told."""
    if not run.get("startedAt") or not run.get("finishedAt"):
        return 0.0
    began, ended = (datetime.datetime.fromisoformat(run[key]) for key in ("startedAt", "finishedAt"))
    return (ended - began).total_seconds()


def _crash(name: ObjectName, container: Mapping[str, Any], waiting: str, message: str) -> Cause | None:
    ended = (container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")) or {}
    if container.get("restartCount", 0) < _CRASHES or not ended or container.get("ready"):
        return None
    if waiting != "CrashLoopBackOff" and "terminated" not in container.get("state", {}):
        return None
    # Restarts are counted for the life of the pod, but the pause starts anew after ten minutes without a crash.
    before = container.get("lastState", {}).get("terminated") or {}
    if ended.get("reason") in _DIED_WITH_THE_NODE:
        return None
    if _FIRST_PAUSE.search(message) or (not waiting and _lasted(before) > _NO_LOOP_SECONDS):
        return None
    times, who = container["restartCount"], f"container {container['name']}"
    if ended.get("reason") == "OOMKilled":
        why = f"{who} was killed {times} times for using more memory than its limit"
        return Cause(Kind.OUT_OF_MEMORY, name, why, "raise its memory limit or make it use less")
    why = f"{who} ended with exit code {ended.get('exitCode')} and was restarted {times} times"
    return Cause(Kind.CRASH_LOOP, name, why, "see its last log lines; correct the values or what it depends on")


_GOES_ON = frozenset({"Pulling", "Pulled", "Created", "Started"})
"""Events of a kubelet that has the pod's volumes and network."""
_HOPELESS_EVENTS = {
    "FailedMount": (Kind.CONFIGURATION, "create the ConfigMap, Secret or volume it mounts, or correct its name"),
    "FailedAttachVolume": (Kind.VOLUME, "see the volume and the node it is attached to"),
    "FailedCreatePodSandBox": (Kind.CONFIGURATION, "see the node's network plugin and container runtime"),
}


def _event_cause(pod: Object, name: ObjectName, events: list[Object], now: datetime.datetime) -> Cause | None:
    if any((c.get("state") or {}).get("running") for c in pod.get("status", {}).get("containerStatuses") or ()):
        return None
    went_on = max((_last(e) for e in events if e.get("reason") in _GOES_ON), default="")
    for event in events:
        found = _HOPELESS_EVENTS.get(str(event.get("reason")))
        first = event.get("firstTimestamp") or event["metadata"].get("creationTimestamp")
        again = (event.get("count") or 1) > 1 and _last(event) >= went_on
        if found and again and age(first, now) >= _EVENT_SECONDS:
            message = _message(event)
            return Cause(found[0], name, message, found[1], (message,))
    return None


def age(timestamp: object, now: datetime.datetime) -> float:
    """Seconds since a time of the API; 0 when there is none, negative when the clocks do not agree."""
    try:
        return (now - datetime.datetime.fromisoformat(str(timestamp))).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def owned_pods(obj: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods of a workload: those its selector matches; of all else: those that name it as their owner.

    A Job that was only rendered is of the latter: it gets its selector in the cluster.
    """
    beside = [pod for pod in pods if pod["metadata"].get("namespace") == obj["metadata"].get("namespace")]
    selector, kind = readable(obj)["spec"].get("selector"), group_kind(obj)
    wanted = (selector or {}).get("matchLabels") or {}
    by_owner = kind not in WORKLOAD_KINDS or (kind == "Job.batch" and selector is None)

    def its(pod: Mapping[str, Any]) -> bool:
        if by_owner:
            return any(_is(owner, obj) for owner in pod.get("ownerReferences") or ())
        return bool(wanted) and wanted.items() <= pod.get("labels", {}).items()

    return [pod for pod in beside if its(readable(pod)["metadata"])]


def _is(owner: Mapping[str, Any], obj: Object) -> bool:
    """By group, kind and name: what a chart renders has no uid, and its owner may be told in another version."""
    named = (group_of(owner["apiVersion"]), owner["kind"], owner["name"])
    return named == (group_of(obj["apiVersion"]), obj["kind"], obj["metadata"]["name"])


def current_pods(obj: Object, pods: Iterable[Object], replica_sets: Iterable[Object]) -> list[Object]:
    """Of a workload's pods, those made from its present template: an old pod's trouble says nothing of the new."""
    obj, kind = readable(obj), group_kind(obj)
    if kind not in WORKLOAD_KINDS and "observedGeneration" not in obj["status"]:
        return list(pods)  # not every controller says what it has seen
    if not current_generation(obj):
        return []
    if kind == "Deployment.apps":
        revision = (obj["metadata"].get("annotations") or {}).get(_REVISION)
        hashes = {
            rs["metadata"].get("labels", {}).get("pod-template-hash")
            for rs in map(readable, replica_sets)
            if any(o["uid"] == obj["metadata"]["uid"] for o in rs["metadata"].get("ownerReferences") or ())
            and (rs["metadata"].get("annotations") or {}).get(_REVISION) == revision
        }
        return [pod for pod in pods if _label(pod, "pod-template-hash") in hashes]
    if kind == "StatefulSet.apps":
        return [pod for pod in pods if _revision_hash(pod) == obj["status"].get("updateRevision")]
    return list(pods)


_REVISION = "deployment.kubernetes.io/revision"


def _revision_hash(pod: Object) -> object:
    return _label(pod, "controller-revision-hash")


def _label(obj: Object, name: str) -> object:
    return readable(obj)["metadata"].get("labels", {}).get(name)


def stuck_pods(obj: Object, pods: Iterable[Object], events: Iterable[Object], now: datetime.datetime) -> list[Object]:
    """Broken pods of an old revision, for which a StatefulSet waits before it replaces them: for ever.

    Kubernetes documents this under "Forced rollback" of StatefulSets: such a pod has to be deleted by somebody.
    """
    obj, told = readable(obj), [readable(event) for event in events]
    if group_kind(obj) != "StatefulSet.apps" or not current_generation(obj):
        return []
    return [
        pod
        for pod in pods
        if _revision_hash(pod) != obj["status"].get("updateRevision")
        and not pod["metadata"].get("deletionTimestamp")
        and pod_cause(pod, [e for e in told if e.get("involvedObject", {}).get("uid") == pod["metadata"]["uid"]], now)
    ]


REPLACED_BY = "carbon/replaces-pods-by"
"""Annotation of a custom resource whose operator leaves running pods alone: the annotation of its pod templates that
changes with them."""


def outdated_pods(obj: Object, pods: Iterable[Object], *, every: bool = False) -> list[Object]:
    """Pods of a custom resource that were made of an earlier template and that its operator will not replace.

    `every`: all of its pods, as for a restart. Nothing where the chart does not say how they are told apart.
    """
    mark = readable(obj)["metadata"].get("annotations", {}).get(REPLACED_BY)
    if not mark:
        return []
    present = _annotated(obj.get("spec"), mark)
    return [
        pod
        for pod in owned_pods(obj, pods)
        if not pod["metadata"].get("deletionTimestamp")
        and (every or readable(pod)["metadata"].get("annotations", {}).get(mark) not in present)
    ]


def _annotated(value: Any, mark: str) -> set[str]:
    """The values that an annotation has in all the templates within."""
    if isinstance(value, list):
        return set().union(*(_annotated(item, mark) for item in value))
    if not isinstance(value, Mapping):
        return set()
    annotations = value.get("annotations")
    own = {str(annotations[mark])} if isinstance(annotations, Mapping) and mark in annotations else set()
    return own.union(*(_annotated(item, mark) for item in value.values()))


def current_generation(obj: Object) -> bool:
    """True when the controller has seen the newest spec. A Job tells of none: its pods are of one template."""
    obj = readable(obj)
    seen, newest = obj["status"].get("observedGeneration", 0), obj["metadata"].get("generation", 0)
    return group_kind(obj) == "Job.batch" or bool(seen >= newest)
