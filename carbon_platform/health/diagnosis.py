"""Why is a workload not ready? Rules over its pods and their events; each ends in a cause or in patience. Pure.

A rule answers only when waiting on is pointless; what may pass by itself (a first image pull that timed out, a
readiness probe that has not passed yet) is told only to whoever waits no longer (`late`).
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.health import events as told
from carbon_platform.health.admission import refused
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.containers import container_cause, missing
from carbon_platform.health.overdue import failed
from carbon_platform.health.ownership import made_of
from carbon_platform.health.scheduling import unscheduled
from carbon_platform.health.status import WORKLOAD_KINDS, status
from carbon_platform.spec.rules import NO_RULES, Rules

_EVENT_SECONDS = 12
"""Mounts and sandboxes are tried again every few seconds; after this long the reason stands."""
_GOES_ON = ("Pulling", "Pulled", "Created", "Started")
"""Events of a kubelet that has the pod's volumes and network."""
_NOT_STARTED = {
    "FailedMount": Kind.MOUNT,
    "FailedAttachVolume": Kind.MOUNT,
    "FailedCreatePodSandBox": Kind.SANDBOX,
}
_FIXES = {
    Kind.MOUNT: "correct the volume as the message says: its server or path, or the node that still has it attached",
    Kind.SANDBOX: "repair the network plugin, or the container runtime, of node {node}",
}


def diagnose(
    obj: Object, pods: Iterable[Object], events: Iterable[Object], now: datetime.datetime, *, late: bool = False
) -> Cause | None:
    """The cause for which `obj` can't become ready, or None while it still may. `pods` are its own.

    `events`: those of its namespace. `late`: nobody waits any longer, so what may pass by itself is told, too.
    """
    by_object: dict[str, list[Object]] = {}
    of_claims: list[Object] = []
    obj = readable(obj)
    for event in map(readable, events):
        involved = event.get("involvedObject") or {}
        by_object.setdefault(involved.get("uid") or "", []).append(event)
        if involved.get("kind") == "PersistentVolumeClaim":
            of_claims.append(event)
    for pod in sorted(map(readable, pods), key=lambda p: p["metadata"]["name"]):
        cause = pod_cause(pod, [*by_object.get(pod["metadata"]["uid"], ()), *of_claims], now, late=late)
        if cause:
            return cause
    if group_kind(obj) in WORKLOAD_KINDS and current_generation(obj):
        cause = refused(obj, by_object.get(obj["metadata"].get("uid", ""), ()))
        if cause:
            return cause
    found = status(obj)
    return failed(ObjectName.of(obj), found.message) if found.failed else None


def pod_cause(pod: Object, events: Iterable[Object], now: datetime.datetime, *, late: bool = False) -> Cause | None:
    """The cause for which one pod can't run, or None while it still may. `events`: its own, and its claims'."""
    name, pod, events = ObjectName.of(pod), readable(pod), [readable(event) for event in events]
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") == "Succeeded":
        return None
    no_node = unscheduled(pod, name, events, now, late=late)
    if no_node:
        return no_node
    state = pod.get("status") or {}
    own = told.about(pod, events)
    for container in [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]:
        cause = container_cause(pod, container, own, now, late=late)
        if cause:
            return cause
    return _not_started(pod, name, own, now)


def _not_started(pod: Object, name: ObjectName, events: list[Object], now: datetime.datetime) -> Cause | None:
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    if any((c.get("state") or {}).get("running") for c in containers):
        return None
    went_on = max((told.last(event) for event in told.of_reason(events, *_GOES_ON)), default=told.NEVER)
    for event in told.of_reason(events, *_NOT_STARTED):
        again = told.count(event) > 1 and told.last(event) >= went_on
        if again and (now - told.first(event)).total_seconds() >= _EVENT_SECONDS:
            said = told.message(event)
            otherwise = _NOT_STARTED[str(event.get("reason"))]
            kind, fix, subject = missing(said, otherwise)
            node = str(pod["spec"].get("nodeName") or "(not told)")
            fix = _FIXES.get(kind, fix).replace("{node}", node)
            return Cause(kind, name, said, fix, (said,), subject)
    return None


def owned_cause(
    obj: Object,
    own: Sequence[Object],
    replica_sets: Iterable[Object],
    events: Sequence[Object],
    now: datetime.datetime,
    *,
    late: bool = False,
) -> Cause | None:
    """As `diagnose`, from what is its own (`owned`): an operator's workloads are asked for their reasons as well."""
    sets = [*replica_sets]
    pods = [one for one in own if group_kind(one) == "Pod"]
    workloads = [one for one in own if group_kind(one) in WORKLOAD_KINDS - {"Job.batch"}]
    of_workloads = [(one, owned_pods(one, pods)) for one in workloads]
    theirs = {ObjectName.of(pod) for _, its in of_workloads for pod in its}
    direct = [pod for pod in pods if ObjectName.of(pod) not in theirs]
    for one, its in ((obj, direct), *of_workloads):
        cause = diagnose(one, current_pods(one, its, sets), events, now, late=late)
        if cause:
            return cause
    return None


def owned_pods(obj: Object, pods: Iterable[Object], beside: Iterable[Object] = ()) -> list[Object]:
    """The pods of `owned`."""
    return [one for one in owned(obj, pods, beside) if group_kind(one) == "Pod"]


def owned(obj: Object, pods: Iterable[Object], beside: Iterable[Object] = ()) -> list[Object]:
    """The pods of a workload: those its selector matches; of all else: the pods and workloads that were made of it.

    A Job that was only rendered is of the latter: it gets its selector in the cluster. `beside`: what may stand
    between a custom resource and its pods.
    """
    selector, kind = readable(obj)["spec"].get("selector"), group_kind(obj)
    by_owner = kind not in WORKLOAD_KINDS or (kind == "Job.batch" and selector is None)
    if by_owner:
        return made_of(obj, (*pods, *beside))
    there = (pod for pod in pods if pod["metadata"].get("namespace") == obj["metadata"].get("namespace"))
    return [pod for pod in there if _selects(selector or {}, readable(pod)["metadata"].get("labels") or {})]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions`) means these labels. An empty one means none here."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    if not wanted and not expressions:
        return False
    return wanted.items() <= labels.items() and all(_meets(one, labels) for one in expressions)


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    there, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return there in values
        case "NotIn":
            return there not in values
        case "Exists":
            return there is not None
        case _:
            return there is None


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


def replaced_by(obj: Object, rules: Rules = NO_RULES) -> str:
    """The annotation by which its pods of an earlier template are told; empty where nobody says which."""
    return rules.replaced_by_of(obj) or str(readable(obj)["metadata"].get("annotations", {}).get(REPLACED_BY, ""))


def outdated_pods(obj: Object, pods: Iterable[Object], rules: Rules = NO_RULES, *, every: bool = False) -> list[Object]:
    """Pods of a custom resource that were made of an earlier template and that its operator will not replace.

    `every`: all of its pods, as for a restart. Nothing where nobody says how they are told apart.
    """
    mark = replaced_by(obj, rules)
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
