"""Ray and its operator for real: verified, then broken in ways that leave pods or definitions where they are."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Carbon
from tests.machine.sandbox import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("ray")]

Kubectl = Callable[..., str]
NAMESPACE = ("-n", "ml-platform")
SIGNAL = 'for p in /proc/[0-9]*; do [ "$(cat "$p/comm")" = raylet ] && kill -{} "${{p#/proc/}}"; done; true'


@pytest.fixture(scope="module")
def ray(carbon: Carbon, cluster: Path) -> None:
    """Ray and what it needs, verified; nothing else of the platform has to be."""
    carbon("up", "ray_cluster")


def checks(carbon: Carbon, key: str, code: int | None = None) -> dict[str, dict[str, Any]]:
    """The checks of a component as they are now."""
    (component,) = carbon.json("verify", key, code=code)["components"]
    return {check["name"]: check for check in component["checks"]}


def verified(carbon: Carbon, key: str) -> bool:
    return all(check["passed"] for check in checks(carbon, key).values())


def node(kubectl: Kubectl, kind: str) -> str:
    """The pod of the head, or of the one worker."""
    labels = f"ray.io/cluster=ml-cluster,ray.io/node-type={kind}"
    return kubectl(*NAMESPACE, "get", "pod", "-l", labels, "-o", "jsonpath={.items[0].metadata.name}")


def test_a_job_ran_on_every_node_and_left_nothing(carbon: Carbon, kubectl: Kubectl) -> None:
    told = carbon.json("status", "ray_cluster", "kuberay_operator")["components"]
    components = {component["key"]: component for component in told}
    assert {component["state"] for component in components.values()} == {"verified"}
    assert components["ray_cluster"]["pods"] == {"running": 2, "total": 2}
    assert components["kuberay_operator"]["pods"] == {"running": 1, "total": 1}
    evidence = {check["name"]: check["evidence"] for c in components.values() for check in c["checks"]}
    assert evidence["ray_job"]["nodes"] == 2
    assert evidence["ray_operator"]["reconcile_ms"] > 0
    clusters = kubectl(*NAMESPACE, "get", "rayclusters", "-o", "name").split()
    assert clusters == ["raycluster.ray.io/ml-cluster"]


def test_jobs_leave_no_dead_processes_behind(carbon: Carbon, kubectl: Kubectl) -> None:
    assert verified(carbon, "ray_cluster")
    zombies = "grep --files-with-matches --extended-regexp '^State:.Z' /proc/[0-9]*/status 2> /dev/null; true"

    def dead() -> str:
        return kubectl(*NAMESPACE, "exec", node(kubectl, "head"), "-c", "ray-head", "--", "bash", "-c", zombies)

    until(lambda: not dead().strip())


@pytest.mark.rare
def test_a_worker_joins_the_next_head_without_an_end_of_its_container(carbon: Carbon, kubectl: Kubectl) -> None:
    """The kubelet would start it again later with every head that goes."""

    def container() -> str:
        state = "jsonpath={.metadata.uid} {.status.containerStatuses[0].state.running.startedAt}"
        return kubectl(*NAMESPACE, "get", "pod", node(kubectl, "worker"), "-o", state)

    before = container()
    kubectl(*NAMESPACE, "delete", "pod", node(kubectl, "head"), "--grace-period=0", "--force")
    until(lambda: verified(carbon, "ray_cluster"), 120)
    assert container() == before


@pytest.mark.rare
def test_a_worker_that_is_ended_tells_its_head_first(carbon: Carbon, kubectl: Kubectl) -> None:
    """Its tasks are moved at once; the death of one that is silent is noticed later."""
    told = "import urllib.request as u; print(u.urlopen('http://localhost:8265/api/v0/nodes?detail=1').read().decode())"

    worker = node(kubectl, "worker")
    address = kubectl(*NAMESPACE, "get", "pod", worker, "-o", "jsonpath={.status.podIP}")

    def left() -> str:
        """Why the head counts it as dead; empty while it does not."""
        answer = kubectl(*NAMESPACE, "exec", node(kubectl, "head"), "-c", "ray-head", "--", "python", "-c", told)
        nodes = json.loads(answer)["data"]["result"]["result"]
        return next(one["state_message"] or "" for one in nodes if one["node_ip"] == address)

    kubectl(*NAMESPACE, "delete", "pod", worker)
    until(left)
    assert "received SIGTERM" in left()
    until(lambda: verified(carbon, "ray_cluster"), 120)


@pytest.fixture
def stopped_worker(carbon: Carbon, kubectl: Kubectl) -> Iterator[str]:
    """A worker whose pod runs and whose Ray process does nothing any more."""
    pod = node(kubectl, "worker")
    kubectl(*NAMESPACE, "exec", pod, "-c", "ray-worker", "--", "bash", "-c", SIGNAL.format("STOP"))
    yield pod
    # `ray start` ends with its process, and the kubelet starts it again.
    kubectl(*NAMESPACE, "exec", pod, "-c", "ray-worker", "--", "bash", "-c", SIGNAL.format("KILL"))
    until(lambda: verified(carbon, "ray_cluster"), 120)


def test_a_worker_that_stopped_is_named(stopped_worker: str, carbon: Carbon) -> None:
    job = checks(carbon, "ray_cluster", code=1)["ray_job"]
    assert not job["passed"]
    assert stopped_worker in job["detail"]


@pytest.fixture
def dead_operator(carbon: Carbon, kubectl: Kubectl) -> Iterator[None]:
    kubectl(*NAMESPACE, "scale", "deployment/kuberay-operator", "--replicas=0")
    kubectl(*NAMESPACE, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/instance=kuberay-operator")
    yield
    carbon("up", "ray_cluster")
    assert verified(carbon, "kuberay_operator")
    assert verified(carbon, "ray_cluster")


@pytest.mark.usefixtures("dead_operator")
def test_a_dead_operator_is_noticed_though_its_definitions_stay(carbon: Carbon, kubectl: Kubectl) -> None:
    definition = json.loads(kubectl("get", "crd", "rayclusters.ray.io", "-o", "json"))
    assert {"type": "Established", "status": "True"}.items() <= {
        key: value for c in definition["status"]["conditions"] if c["type"] == "Established" for key, value in c.items()
    }.items()
    found = checks(carbon, "kuberay_operator", code=1)["ray_operator"]
    assert not found["passed"]
    assert "the operator does not act on a new RayCluster" in found["detail"]
    assert kubectl(*NAMESPACE, "get", "rayclusters", "-o", "name").split() == ["raycluster.ray.io/ml-cluster"]


@pytest.mark.rare
def test_a_redeployment_replaces_the_pods_that_the_operator_would_leave(carbon: Carbon, kubectl: Kubectl) -> None:
    def pods() -> set[str]:
        labels = ("-l", "ray.io/cluster=ml-cluster", "-o", "jsonpath={.items[*].metadata.uid}")
        return set(kubectl(*NAMESPACE, "get", "pod", *labels).split())

    before = pods()
    carbon("up", "ray_cluster", "--redeploy")
    assert not before & pods()
    assert verified(carbon, "ray_cluster")
