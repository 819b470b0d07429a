"""What an operator makes belongs to its custom resource, whatever stands between and whatever it is labelled."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import Kind
from carbon_platform.health.diagnosis import owned_cause, owned_pods
from carbon_platform.health.ownership import made_of, speaks, strangers, with_owned
from carbon_platform.spec.rules import ReadyRule, Rules
from tests.objects import conditions, obj, workload

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
THING = obj("Thing", "top", api_version="a.example/v1")


def of(owner: Object, kind: str, name: str, api_version: str = "", **rest: Any) -> Object:
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {"name": owner["metadata"]["name"], "uid": "u"}
    return obj(kind, name, api_version=api_version, uid=f"uid-{name}", ownerReferences=[reference], **rest)


def pod(owner: Object, name: str, ready: bool = True, **status: Any) -> Object:
    return of(owner, "Pod", name, status=conditions(Ready=str(ready)) | {"phase": "Running"} | status)


def names(objects: list[Object]) -> set[str]:
    return {one["metadata"]["name"] for one in objects}


def test_pods_belong_to_it_through_whatever_stands_between() -> None:
    deployment = of(THING, "Deployment", "web", spec={"selector": {"matchLabels": {"app": "web"}}})
    replica_set = of(deployment, "ReplicaSet", "web-1")
    shards = of(THING, "StatefulSet", "shard")
    part = of(THING, "Part", "part", "other.example/v2")
    between = [deployment, replica_set, shards, part]
    pods = [pod(replica_set, "a"), pod(shards, "b"), pod(part, "c"), pod(THING, "d")]
    stranger = pod(obj("ReplicaSet", "else"), "stranger")
    assert names(owned_pods(THING, [*pods, stranger], between)) == {"a", "b", "c", "d"}
    assert names(owned_pods(THING, pods)) == {"d"}


def test_owners_that_are_not_known_yet_are_told_by_kind() -> None:
    part = of(THING, "Part", "part", "other.example/v2")
    pods = [pod(part, "a"), pod(obj("StatefulSet", "plain"), "b")]
    assert strangers(pods, [THING]) == {("other.example/v2", "Part")}
    assert strangers(pods, [THING, part]) == set()


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_references_in_a_circle_end(edges: list[tuple[int, int]]) -> None:
    things = [obj("Thing", str(number), api_version="a.example/v1", ownerReferences=[]) for number in range(8)]
    for child, owner in edges:
        reference = {"apiVersion": "a.example/v1", "kind": "Thing", "name": str(owner), "uid": "u"}
        things[child]["metadata"]["ownerReferences"].append(reference)
    reached, before = {0}, set[int]()
    while reached != before:
        before = set(reached)
        reached |= {child for child, owner in edges if owner in reached}
    found = [int(name) for name in names(made_of(things[0], things))]
    assert set(found) - {0} == reached - {0}


STATUSES: dict[str, tuple[list[Object], str]] = {
    "nothing was made of it": ([], "ready"),
    "a pod of its own is not ready": ([pod(THING, "a"), pod(THING, "b", ready=False)], "1/2 pods ready"),
    "a pod of its own has done its work": ([pod(THING, "a", ready=False, phase="Succeeded")], "ready"),
    "a workload is not rolled out": (
        [of(THING, "StatefulSet", "shard", spec={"replicas": 2}, status={"observedGeneration": 1, "readyReplicas": 1})],
        "StatefulSet shard: 1/2 pods ready",
    ),
    "a Job runs": (
        [job := of(THING, "Job", "backup", status={}), pod(job, "a", ready=False)],
        "ready",
    ),
}


@pytest.mark.parametrize(("own", "told"), STATUSES.values(), ids=STATUSES.keys())
def test_what_was_made_of_it_has_to_be_ready_too(own: list[Object], told: str) -> None:
    assert with_owned(THING, own).message == told


def test_what_is_said_of_it_decides_alone() -> None:
    rules = Rules(ready={"Thing.a.example": ReadyRule(pods=1)})
    assert with_owned(THING, [pod(THING, "a", ready=False)], rules).message == "0/1 pods ready"
    assert with_owned(THING, [pod(THING, "a"), pod(THING, "b", ready=False)], rules).ready


def test_a_workload_is_told_by_its_own_status() -> None:
    seen = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
    deployment = workload("Deployment", spec={"replicas": 1}, status=seen)
    assert with_owned(deployment, [pod(deployment, "a", ready=False)]).ready


def test_the_cause_of_what_was_made_of_it_is_its_own() -> None:
    shards = of(THING, "StatefulSet", "shard", generation=1, spec={"selector": {}}, status={"observedGeneration": 1})
    why = 'pods "shard-0" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1'
    event = obj("Event", "e", creationTimestamp="2026-01-01T00:00:00Z") | {
        "involvedObject": {"uid": "uid-shard", "kind": "StatefulSet", "name": "shard"},
        "reason": "FailedCreate",
        "message": f"create Pod shard-0 in StatefulSet shard failed error: {why}",
        "count": 5,
        "firstTimestamp": "2025-12-31T23:59:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    cause = owned_cause(THING, [shards], [], [event], NOW, late=True)
    assert cause is not None
    assert cause.kind is Kind.QUOTA


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (None, False),
        ({}, False),
        ({"phase": "Creating"}, False),
        ({"observedGeneration": 1}, True),
        (conditions(Ready="False"), True),
    ],
)
def test_a_status_says_that_its_controller_has_seen_it(status: dict[str, Any] | None, says: bool) -> None:
    assert speaks(obj("Thing", api_version="a.example/v1", status=status)) is says
