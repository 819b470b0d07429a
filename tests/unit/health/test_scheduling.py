"""Why no node takes a pod: each part of the scheduler's message is what it says, and nothing else."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import SCHEDULING, STORAGE, Cause, Kind
from carbon_platform.health.diagnosis import diagnose, pod_cause
from carbon_platform.health.scheduling import parts
from tests.objects import obj
from tests.unit.health.pods import NOW, declared, deployment, event, pod, unscheduled

SAID = {
    "Insufficient cpu": Kind.CPU,
    "Insufficient memory": Kind.MEMORY,
    "Too many pods": Kind.PODS,
    "Insufficient pods": Kind.PODS,
    "Insufficient nvidia.com/gpu": Kind.RESOURCE,
    "Insufficient ephemeral-storage": Kind.RESOURCE,
    "node(s) didn't have free ports for the requested pod ports": Kind.HOST_PORT,
    "node(s) didn't match pod affinity rules": Kind.POD_AFFINITY,
    "node(s) didn't match pod anti-affinity rules": Kind.POD_AFFINITY,
    "node(s) didn't satisfy existing pods anti-affinity rules": Kind.POD_AFFINITY,
    "node(s) didn't match pod topology spread constraints": Kind.TOPOLOGY,
    "node(s) didn't match pod topology spread constraints (missing required label)": Kind.TOPOLOGY,
    "node(s) were unschedulable": Kind.CORDON,
    "node(s) had untolerated taint {node.kubernetes.io/unschedulable: }": Kind.CORDON,
    "node(s) had untolerated taint {node.kubernetes.io/not-ready: }": Kind.NODE,
    "node(s) had untolerated taint {node.kubernetes.io/unreachable: }": Kind.NODE,
    "node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }": Kind.TAINT,
    "node(s) had untolerated taint {dedicated: reports}": Kind.TAINT,
    "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }": Kind.TAINT,
    "node(s) had taint {dedicated: reports}, that the pod didn't tolerate": Kind.TAINT,
    "node(s) had untolerated taint(s)": Kind.TAINT,
    "node(s) didn't match Pod's node affinity/selector": Kind.NODE_AFFINITY,
    "node(s) didn't match node selector": Kind.NODE_AFFINITY,
    "node(s) didn't match the requested node name": Kind.NODE_AFFINITY,
    "node(s) had volume node affinity conflict": Kind.VOLUME_ZONE,
    "node(s) didn't match PersistentVolume's node affinity": Kind.VOLUME_ZONE,
    "node(s) had no available volume zone": Kind.VOLUME_ZONE,
    "node(s) didn't find available persistent volumes to bind": Kind.VOLUME,
    "node(s) exceed max volume count": Kind.VOLUME,
    "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)": Kind.VOLUME_LOST,
    "node(s) are of no use, says an extender": Kind.UNSCHEDULABLE,
}
OF_THE_POD = {
    "pod has unbound immediate PersistentVolumeClaims": Kind.VOLUME,
    'persistentvolumeclaim "data" not found': Kind.CLAIM,
    'persistentvolumeclaim "data" is being deleted': Kind.CLAIM,
    'persistentvolumeclaim "data" bound to non-existent persistentvolume "pv-3"': Kind.VOLUME_LOST,
    'storageclass.storage.k8s.io "fast" not found': Kind.STORAGE_CLASS,
    "no nodes available to schedule pods": Kind.UNSCHEDULABLE,
}
ENDS = [
    "",
    ".",
    ". preemption: 0/9 nodes are available: 2 Insufficient cpu, 7 Preemption is not helpful for scheduling.",
    ". no new claims to deallocate, preemption: 0/9 nodes are available: 9 No preemption victims found.",
]


def scheduler_says(*said: tuple[int, str], end: str = ".") -> str:
    return f"0/9 nodes are available: {', '.join(f'{nodes} {text}' for nodes, text in said)}{end}"


def cause_of(message: str, *events: Object, seconds: float = 600, late: bool = False) -> Cause | None:
    return pod_cause(pod(scheduled=unscheduled(message, seconds), spec=declared()), events, NOW, late=late)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("said", "kind"), [*SAID.items(), *OF_THE_POD.items()])
def test_each_reason_of_the_scheduler_is_a_cause_of_its_own(said: str, kind: Kind, end: str) -> None:
    for message in (scheduler_says((9, said), end=end), f"0/9 nodes are available: {said}{end}", f"{said}{end}"):
        cause = cause_of(message, late=True)
        assert cause is not None
        assert cause.kind is kind
        assert cause.evidence[0] == message
        assert cause.fix


@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from(sorted(SAID))), min_size=1), st.sampled_from(ENDS))
def test_a_message_is_told_apart_into_its_parts_whatever_their_order(said: list[tuple[int, str]], end: str) -> None:
    found = parts(scheduler_says(*said, end=end))
    assert sorted((part.nodes, part.kind) for part in found) == sorted((nodes, SAID[text]) for nodes, text in said)


@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from(sorted(SAID))), min_size=1))
def test_the_kind_of_a_cause_is_one_that_the_scheduler_named(said: list[tuple[int, str]]) -> None:
    cause = cause_of(scheduler_says(*said), late=True)
    assert cause is not None
    assert cause.kind in {SAID[text] for _, text in said}
    assert cause.kind in SCHEDULING | STORAGE | {Kind.NODE}


@given(st.text())
def test_what_nobody_has_heard_a_scheduler_say_is_still_told(message: str) -> None:
    cause = cause_of(f"0/1 nodes are available: 1 {message}x", late=True)
    assert cause is not None


def test_the_nodes_are_counted_and_the_taint_is_named() -> None:
    taint = "node(s) had untolerated taint {dedicated: reports}"
    cause = cause_of(scheduler_says((2, taint), (1, "Insufficient cpu"), (6, "node(s) were unschedulable")))
    assert cause is not None
    assert cause.kind is Kind.CPU
    assert cause.why == (
        "no node takes it: 1 of 9 nodes has too little CPU left, 6 of 9 nodes are cordoned,"
        " 2 of 9 nodes have taint dedicated=reports, which it does not tolerate"
    )
    assert "smaller CPU request" in cause.fix
    assert "kubectl uncordon" in cause.fix
    assert "toleration" in cause.fix


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        # The volume is where the node is full; elsewhere it is not meant to be.
        ("Insufficient memory", "node(s) had volume node affinity conflict", Kind.MEMORY),
        # The pool that the selector means is tainted.
        ("node(s) had untolerated taint {gpu: yes}", "node(s) didn't match Pod's node affinity/selector", Kind.TAINT),
        # The control plane is not what the selector means.
        (
            "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
            "node(s) didn't match Pod's node affinity/selector",
            Kind.NODE_AFFINITY,
        ),
    ],
)
def test_what_keeps_a_pod_from_other_nodes_on_purpose_is_not_the_first_cause(
    first: str, second: str, kind: Kind
) -> None:
    for said in ((first, second), (second, first)):
        cause = cause_of(scheduler_says((1, said[0]), (5, said[1])))
        assert cause is not None
        assert cause.kind is kind


def test_what_each_container_requests_is_told_beside_it() -> None:
    spec = declared(resources={"requests": {"memory": "10Ti", "cpu": "1"}})
    pending = pod(scheduled=unscheduled(scheduler_says((9, "Insufficient memory")), 600), spec=spec)
    cause = pod_cause(pending, [], NOW)
    assert cause is not None
    assert "container main requests cpu 1, memory 10Ti" in cause.evidence


UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


@pytest.mark.parametrize(("said", "grace"), [("Insufficient memory", 8), (UNBOUND, 60)])
def test_a_pod_without_a_node_is_told_after_the_grace_and_not_before(said: str, grace: float) -> None:
    pending = pod(scheduled=unscheduled(f"0/2 nodes are available: {said}.", 0))

    def after(seconds: float) -> bool:
        return pod_cause(pending, [], NOW + datetime.timedelta(seconds=seconds)) is not None

    assert [after(0), after(grace - 0.1), after(grace), after(600)] == [False, False, True, True]


def test_a_volume_that_the_scheduler_has_not_seen_yet_ends_nothing() -> None:
    assert cause_of('0/1 nodes are available: persistentvolume "pvc-6a1f" not found. preemption: no') is None


def test_a_node_that_is_not_ready_may_be_soon() -> None:
    message = scheduler_says((9, "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"))
    assert cause_of(message) is None
    assert cause_of(message, late=True) is not None


def test_a_pod_for_which_a_node_is_being_made_is_waited_for() -> None:
    pending = pod(scheduled=unscheduled(scheduler_says((9, "Insufficient cpu")), 600))
    asked = event(pending, "TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 5)}]", last=100)
    assert pod_cause(pending, [asked], NOW) is None
    assert pod_cause(pending, [asked], NOW + datetime.timedelta(hours=1)) is not None
    assert pod_cause(pending, [event(pending, "NotTriggerScaleUp", "max node group size reached")], NOW) is not None


def test_a_pod_behind_a_scheduling_gate_is_only_waited_for() -> None:
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    assert pod_cause(pod(scheduled=gated), [], NOW, late=True) is None


@pytest.mark.parametrize(
    ("said", "kind", "named"),
    [
        (
            "no persistent volumes available for this claim and no storage class is set",
            Kind.STORAGE_CLASS,
            "none is the default",
        ),
        ('storageclass.storage.k8s.io "fast" not found', Kind.STORAGE_CLASS, "storage class fast is not there"),
        ("failed to provision volume with StorageClass: disk quota reached", Kind.VOLUME, "is not bound"),
    ],
)
def test_an_unbound_claim_is_told_with_what_is_said_of_it(said: str, kind: Kind, named: str) -> None:
    spec = declared() | {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-app-0"}}]}
    pending = pod(scheduled=unscheduled(f"0/2 nodes are available: {UNBOUND}.", 90), spec=spec)
    claim = obj("PersistentVolumeClaim", "data-app-0", uid="uid-claim")
    other = obj("PersistentVolumeClaim", "data-other-0", uid="uid-other")
    events = [
        event(claim, "FailedBinding", "an older word", last=50),
        event(claim, "ProvisioningFailed", said, last=2),
        event(other, "FailedBinding", 'storageclass.storage.k8s.io "slow" not found', last=1),
    ]
    cause = diagnose(deployment(), [pending], events, NOW)
    assert cause is not None
    assert cause.kind is kind
    assert named in cause.why
    assert any(said in line for line in cause.evidence)
