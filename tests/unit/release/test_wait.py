"""A wait ends when what was deployed is ready and steady, or with the cause why it never will be."""

from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import NotReady
from carbon_platform.health.cause import Cause, Kind, root
from carbon_platform.release import wait
from tests.objects import conditions, obj, workload
from tests.unit.release.stub_cluster import StubCluster, at


def cause(kind: Kind) -> Cause:
    return Cause(kind, ObjectName("apps/v1", "Deployment", "here", "app"), "it is so", "mend it")


def test_a_stuck_rollout_is_told_only_when_nothing_explains_it() -> None:
    stuck, image, crash = cause(Kind.ROLLOUT), cause(Kind.IMAGE), cause(Kind.CRASH_LOOP)
    assert root([stuck]) is stuck
    assert root([stuck, image]) is image
    assert root([crash, stuck, image]) is crash


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass by the stub's clock alone."""
    monkeypatch.setattr(wait, "_LOOK_AGAIN", 0)


NAME = ObjectName("apps/v1", "StatefulSet", "here", "shard")
PROBE = {"httpGet": {"path": "/ready", "port": 80}}


def shards(replicas: int = 1) -> Object:
    """Ready, if one asks its controller."""
    seen = {"observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "shard"}}}
    revisions = {"currentRevision": "one", "updateRevision": "one"}
    return workload("StatefulSet", "shard", uid="uid-set", generation=1, spec=spec, status=seen | revisions)


def shard(number: int, status: dict[str, Any], ready: bool = True, **container: Any) -> Object:
    name = f"shard-{number}"
    seen = {"name": "main", "image": "a:1", "containerID": "containerd://1", "restartCount": 0, "lastState": {}}
    told = conditions(Ready=str(ready)) | {"phase": "Running", "containerStatuses": [seen | {"ready": ready} | status]}
    labels = {"app": "shard", "controller-revision-hash": "one"}
    spec = {"containers": [{"name": "main", "image": "a:1"} | container]}
    return obj("Pod", name, uid=f"uid-{name}", labels=labels, spec=spec, status=told)


def runs(since: float, **more: Any) -> dict[str, Any]:
    return {"state": {"running": {"startedAt": at(since)}}, **more}


def event(about: Object, reason: str, message: str, last: float) -> Object:
    made = obj("Event", f"{about['metadata']['name']}.{reason}", creationTimestamp=at(last))
    involved = {"uid": about["metadata"]["uid"], "fieldPath": "spec.containers{main}"}
    return made | {"involvedObject": involved, "reason": reason, "message": message, "lastTimestamp": at(last)}


def ends(began: float, finished: float, code: int, reason: str = "Error") -> dict[str, Any]:
    times = {"startedAt": at(began), "finishedAt": at(finished)}
    return {"terminated": {"exitCode": code, "reason": reason} | times}


def crashing(number: int, seconds: float, lasts: float, code: int, reason: str = "Error", **container: Any) -> Object:
    """A container without a readiness probe that runs so long each time: ready meanwhile, and then the kubelet pauses.

    Its first restart comes at once, then the pauses are 10 s, 20 s, 40 s, …
    """
    began, pause, count, before = 0.0, 0.0, 0, dict[str, Any]()
    while seconds >= began + lasts:
        before = ends(began, began + lasts, code, reason)
        pause = min(max(10.0, 2 * pause), 300.0) if count else 0.0
        if seconds < began + lasts + pause:
            said = f"back-off {pause:.0f}s restarting failed container=main"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": said}}
            return shard(number, {"state": state, "restartCount": count, "lastState": before}, False, **container)
        began, count = began + lasts + pause, count + 1
    return shard(number, runs(began, restartCount=count, lastState=before), True, **container)


async def test_what_runs_for_long_costs_no_wait_and_no_watch() -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(-3600))])
    assert await cluster.wait(NAME) == 1
    assert cluster.opened == 0
    assert cluster.news == []


@pytest.mark.parametrize("container", [{"readinessProbe": PROBE}, {"startupProbe": PROBE, "livenessProbe": PROBE}])
async def test_what_is_asked_and_answers_is_steady_as_soon_as_it_is_ready(container: dict[str, Any]) -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(0), **container)])
    assert await cluster.wait(NAME) == 1
    assert cluster.opened == 0


async def test_a_simulated_pod_is_steady_as_soon_as_it_is_ready() -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(0, containerID=""))])
    assert await cluster.wait(NAME) == 1
    assert cluster.opened == 0


async def test_what_nothing_asks_has_to_outlive_its_start_and_says_so_once() -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(0))])
    assert 10 <= await cluster.wait(NAME) <= 12
    assert len(cluster.news) == 1
    assert "container main of pod shard-0 has to run on" in cluster.news[0]


@pytest.mark.parametrize("wrong", [-3600, 3600])
async def test_a_node_with_a_wrong_clock_holds_nothing_up(wrong: float) -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(wrong))])
    assert await cluster.wait(NAME) <= 13


async def test_a_second_pod_that_ends_each_time_is_the_cause() -> None:
    """It counts as ready while it runs, and its controller may say so for longer."""
    cluster = StubCluster(lambda t: [shards(2), shard(0, runs(0)), crashing(1, t, 1, 4)], log="no line for ordinal 1")
    with pytest.raises(NotReady) as caught:
        await cluster.wait(NAME)
    assert caught.value.summary == "Pod here/shard-1 can't become ready: crash loop"
    assert "exit code 4" in caught.value.cause
    assert "main: no line for ordinal 1" in caught.value.evidence


async def test_a_second_pod_that_is_not_there_is_waited_for_whatever_the_controller_says() -> None:
    cluster = StubCluster(lambda t: [shards(2), shard(0, runs(-99))] + [shard(1, runs(-99))] * (t > 20), stops=99)
    assert 20 < await cluster.wait(NAME) < 24
    assert cluster.news == ["StatefulSet shard: 1/2 pods ready"]


async def test_a_container_that_is_killed_for_its_memory_each_time_is_the_cause() -> None:
    limit = {"resources": {"limits": {"memory": "64Mi"}}}
    cluster = StubCluster(lambda t: [shards(), crashing(0, t, 3, 137, "OOMKilled", **limit)])
    with pytest.raises(NotReady, match="out of memory") as caught:
        await cluster.wait(NAME)
    assert "more memory than its limit of 64Mi" in caught.value.cause


async def test_a_liveness_probe_that_restarts_what_is_ready_is_the_cause() -> None:
    """It is asked later than the readiness probe, which passes each time."""
    liveness = {"httpGet": {"path": "/helthz", "port": 80}, "initialDelaySeconds": 12, "periodSeconds": 2}

    def story(seconds: float) -> list[Object]:
        pod = crashing(0, seconds, 17, 137, livenessProbe=liveness, readinessProbe=PROBE)
        failed = "Liveness probe failed: HTTP probe failed with statuscode: 404"
        restarts = "Container main failed liveness probe, will be restarted"
        asked = [13.0, 15.0, 30.0, 32.0, 57.0]
        told = [event(pod, "Unhealthy", failed, last) for last in asked if last <= seconds]
        return [shards(), pod, *told, *(event(pod, "Killing", restarts, last) for last in (16, 33) if last <= seconds)]

    cluster = StubCluster(story)
    with pytest.raises(NotReady) as caught:
        await cluster.wait(NAME)
    assert caught.value.summary == "Pod here/shard-0 can't become ready: failing liveness probe"
    assert "(HTTP GET /helthz on port 80) fails: HTTP probe failed with statuscode: 404" in caught.value.cause
    assert "path of the liveness probe" in caught.value.fix
    assert cluster.seconds < 60


async def test_a_container_that_needed_a_second_start_is_steady_once_it_outlived_the_first() -> None:
    again = runs(20, restartCount=1, lastState=ends(0, 19, 1))
    cluster = StubCluster(lambda _: [shards(), shard(0, again, readinessProbe=PROBE)])
    cluster.seconds = 20
    assert 20 + 19 + 5 <= await cluster.wait(NAME) <= 20 + 19 + 7


async def test_at_the_deadline_what_may_pass_by_itself_is_told_with_how_it_is() -> None:
    def story(seconds: float) -> list[Object]:
        pod = shard(0, runs(0, started=True), False, readinessProbe=PROBE)
        owner = shards()
        owner["status"]["readyReplicas"] = 0
        return [
            owner,
            pod,
            event(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404", 5),
        ]

    cluster = StubCluster(story)
    with pytest.raises(NotReady, match="failing readiness probe") as caught:
        await cluster.wait(NAME, deadline=0.05)
    assert "(HTTP GET /ready on port 80) fails: HTTP probe failed with statuscode: 404" in caught.value.cause
    assert "StatefulSet here/shard: 0/1 pods ready after 0.05 s" in caught.value.evidence


async def test_at_the_deadline_what_has_no_cause_yet_is_told_as_late() -> None:
    cluster = StubCluster(lambda _: [shards(), shard(0, runs(0))], stops=3)
    with pytest.raises(NotReady, match="deadline passed") as caught:
        await cluster.wait(NAME, deadline=0.05)
    assert "has to run on" in caught.value.cause
