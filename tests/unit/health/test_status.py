"""Is an object as its spec wants it? One table per kind: what the API says, and what follows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.status import status
from tests.objects import conditions, obj, workload

READY = "ready"


def deployment(total: int = 2, **found: Any) -> Object:
    seen = {"observedGeneration": 1, "replicas": total, "updatedReplicas": 2, "availableReplicas": 2}
    return workload("Deployment", spec={"replicas": 2}, status=seen | found, generation=1)


def stateful_set(replicas: int = 2, strategy: dict[str, Any] | None = None, **found: Any) -> Object:
    seen = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}
    revisions = {"updateRevision": "a-2", "currentRevision": "a-2"}
    spec = {"replicas": replicas, "updateStrategy": strategy or {"type": "RollingUpdate"}}
    return workload("StatefulSet", spec=spec, status=seen | revisions | found, generation=1)


def daemon_set(strategy: str = "RollingUpdate", **found: Any) -> Object:
    seen = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    return workload("DaemonSet", spec={"updateStrategy": {"type": strategy}}, status=seen | found, generation=1)


def custom(**found: str | tuple[str, str, str]) -> Object:
    return obj("Thing", api_version="example.org/v1", status=conditions(**found))


def named(generation: int = 1, observed: int | None = None, condition_seen: int | None = None, **found: Any) -> Object:
    """A custom resource whose chart says: HeadReady and Provisioned mean ready."""
    told = conditions(**found)
    told |= {} if observed is None else {"observedGeneration": observed}
    for one in told["conditions"] if condition_seen is not None else ():
        one["observedGeneration"] = condition_seen
    annotations = {"carbon/ready-conditions": "HeadReady Provisioned"}
    return obj("Thing", api_version="a.b/v1", status=told, generation=generation, annotations=annotations)


STATUSES: dict[str, tuple[Object, str]] = {
    "deployment": (deployment(), READY),
    "deployment nobody has seen": (workload("Deployment", spec={}, status={}), "its controller has not seen it yet"),
    "deployment with a newer spec": (
        deployment(observedGeneration=0),
        "its controller has not seen the change yet",
    ),
    "deployment with old pods only": (deployment(updatedReplicas=0), "0/2 pods updated"),
    "deployment with an old pod left": (deployment(total=3), "1 old pods still there"),
    "deployment with a pod not available": (deployment(availableReplicas=1), "1/2 pods available"),
    "deployment without a number wants one": (
        workload("Deployment", spec={}, status={"observedGeneration": 1, "replicas": 0}),
        "0/1 pods updated",
    ),
    "deployment of nothing": (
        workload("Deployment", spec={"replicas": 0}, status={"observedGeneration": 1}),
        READY,
    ),
    "stateful set": (stateful_set(), READY),
    "stateful set nobody has seen": (workload("StatefulSet", spec={}, status={}), "its controller has not seen it yet"),
    "stateful set that shrinks": (stateful_set(1), "1 pods too many"),
    "stateful set with a pod not ready": (stateful_set(readyReplicas=1), "1/2 pods ready"),
    "stateful set in its rollout": (
        stateful_set(updatedReplicas=1, currentRevision="a-1"),
        "1/2 pods updated",
    ),
    "stateful set that is updated by hand": (
        stateful_set(strategy={"type": "OnDelete"}, updatedReplicas=0, currentRevision="a-1"),
        READY,
    ),
    "stateful set with a partition": (
        stateful_set(strategy={"rollingUpdate": {"partition": 1}}, updatedReplicas=1, currentRevision="a-1"),
        READY,
    ),
    "stateful set with a partition of nothing": (
        stateful_set(strategy={"rollingUpdate": {"partition": 0}}, updatedReplicas=1, currentRevision="a-1"),
        "1/2 pods updated",
    ),
    "daemon set": (daemon_set(), READY),
    "daemon set nobody has seen": (workload("DaemonSet", spec={}, status={}), "its controller has not seen it yet"),
    "daemon set in its rollout": (daemon_set(updatedNumberScheduled=1), "1/2 pods updated"),
    "daemon set that is updated by hand": (daemon_set("OnDelete", updatedNumberScheduled=0), READY),
    "daemon set with a pod not available": (daemon_set(numberAvailable=1), "1/2 pods available"),
    "daemon set with no node to be on": (
        daemon_set(desiredNumberScheduled=0, updatedNumberScheduled=0, numberAvailable=0),
        READY,
    ),
    "job that runs": (workload("Job", spec={}, status={"active": 1}), "is running"),
    "job that is done": (workload("Job", spec={}, status=conditions(Complete="True")), READY),
    "claim that is bound": (obj("PersistentVolumeClaim", status={"phase": "Bound"}), READY),
    "claim that nobody uses yet": (obj("PersistentVolumeClaim", status={"phase": "Pending"}), READY),
    "service": (obj("Service", spec={"type": "ClusterIP"}), READY),
    "service that waits for an address": (
        obj("Service", spec={"type": "LoadBalancer"}, status={"loadBalancer": {}}),
        "waits for the load balancer's address",
    ),
    "service with an address": (
        obj("Service", spec={"type": "LoadBalancer"}, status={"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}),
        READY,
    ),
    "definition": (obj("CustomResourceDefinition", status=conditions(Established="True")), READY),
    "definition that is new": (obj("CustomResourceDefinition", status={}), "is not established yet"),
    "api service": (obj("APIService", status=conditions(Available="True")), READY),
    "api service without a server": (
        obj("APIService", status=conditions(Available=("False", "x", "no endpoints"))),
        "no endpoints",
    ),
    "config map": (obj("ConfigMap"), READY),
    "secret": (obj("Secret"), READY),
    "custom resource that says nothing": (custom(), READY),
    "custom resource without a status": (obj("Thing"), READY),
    "custom resource": (custom(Ready="True"), READY),
    "custom resource that is not ready": (custom(Ready=("False", "Waiting", "for the quorum")), "for the quorum"),
    "custom resource that gives a reason only": (custom(Ready=("Unknown", "Waiting", "")), "Waiting"),
    "custom resource at work": (custom(Reconciling=("True", "x", "rolls"), Ready="True"), "rolls"),
    "custom resource whose chart names conditions": (named(HeadReady="True", Provisioned="True"), READY),
    "custom resource whose chart names a condition that is false": (
        named(HeadReady=("False", "Waiting", "no head"), Provisioned="True"),
        "HeadReady: no head",
    ),
    "custom resource whose named condition is not there": (
        named(HeadReady="True", Ready="True"),
        "Provisioned: not told yet",
    ),
    "custom resource whose named conditions hold though nobody keeps its observed generation": (
        named(generation=2, observed=1, HeadReady="True", Provisioned="True"),
        READY,
    ),
    "custom resource whose named condition is of an older spec": (
        named(generation=2, condition_seen=1, HeadReady="True", Provisioned="True"),
        "HeadReady: its controller has not seen the change yet",
    ),
    "custom resource with a newer spec": (
        obj("Thing", generation=2, status={"observedGeneration": 1} | conditions(Ready="True")),
        "its controller has not seen the change yet",
    ),
    "whatever is being deleted": (obj("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"), "is being deleted"),
}

FAILURES: dict[str, tuple[Object, str]] = {
    "deployment without progress": (
        deployment(**conditions(Progressing=("False", "ProgressDeadlineExceeded", ""))),
        "rollout made no progress within its deadline",
    ),
    "job that failed": (
        workload("Job", spec={}, status=conditions(Failed=("True", "BackoffLimitExceeded", "too often"))),
        "failed: too often",
    ),
    "claim that lost its volume": (obj("PersistentVolumeClaim", status={"phase": "Lost"}), "lost its volume"),
    "definition whose name is taken": (
        obj("CustomResourceDefinition", status=conditions(NamesAccepted=("False", "x", "is taken"))),
        "is taken",
    ),
    "custom resource that stalled": (custom(Stalled=("True", "x", "gave up"), Ready="True"), "gave up"),
}


@pytest.mark.parametrize(("live", "told"), STATUSES.values(), ids=STATUSES.keys())
def test_an_object_is_ready_or_says_what_is_awaited(live: Object, told: str) -> None:
    found = status(live)
    assert (found.message, found.ready, found.failed) == (told, told == READY, False)


@pytest.mark.parametrize(("live", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_an_object_that_can_not_become_ready_has_failed(live: Object, told: str) -> None:
    found = status(live)
    assert (found.message, found.ready, found.failed) == (told, False, True)


COUNTS = st.integers(0, 4)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_deployment_is_ready_only_with_every_wanted_pod_new_and_available(
    wanted: int, total: int, updated: int, available: int
) -> None:
    seen = {"observedGeneration": 1, "replicas": total, "updatedReplicas": updated, "availableReplicas": available}
    found = status(workload("Deployment", spec={"replicas": wanted}, status=seen))
    assert found.ready == (updated >= wanted and total <= updated and available >= wanted)


def test_a_suspended_job_is_as_its_spec_wants_it_and_is_told_as_that() -> None:
    found = status(workload("Job", spec={"suspend": True}, status=conditions(Suspended="True")))
    assert (found.ready, found.message) == (True, "is suspended: it runs when somebody resumes it")


def test_a_pod_that_has_done_its_work_is_ready() -> None:
    ended = conditions(Ready=("False", "PodCompleted", ""))
    assert status(obj("Pod", status={"phase": "Succeeded", **ended})).ready
    assert not status(obj("Pod", status={"phase": "Running", **ended})).ready


@given(st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Job", "Thing", "Service", "PersistentVolumeClaim"]))
def test_an_object_without_any_status_is_no_accident(kind: str) -> None:
    assert status(workload(kind, spec={})).message


@given(st.integers(0, 3), st.integers(0, 3))
def test_nothing_is_ready_whose_controller_has_not_seen_it(generation: int, seen: int) -> None:
    live = obj("Thing", generation=generation, status={"observedGeneration": seen})
    assert status(live).ready == (seen >= generation)


def test_a_kind_without_a_status_subresource_counts_its_own_statuses_as_generations() -> None:
    written = {"manager": "a-controller", "operation": "Update", "fieldsV1": {"f:status": {"f:phase": {}}}}
    seen = {"apiVersion": "example.com/v1", "kind": "Rollout", "status": {"observedGeneration": 1}}
    metadata = {"name": "a", "namespace": "here", "generation": 2}
    assert not status({**seen, "metadata": metadata}).ready
    assert status({**seen, "metadata": {**metadata, "managedFields": [written]}}).ready
    through_the_subresource = {**written, "subresource": "status"}
    assert not status({**seen, "metadata": {**metadata, "managedFields": [through_the_subresource]}}).ready
