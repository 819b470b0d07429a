import shlex
import time
from collections.abc import Callable

import pytest

from carbon_platform.checks.base import Check
from carbon_platform.checks.ray import Cluster, Job, desired_workers
from carbon_platform.checks.ray_session import probe_name, stale_probes
from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CheckFailed
from tests.unit.checks.declared import declared
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_ray import (
    RayReach,
    StubHead,
    conditions,
    pod,
    ray_cluster,
    told,
)

CLUSTER = Cluster(type="ray.cluster", cluster="ml", workers=1)
VERSION = declared("ray_cluster", "ray_version")
JOB = Job(type="ray.job", cluster="ml", workers=1)
HEAD = pod("ml-head-a", "10.0.0.1", kind="head")
WORKER = pod("ml-worker-b", "10.0.0.2")
OLD = f"carbon-probe-{int(time.time()) - 4000}-0badcafe"


async def failure_of(check: Check, reach: RayReach) -> CheckFailed:
    with pytest.raises(CheckFailed) as failure:
        await check.run(reach)
    return failure.value


def test_only_names_of_old_probes_are_stale() -> None:
    names = [OLD, probe_name(), "ml-cluster", f"{OLD}-head-svc", "raysubmit_a1b2", "None"]
    assert stale_probes(names, time.time()) == [OLD]


# The cluster


async def test_a_whole_cluster_passes() -> None:
    passed = await CLUSTER.run(RayReach(ray_cluster(), [HEAD, WORKER]))
    assert passed.evidence == {"workers": 1, "declared": 1}


UNREADY = pod("ml-worker-c", "10.0.0.3", ready="False")
WAITING = {**UNREADY, "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}}
ENDING = {**WORKER, "metadata": {**WORKER["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("cluster", "pods", "said"),
    [
        (None, [HEAD, WORKER], "RayCluster ml is not there"),
        (ray_cluster(**conditions(HeadPodReady="False")), [HEAD, WORKER], "HeadPodReady!"),
        (ray_cluster(conditions=[], state="ready"), [HEAD, WORKER], "has said nothing of it"),
        (ray_cluster(**conditions(HeadPodReady="True", ReplicaFailure="True")), [HEAD], "ReplicaFailure!"),
        (ray_cluster(), [], "1 head pod is missing"),
        (ray_cluster(), [pod("ml-head-a", "10.0.0.1", "head", ready="False"), WORKER], "pod ml-head-a: Ready!"),
        (ray_cluster(), [HEAD], "1 worker pod is missing"),
        (ray_cluster(replicas=3), [HEAD, WORKER], "2 worker pods are missing"),
        (ray_cluster(), [HEAD, UNREADY], "pod ml-worker-c: Ready!"),
        (ray_cluster(), [HEAD, WAITING], "pod ml-worker-c: ErrImagePull"),
        (ray_cluster(), [HEAD, ENDING], "pod ml-worker-b: is being deleted"),
        (ray_cluster(), [HEAD, pod("ml-worker-d", "10.0.0.4", mark="before")], "ml-worker-d: the operator does not"),
    ],
)
async def test_a_cluster_that_is_not_whole_fails_and_names_what_is_missing(
    cluster: Object | None, pods: list[Object], said: str
) -> None:
    failure = await failure_of(CLUSTER, RayReach(cluster, pods))
    assert said in f"{failure.summary}: {failure.cause}"


async def test_a_status_that_a_dead_operator_left_behind_is_not_believed() -> None:
    left = ray_cluster(state="ready", readyWorkerReplicas=1, desiredWorkerReplicas=1)
    left["status"] |= conditions(HeadPodReady="True")
    assert "1 worker pod is missing" in (await failure_of(CLUSTER, RayReach(left, [HEAD]))).cause


async def test_a_suspended_cluster_is_told_so() -> None:
    cluster = ray_cluster()
    cluster["spec"]["suspend"] = True
    assert "is suspended" in (await failure_of(CLUSTER, RayReach(cluster))).summary


async def test_fewer_workers_than_declared_fail_though_the_operator_wants_no_more() -> None:
    check = Cluster(type="ray.cluster", cluster="ml", workers=2)
    assert "1 of 2 workers" in (await failure_of(check, RayReach(ray_cluster(), [HEAD, WORKER]))).summary


@pytest.mark.parametrize(("replicas", "maximum", "wanted"), [(0, 4, 1), (2, 4, 2), (9, 4, 4)])
def test_desired_workers_are_within_the_bounds(replicas: int, maximum: int, wanted: int) -> None:
    assert desired_workers(ray_cluster(replicas, maximum)) == wanted


# The head


async def run(check: Check, head: Callable[[Request], Answer], reach: RayReach | None = None) -> dict[str, object]:
    there = reach or RayReach(ray_cluster(), [HEAD, WORKER])
    with serving(head) as port:
        there._ports = {"ml-head-svc": port, "dashboard": port}
        return dict((await check.run(there)).evidence)


async def refusal(check: Check, head: Callable[[Request], Answer], reach: RayReach | None = None) -> CheckFailed:
    with pytest.raises(CheckFailed) as failure:
        await run(check, head, reach)
    return failure.value


async def test_the_declared_version_passes() -> None:
    assert (await run(VERSION, StubHead()))["version"] == "2.60.0"


@pytest.mark.parametrize("version", [{"ray_version": "2.9.0"}, {"ray_version": ""}, {}])
async def test_another_version_fails_with_both(version: dict[str, str]) -> None:
    head = StubHead()
    head.version = version
    refused = await refusal(VERSION, head)
    assert refused.summary == "the head runs another Ray than declared, which is 2.60.0"
    assert str(version.get("ray_version") or "HTTP 200") in refused.cause


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: (500, {"error": "GCS is down"}), "GCS is down"),
        (lambda request: (200, "hello"), "was answered with something else"),
        (lambda request: (200, None), "was answered with something else"),
    ],
)
async def test_a_head_that_refuses_or_is_none_fails(answer: Callable[[Request], Answer], said: str) -> None:
    assert said in (await refusal(JOB, answer)).cause
    assert await refusal(VERSION, answer)


@pytest.mark.parametrize("check", [VERSION, JOB], ids=["version", "job"])
async def test_a_head_that_is_not_there_fails(check: Check) -> None:
    reach = RayReach(ray_cluster())
    assert "leads nowhere" in (await failure_of(check, reach)).summary
    with serving(StubHead()) as port:
        reach._ports = {"ml-head-svc": port, "dashboard": port}
    assert "does not answer" in (await failure_of(check, reach)).summary


async def test_a_job_that_ran_everywhere_passes_and_is_forgotten_with_those_of_killed_probes() -> None:
    head = StubHead(told("10.0.0.1", "10.0.0.2"))
    head.jobs = {OLD: "RUNNING", "raysubmit_users": "RUNNING"}
    evidence = await run(JOB, head)
    assert evidence["workers"] == 1
    assert evidence["nodes"] == 2
    assert head.jobs == {"raysubmit_users": "RUNNING"}


async def test_what_the_job_runs_is_python_that_compiles() -> None:
    head = StubHead(told("10.0.0.1", "10.0.0.2"))
    await run(JOB, head)
    program, option, text = shlex.split(head.submitted[0])
    assert (program, option) == ("python", "-c")
    compile(text, "job", "exec")


async def test_the_job_waits_for_the_nodes_whose_pods_are_ready() -> None:
    head = StubHead(told("10.0.0.1", "10.0.0.2"))
    with pytest.raises(CheckFailed, match="ml-worker-c has not joined"):
        await run(JOB, head, RayReach(ray_cluster(), [HEAD, WORKER, UNREADY]))
    assert str(["10.0.0.1", "10.0.0.2"]) in shlex.split(head.submitted[0])[2]


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (told("10.0.0.1"), "pod ml-worker-b has not joined"),
        (told("10.0.0.2"), "pod ml-head-a has not joined"),
        (told("10.0.0.1", "10.0.0.2", **{"10_0_0_2": "no answer within 20 s"}), "pod ml-worker-b: no answer"),
        (told("10.0.0.1", "10.0.0.2", "10.0.0.7", **{"10_0_0_7": "died"}), "node 10.0.0.7, which has no pod: died"),
    ],
)
async def test_a_job_that_did_not_run_everywhere_fails_and_names_where(printed: str, said: str) -> None:
    assert said in (await refusal(JOB, StubHead(printed))).cause


async def test_fewer_workers_than_declared_fail_though_all_that_are_there_did_their_part() -> None:
    reach = RayReach(ray_cluster(), [HEAD])
    failure = await refusal(JOB, StubHead(told("10.0.0.1")), reach)
    assert failure.summary == "a job ran on 0 workers of RayCluster ml, declared are 1"


@pytest.mark.parametrize("printed", ["", "hello", "carbon-probe-ran {", 'carbon-probe-ran {"alive": []}'])
async def test_a_job_that_succeeds_without_doing_its_work_fails(printed: str) -> None:
    assert "without doing its work" in (await refusal(JOB, StubHead(printed))).summary


@pytest.mark.parametrize("ends", ["FAILED", "STOPPED"])
async def test_a_job_that_fails_is_told_with_its_reason_and_forgotten(ends: str) -> None:
    head = StubHead(ends=ends, message="driver exited with 1")
    assert f"{ends}: driver exited with 1" in (await refusal(JOB, head)).cause
    assert not head.jobs


async def test_a_job_that_does_not_end_is_stopped_and_forgotten() -> None:
    head = StubHead(ends="PENDING", message="no room")
    check = Job(type="ray.job", cluster="ml", workers=1, patience=0.1)
    failure = await refusal(check, head)
    assert "did not end within 0.1 s" in failure.summary
    assert failure.cause == "it is PENDING: no room"
    assert not head.jobs
