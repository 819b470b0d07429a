"""Pods and events in the shapes that a kubelet, the scheduler and the controllers write them."""

import datetime
from typing import Any

from carbon_platform.cluster.reach import Object
from tests.objects import obj, workload

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def ago(seconds: float) -> str:
    """A time of the API, so many seconds before NOW."""
    return (NOW - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    *containers: dict[str, Any],
    name: str = "app-7d4b9-x2x4k",
    init: tuple[dict[str, Any], ...] = (),
    scheduled: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    phase: str = "Pending",
    spec: dict[str, Any] | None = None,
    **metadata: Any,
) -> Object:
    """A pod with these container statuses."""
    conditions = [scheduled or {"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(60)}]
    status = {"phase": phase, "conditions": conditions}
    status |= {"containerStatuses": list(containers)} if containers else {}
    status |= {"initContainerStatuses": list(init)} if init else {}
    return obj("Pod", name, spec=spec, status=status, uid=f"uid-{name}", labels=labels or {"app": "app"}, **metadata)


def declared(name: str = "main", **rest: Any) -> dict[str, Any]:
    """The spec of a pod with one container."""
    return {"containers": [{"name": name, "image": "registry.example/app:1"} | rest]}


def run(began: float, ended: float, code: int = 1, reason: str = "Error", **found: Any) -> dict[str, Any]:
    """A run of a container from so many seconds ago until so many seconds ago."""
    times = {"startedAt": ago(began), "finishedAt": ago(ended)}
    return {"terminated": {"exitCode": code, "reason": reason} | times | found}


def running(since: float, **found: Any) -> dict[str, Any]:
    """The status of a container that a runtime has run for so many seconds, and that is ready."""
    state = {"running": {"startedAt": ago(since)}}
    return container(state=state, containerID="containerd://4f1c", started=True, **found)


def container(name: str = "main", **found: Any) -> dict[str, Any]:
    """The status of a container that runs and is ready, but for what is found otherwise."""
    image = "registry.example/app:1"
    running = {"running": {"startedAt": ago(30)}}
    base = {"name": name, "image": image, "imageID": "", "ready": True, "restartCount": 0}
    return base | {"state": running, "lastState": {}} | found


def waiting(reason: str, message: str = "", **found: Any) -> dict[str, Any]:
    """The status of a container that waits."""
    return container(ready=False, state={"waiting": {"reason": reason, "message": message}}, **found)


def crashed(times: int, code: int = 1, reason: str = "Error", **found: Any) -> dict[str, Any]:
    """The status of a container that crashed so often and waits to be started again."""
    ended = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": ago(5)}}
    return waiting("CrashLoopBackOff", "back-off 20s restarting", restartCount=times, lastState=ended, **found)


def unscheduled(message: str, seconds: float) -> dict[str, Any]:
    """The condition of a pod for which the scheduler found no node, so many seconds ago."""
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return told | {"lastTransitionTime": ago(seconds)}


def event(
    about: Object,
    reason: str,
    message: str | None = "",
    *,
    count: int | None = 1,
    first: float = 60,
    last: float = 1,
    container: str = "",
) -> Object:
    """An event about an object, or a container of it, first and last seen so many seconds ago."""
    made = obj("Event", f"{about['metadata']['name']}.{reason}", creationTimestamp=ago(first))
    named = {"kind": about["kind"], "name": about["metadata"]["name"], "uid": about["metadata"].get("uid")}
    field = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    made |= {"involvedObject": named | field, "reason": reason, "type": "Warning"}
    made |= {"firstTimestamp": ago(first), "lastTimestamp": ago(last)}
    made |= {} if message is None else {"message": message}
    return made | ({} if count is None else {"count": count})


def deployment(**status: Any) -> Object:
    """A Deployment of one pod, at revision 2, whose rollout goes on."""
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}}
    annotations = {"deployment.kubernetes.io/revision": "2"}
    seen = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}
    named = {"uid": "uid-deployment", "generation": 2, "annotations": annotations}
    return workload("Deployment", "app", spec=spec, status=seen | status, **named)


def stateful_set(**status: Any) -> Object:
    """A StatefulSet of one pod, whose rollout to revision `app-new` goes on."""
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}}
    seen = {"observedGeneration": 2, "replicas": 1, "currentRevision": "app-old", "updateRevision": "app-new"}
    return workload("StatefulSet", "app", spec=spec, status=seen | status, uid="uid-set", generation=2)


def replica_set(name: str, revision: int, owner: str = "uid-deployment") -> Object:
    """A ReplicaSet of a Deployment; its pods have its name as their template hash."""
    return workload(
        "ReplicaSet",
        name,
        uid=f"uid-{name}",
        labels={"app": "app", "pod-template-hash": name},
        annotations={"deployment.kubernetes.io/revision": str(revision)},
        ownerReferences=[{"kind": "Deployment", "uid": owner}],
    )
