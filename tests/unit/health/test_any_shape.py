"""Whatever a kubelet, a scheduler or anybody else writes, looking for the cause of it never fails."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.diagnosis import diagnose, pod_cause
from carbon_platform.health.steadiness import unproven, unsteady
from tests.objects import conditions, obj
from tests.unit.health.pods import NOW, ago, deployment, stateful_set, unscheduled

WORDS = st.sampled_from(
    [
        "",
        "CrashLoopBackOff",
        "ErrImagePull",
        "CreateContainerConfigError",
        "RunContainerError",
        "StartError",
        "OOMKilled",
        "Error",
        'secret "a" not found',
        "Liveness probe failed: HTTP probe failed with statuscode: 404",
        "Readiness probe errored",
        "Container main failed liveness probe, will be restarted",
        "MountVolume.SetUp failed",
        "0/1 nodes are available: 1 Insufficient cpu, 2 ",
        'admission webhook "',
    ]
)
TEXTS = st.none() | WORDS | st.text(max_size=20)
TIMES = st.none() | st.integers(-60, 900).map(ago) | st.sampled_from(["", "yesterday", "2026-01-01", "12:00"])
NUMBERS = st.none() | st.integers(-1, 300)


def shape(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with any of these fields left out; or null."""
    return st.none() | st.fixed_dictionaries({}, optional=fields)


RUN = shape(exitCode=NUMBERS, reason=TEXTS, message=TEXTS, startedAt=TIMES, finishedAt=TIMES)
STATE = shape(waiting=shape(reason=TEXTS, message=TEXTS), running=shape(startedAt=TIMES), terminated=RUN)
STATUS = st.fixed_dictionaries(
    {"name": st.sampled_from(["main", "other"])},
    optional={
        "state": STATE,
        "lastState": STATE,
        "ready": st.none() | st.booleans(),
        "started": st.none() | st.booleans(),
        "restartCount": NUMBERS,
        "image": TEXTS,
        "containerID": TEXTS,
    },
)
PROBE = shape(
    httpGet=shape(path=TEXTS, port=NUMBERS | TEXTS, scheme=TEXTS),
    tcpSocket=shape(port=NUMBERS),
    exec=shape(command=st.none() | st.lists(WORDS, max_size=2)),
    periodSeconds=NUMBERS,
    initialDelaySeconds=NUMBERS,
    timeoutSeconds=NUMBERS,
)
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from(["main", "other"])},
    optional={
        "livenessProbe": PROBE,
        "readinessProbe": PROBE,
        "startupProbe": PROBE,
        "restartPolicy": TEXTS,
        "resources": shape(limits=shape(memory=TEXTS), requests=shape(cpu=TEXTS)),
    },
)


def many(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(of, max_size=2)


SPEC = shape(
    containers=many(CONTAINER),
    initContainers=many(CONTAINER),
    volumes=many(shape(persistentVolumeClaim=shape(claimName=TEXTS)).filter(lambda v: v is not None)),
)
SCHEDULED = st.none() | st.builds(unscheduled, WORDS | st.text(max_size=20), st.integers(0, 90))


@st.composite
def pods(draw: st.DrawFn) -> Object:
    """A pod of any shape."""
    scheduled = draw(SCHEDULED)
    status: dict[str, Any] = {"conditions": [scheduled] if scheduled else draw(st.sampled_from([None, []]))}
    status |= {"phase": draw(st.sampled_from([None, "Pending", "Running", "Failed", "Succeeded"]))}
    status |= {"containerStatuses": draw(many(STATUS)), "initContainerStatuses": draw(many(STATUS))}
    return obj("Pod", "app-0", uid="uid-pod", status=status, spec={}) | {"spec": draw(SPEC)}


REASONS = st.sampled_from(
    ["Unhealthy", "Killing", "Failed", "FailedMount", "FailedCreate", "FailedBinding", "Started", "TriggeredScaleUp"]
)
EVENTS = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": st.just("e")}, optional={"creationTimestamp": TIMES})},
    optional={
        "involvedObject": shape(
            uid=st.sampled_from([None, "uid-pod", "uid-set", "uid-deployment"]),
            kind=st.sampled_from([None, "Pod", "PersistentVolumeClaim"]),
            name=TEXTS,
            fieldPath=st.sampled_from([None, "", "spec.containers{main}"]),
        ),
        "reason": st.none() | REASONS,
        "message": TEXTS,
        "count": NUMBERS,
        "series": shape(count=NUMBERS, lastObservedTime=TIMES),
        "firstTimestamp": TIMES,
        "lastTimestamp": TIMES,
        "eventTime": TIMES,
    },
)
OWNERS = st.sampled_from(
    [
        stateful_set(),
        deployment(),
        deployment(**conditions(ReplicaFailure=("True", "FailedCreate", "no"))),
        obj("Thing", "app", api_version="a.b/v1", uid="uid-set"),
    ]
)


@given(OWNERS, pods(), st.lists(EVENTS, max_size=3), st.booleans())
def test_looking_for_a_cause_never_raises_and_every_cause_can_be_acted_on(
    owner: Object, pod: Object, events: list[Object], late: bool
) -> None:
    for cause in (pod_cause(pod, events, NOW, late=late), diagnose(owner, [pod], events, NOW, late=late)):
        if cause:
            assert cause.why
            assert cause.fix
            assert all(isinstance(line, str) for line in cause.evidence)


@given(pods(), st.lists(EVENTS, max_size=3))
def test_asking_whether_a_pod_is_steady_never_raises(pod: Object, events: list[Object]) -> None:
    for run in unproven([pod], events, NOW):
        assert run.needs > run.seconds
        assert str(run)
    assert all(unsteady([pod], NOW, NOW))


@given(OWNERS, pods(), st.lists(EVENTS, max_size=3))
def test_what_ends_a_wait_is_told_to_who_waits_no_longer_as_well(
    owner: Object, pod: Object, events: list[Object]
) -> None:
    assert not diagnose(owner, [pod], events, NOW) or diagnose(owner, [pod], events, NOW, late=True)
