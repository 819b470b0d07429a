"""A custom resource is waited for together with what its operator makes of it, and never for ever."""

from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked
from carbon_platform.release import wait
from carbon_platform.spec.rules import ReadyRule, Rules
from tests.objects import conditions, obj
from tests.unit.release.stub_cluster import StubCluster, at


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass by the stub's clock alone."""
    monkeypatch.setattr(wait, "_LOOK_AGAIN", 0)


def thing(kind: str = "Thing", made: float = 0, **status: Any) -> Object:
    rest = {"uid": "uid-thing", "generation": 1, "creationTimestamp": at(made)}
    return obj(kind, "top", api_version="a.example/v1", status=status or None, **rest)


def named(kind: str = "Thing") -> ObjectName:
    return ObjectName("a.example/v1", kind, "here", "top")


def of(owner: Object, kind: str, name: str, api_version: str = "", **rest: Any) -> Object:
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {"name": owner["metadata"]["name"], "uid": "u"}
    return obj(kind, name, api_version=api_version, uid=f"uid-{name}", ownerReferences=[reference], **rest)


def pod(owner: Object, name: str = "a", ready: bool = True, **state: Any) -> Object:
    running = state or {"running": {"startedAt": at(-3600)}}
    container = {"name": "main", "image": "a:1", "containerID": "c://1", "ready": ready, "state": running}
    spec = {"containers": [{"name": "main", "image": "a:1"}]}
    status = conditions(Ready=str(ready)) | {"phase": "Running", "containerStatuses": [container]}
    return of(owner, "Pod", name, spec=spec, status=status)


async def test_a_new_one_of_which_nothing_was_heard_is_not_ready_at_once() -> None:
    seen = thing(observedGeneration=1)
    cluster = StubCluster(
        lambda s: [thing()] if s < 4 else [seen, pod(seen, ready=False)] if s < 8 else [seen, pod(seen)]
    )
    assert 8 <= await cluster.wait(named()) <= 9
    assert cluster.news == ["Thing top: its controller has told nothing of it yet", "Thing top: 0/1 pods ready"]


async def test_one_whose_controller_never_tells_is_waited_for_within_a_bound() -> None:
    cluster = StubCluster(lambda _: [thing()])
    assert 10 <= await cluster.wait(named()) <= 13


@pytest.mark.parametrize("found", [thing("SilentThing"), thing(made=-3600), thing(observedGeneration=1)])
async def test_one_that_has_nothing_to_tell_or_told_it_or_is_there_for_long_costs_no_wait(found: Object) -> None:
    cluster = StubCluster(lambda _: [found])
    assert await cluster.wait(named(found["kind"])) == 1
    assert cluster.opened == 0


async def test_pods_of_a_workload_that_another_custom_resource_made_are_waited_for() -> None:
    top = thing(made=-3600)
    part = of(top, "Part", "part", "b.example/v1")
    shards = of(part, "StatefulSet", "shard", spec={"selector": {}, "replicas": 1}, generation=1)
    broken = {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image name a::1"}}
    cluster = StubCluster(lambda _: [top, part, shards, pod(shards, "shard-0", False, **broken)])
    with pytest.raises(Blocked) as caught:
        await cluster.wait(named())
    assert "shard-0" in caught.value.summary


async def test_what_the_definition_says_decides_alone() -> None:
    rules = Rules(ready={"Thing": ReadyRule(fields={"status.state": "ready"}, pods=2)})
    one, two = pod(thing(), "a"), pod(thing(), "b")
    cluster = StubCluster(
        lambda s: (
            [thing(state="new")]
            if s < 3
            else [thing(state="ready"), one]
            if s < 6
            else [thing(state="ready"), one, two]
        )
    )
    assert 6 <= await cluster.wait(named(), rules=rules) <= 7
    assert cluster.news == ["Thing top: status.state: 'new', and is to be 'ready'", "Thing top: 1/2 pods ready"]
