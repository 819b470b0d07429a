"""Each kind of cause has a fix that says what to change to end it: never only where to look."""

from collections.abc import Callable

import pytest

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.doctor import nowhere
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.deletion import being_deleted
from carbon_platform.health.diagnosis import diagnose, pod_cause
from carbon_platform.health.nodes import unheard
from carbon_platform.health.overdue import failed, overdue
from tests.objects import conditions, obj, workload
from tests.unit.health.pods import NOW, container, crashed, declared, deployment, event, pod, unscheduled, waiting
from tests.unit.health.test_probes import killed, quotes, restarted, unhealthy

Made = Cause | None


def refused(said: str) -> Made:
    owner = deployment()
    return diagnose(owner, [], [event(owner, "FailedCreate", said)], NOW)


def unplaced(said: str) -> Made:
    message = f"0/3 nodes are available: 3 {said}."
    return pod_cause(pod(scheduled=unscheduled(message, 600), spec=declared()), [], NOW, late=True)


def waits(reason: str, message: str) -> Made:
    return pod_cause(pod(waiting(reason, message)), [], NOW, late=True)


def events(reason: str, message: str) -> Made:
    made = pod(waiting("ContainerCreating"), spec=declared() | {"nodeName": "n1"})
    return pod_cause(made, [event(made, reason, message, first=60, count=5)], NOW)


def probed(which: str, said: str) -> Made:
    made = quotes(restarted(), **{f"{which}Probe": {"httpGet": {"path": "/", "port": 1}}})
    found = [unhealthy(made, f"{which.capitalize()} probe failed: {said}"), killed(made, which)]
    return pod_cause(made, found, NOW)


def not_ready() -> Made:
    status = container("quotes", ready=False, started=True)
    made = quotes(status, readinessProbe={"tcpSocket": {"port": 1}})
    return pod_cause(made, [unhealthy(made, "Readiness probe failed: connection refused", 1)], NOW, late=True)


def out_of_memory() -> Made:
    limited = declared(resources={"limits": {"memory": "64Mi"}})
    return pod_cause(pod(crashed(3, 137, "OOMKilled"), spec=limited), [], NOW)


def silent_node() -> Made:
    told = conditions(Ready="False", ContainersReady="True")
    return unheard(obj("Pod", "app-0", spec={"nodeName": "n1"}, status=told), NOW)


def finalizer() -> Made:
    return being_deleted(obj("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["carbon.test/hold"]))


SERVICE = ObjectName("v1", "Service", "here", "web")
JOB = ObjectName("batch/v1", "Job", "here", "schema")
SET = ObjectName("apps/v1", "StatefulSet", "here", "db")
TABLE: dict[Kind, tuple[Callable[[], Made], str]] = {
    Kind.IMAGE: (lambda: waits("ErrImagePull", "manifest unknown: not found"), "correct the image's name and tag"),
    Kind.SECRET: (lambda: waits("CreateContainerConfigError", 'secret "login" not found'), "create Secret login"),
    Kind.CONFIG_MAP: (lambda: waits("CreateContainerConfigError", 'configmap "app" not found'), "create ConfigMap app"),
    Kind.KEY: (lambda: waits("CreateContainerConfigError", "couldn't find key user in Secret here/s"), "add key user"),
    Kind.CONFIGURATION: (lambda: waits("CreateContainerError", "device or resource busy"), "correct in the pod"),
    Kind.COMMAND: (
        lambda: waits("CreateContainerError", 'exec: "run": executable file not found in $PATH'),
        "correct command run",
    ),
    Kind.CRASH_LOOP: (
        lambda: pod_cause(pod(crashed(3)), [], NOW),
        "kubectl logs app-7d4b9-x2x4k -n here -c main --previous",
    ),
    Kind.OUT_OF_MEMORY: (out_of_memory, "raise the memory limit of container main"),
    Kind.STARTUP: (lambda: probed("startup", "statuscode: 404"), "correct the path of the startup probe"),
    Kind.READINESS: (not_ready, "correct the port of the readiness probe"),
    Kind.LIVENESS: (lambda: probed("liveness", "who knows"), "correct what the liveness probe asks"),
    Kind.SANDBOX: (
        lambda: events("FailedCreatePodSandBox", "no IP addresses available in range"),
        "repair the network plugin, or the container runtime, of node n1",
    ),
    Kind.CPU: (lambda: unplaced("Insufficient cpu"), "smaller CPU request"),
    Kind.MEMORY: (lambda: unplaced("Insufficient memory"), "smaller memory request"),
    Kind.PODS: (lambda: unplaced("Too many pods"), "add a node"),
    Kind.RESOURCE: (lambda: unplaced("Insufficient nvidia.com/gpu"), "request less nvidia.com/gpu"),
    Kind.HOST_PORT: (
        lambda: unplaced("node(s) didn't have free ports for the requested pod ports"),
        "take another hostPort",
    ),
    Kind.POD_AFFINITY: (
        lambda: unplaced("node(s) didn't match pod affinity rules"),
        "start the pods that its affinity means",
    ),
    Kind.TOPOLOGY: (lambda: unplaced("node(s) didn't match pod topology spread constraints"), "label the nodes"),
    Kind.CORDON: (lambda: unplaced("node(s) were unschedulable"), "kubectl uncordon"),
    Kind.TAINT: (lambda: unplaced("node(s) had untolerated taint {dedicated: x}"), "give it a toleration"),
    Kind.NODE_AFFINITY: (lambda: unplaced("node(s) didn't match node selector"), "correct nodeSelector"),
    Kind.UNSCHEDULABLE: (lambda: unplaced("node(s) are of no use"), "as the scheduler says: node(s) are of no use"),
    Kind.VOLUME: (lambda: unplaced("pod has unbound immediate PersistentVolumeClaims"), "start the provisioner"),
    Kind.CLAIM: (lambda: unplaced('persistentvolumeclaim "data" not found'), "make volume claim data"),
    Kind.STORAGE_CLASS: (lambda: unplaced('storageclass "fast" not found'), "make storage class fast"),
    Kind.VOLUME_ZONE: (lambda: unplaced("node(s) had volume node affinity conflict"), "make room for it on the node"),
    Kind.VOLUME_LOST: (lambda: unplaced("node(s) bound to non-existent pv(s)"), "bring the volume back"),
    Kind.MOUNT: (lambda: events("FailedMount", "exit status 32"), "correct the volume"),
    Kind.QUOTA: (lambda: refused("exceeded quota: small, requested: pods=1"), "raise quota small"),
    Kind.LIMIT_RANGE: (lambda: refused("maximum memory usage per Container is 1Gi"), "correct requests and limits"),
    Kind.POD_SECURITY: (lambda: refused('violates PodSecurity "restricted:latest"'), "set the securityContext"),
    Kind.SERVICE_ACCOUNT: (lambda: refused('serviceaccount "runner" not found'), "make service account runner"),
    Kind.POLICY: (
        lambda: refused('admission webhook "w" denied the request: no'),
        "change the policy behind webhook w",
    ),
    Kind.WEBHOOK: (lambda: refused('failed calling webhook "w": no endpoints'), "start the pods behind webhook w"),
    Kind.REFUSED: (lambda: refused("spec.containers[0].image: Required value"), "correct the pod"),
    Kind.NO_ENDPOINTS: (lambda: nowhere(SERVICE, {"app": "web"}), "correct its selector"),
    Kind.LOAD_BALANCER: (
        lambda: overdue(SERVICE, obj("Service", "web"), "waits for the load balancer's address"),
        "start a controller that gives load balancers to Services",
    ),
    Kind.JOB_FAILED: (lambda: failed(JOB, "too often"), "then delete Job schema: carbon up makes it again"),
    Kind.ROLLOUT: (
        lambda: failed(ObjectName("apps/v1", "Deployment", "here", "web"), "no progress"),
        "raise progressDeadlineSeconds of Deployment web",
    ),
    Kind.DEADLINE: (lambda: overdue(SET, workload("StatefulSet", "db"), "0/1 pods"), "kubectl describe pods -n here"),
    Kind.NODE: (silent_node, "start node n1"),
    Kind.FINALIZER: (finalizer, "start what serves carbon.test/hold"),
}


def test_the_table_has_every_kind() -> None:
    assert set(TABLE) == set(Kind)


@pytest.mark.parametrize("kind", TABLE)
def test_a_cause_names_what_to_change_to_end_it(kind: Kind) -> None:
    made, says = TABLE[kind]
    cause = made()
    assert cause is not None
    assert cause.kind is kind
    assert says in cause.fix
    assert not cause.fix.startswith(("see ", "look ", "ask ")), "that is where to look, and changes nothing"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (ObjectName("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "a.b"), "other names"),
        (ObjectName("apiregistration.k8s.io/v1", "APIService", "", "v1.m"), "start the pods behind the Service"),
        (ObjectName("example.com/v1", "Gadget", "here", "g"), "start the operator that serves its kind"),
        (ObjectName("policy/v1", "PodDisruptionBudget", "here", "p"), "kubectl describe poddisruptionbudget p -n here"),
        (SET, "raise `deadline`"),
    ],
)
def test_what_was_waited_for_too_long_is_mended_by_its_kind(name: ObjectName, says: str) -> None:
    assert says in overdue(name, {"kind": name.kind}, "not ready after 5 s").fix
    gone = overdue(name, None, "is not there after 5 s")
    assert (gone.kind, "carbon up makes" in gone.fix) == (Kind.DEADLINE, True)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        (ObjectName("v1", "PersistentVolumeClaim", "here", "data"), Kind.VOLUME_LOST, "bring back the volume"),
        (ObjectName("example.com/v1", "Gadget", "here", "g"), Kind.ROLLOUT, "correct what Gadget g says in its status"),
        (ObjectName("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "a.b"), Kind.ROLLOUT, "other names"),
    ],
)
def test_what_says_itself_that_it_has_failed_is_mended_by_its_kind(name: ObjectName, kind: Kind, says: str) -> None:
    cause = failed(name, "it says so")
    assert (cause.kind, says in cause.fix) == (kind, True)


def test_a_claim_that_goes_with_its_last_pod_says_to_save_the_data_first() -> None:
    held = obj("PersistentVolumeClaim", deletionTimestamp="2026-01-01T00:00:00Z")
    held["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]
    cause = being_deleted(held)
    assert cause is not None
    assert cause.fix.startswith("copy what is to stay")


@pytest.mark.parametrize(
    "odd",
    [
        {"deletionTimestamp": [None]},
        {"deletionTimestamp": "soon"},
        {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": "x"},
        {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": 3},
    ],
)
def test_what_is_being_deleted_is_told_whatever_its_metadata_hold(odd: dict[str, object]) -> None:
    going = obj("ConfigMap")
    going["metadata"] |= odd
    cause = being_deleted(going)
    assert cause is not None
    assert "it is being deleted since" in cause.why
