"""The faults of benchmarks/faults.py: each breaks the real platform in one way, and says when that could be seen."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.incidents import book_of
from carbon_platform.health.status import condition
from carbon_platform.local import supervision
from carbon_platform.local.cluster import existing
from carbon_platform.session import Session
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Platform

_DOWN_SECONDS = 30.0
_SOON = 0.1


@dataclasses.dataclass(frozen=True)
class Scene:
    """What faults act on."""

    platform: Platform
    session: Session
    round: int = 1

    async def delete(self, kind: str, namespace: str, name: str, **body: Any) -> None:
        """Delete as kubectl does."""
        resource = await self.session.api.resource(_VERSIONS[kind], kind)
        await self.session.api.request("DELETE", resource.path(namespace, name), body=body or None)

    async def patch(self, kind: str, namespace: str, name: str, patch: object) -> None:
        """A merge patch by somebody who is not Carbon."""
        await self.session.api.patch(ObjectName(_VERSIONS[kind], kind, namespace, name), patch, manager="kubectl-edit")

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """A live object, which must be there."""
        found = await self.session.api.get(ObjectName(_VERSIONS[kind], kind, namespace, name))
        assert found is not None, f"{kind} {namespace}/{name} is not there"
        return found


_VERSIONS = {
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
}

Inject = Callable[[Scene], Awaitable[float]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to break something. `inject` returns when the API could show it, in seconds since the epoch."""

    name: str
    component: str
    inject: Inject
    pods: tuple[str, ...]
    """Parts of names of pods that it may touch; all others are bystanders."""
    needs_healing: bool = True


async def _pod_killed(scene: Scene) -> float:
    now = time.time()
    await scene.delete("Pod", "data-platform", "redis-0", gracePeriodSeconds=0)
    return now


async def _stateful_set_deleted(scene: Scene) -> float:
    now = time.time()
    await scene.delete("StatefulSet", "data-platform", "zookeeper", propagationPolicy="Background")
    return now


async def _selector_edited(scene: Scene) -> float:
    now = time.time()
    selector = {"app.kubernetes.io/instance": "somebody-else"}
    await scene.patch("Service", "data-platform", "minio-service", {"spec": {"selector": selector}})
    return now


async def _alias_to_dead_host(scene: Scene) -> float:
    now = time.time()
    dead = {"spec": {"externalName": "dead.kong.svc.cluster.local"}}
    await scene.patch("Service", "data-platform", "postgres-workflow-service", dead)
    return now


async def _config_map_edited(scene: Scene) -> float:
    name = next(
        one["metadata"]["name"]
        for one in await scene.session.api.list("v1", "ConfigMap", "data-platform")
        if "redis.conf" in (one.get("data") or {})
    )
    now = time.time()
    await scene.patch("ConfigMap", "data-platform", name, {"data": {"redis.conf": "port 1\n"}})
    return now


async def _scaled_to_nothing(scene: Scene) -> float:
    now = time.time()
    await scene.patch("StatefulSet", "data-platform", "object-store", {"spec": {"replicas": 0}})
    return now


async def _postgres_down(scene: Scene) -> float:
    """Every process of its server is stopped for half a minute: the pod stays, and answers nothing."""
    pod = await scene.get("Pod", "kong", "postgres-0")
    stopped = _processes(pod["metadata"]["uid"])
    assert stopped, "the processes of the pod are not on this machine"
    began = time.time()
    _signal(stopped, signal.SIGSTOP)
    try:
        seen = None
        while time.time() - began < _DOWN_SECONDS:
            now = await scene.get("Pod", "kong", "postgres-0")
            if seen is None and condition(now, "Ready").get("status") != "True":
                seen = time.time()
            await asyncio.sleep(_SOON)
    finally:
        _signal(stopped, signal.SIGCONT)
    return seen or time.time()


def _processes(uid: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = f"pod{uid}" in (entry / "cgroup").read_text(encoding="ascii")
                if inside and (entry / "comm").read_text(encoding="utf-8").strip() != "pause":
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


async def _broker_lost(scene: Scene) -> float:
    now = time.time()
    await scene.delete("Pod", "kafka", "kafka-1", gracePeriodSeconds=0)
    return now


async def _bad_image(scene: Scene) -> float:
    live = await scene.get("Deployment", "data-platform", "iceberg-rest")
    container = live["spec"]["template"]["spec"]["containers"][0]["name"]
    template = {"spec": {"containers": [{"name": container, "image": "localhost/carbon/iceberg-rest:gone"}]}}
    resource = await scene.session.api.resource("apps/v1", "Deployment")
    now = time.time()
    await scene.session.api.request(
        "PATCH",
        resource.path("data-platform", "iceberg-rest"),
        params={"fieldManager": "kubectl-set"},
        body={"spec": {"template": template}},
        content_type="application/strategic-merge-patch+json",
    )
    return now


async def _ray_head_killed(scene: Scene) -> float:
    pods = await scene.session.api.list("v1", "Pod", "ml-platform", labels="ray.io/node-type=head")
    now = time.time()
    await scene.delete("Pod", "ml-platform", pods[0]["metadata"]["name"], gracePeriodSeconds=0)
    return now


async def _api_server_down(scene: Scene) -> float:
    layout = existing(settings().local_cluster, settings().cache, lambda _: None).layout
    with supervision.away(layout, "kube-apiserver"):
        await asyncio.sleep(_DOWN_SECONDS)  # how long it is away is the fault itself
    await scene.session.api.request("GET", "/readyz")
    return time.time()


def daemons() -> list[int]:
    """Dagster's daemons that run on Carbon's own state, on this machine."""
    home = f"DAGSTER_HOME={settings().dagster_home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"carbon_platform.daemon" in words and home in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


async def _daemon_killed(scene: Scene) -> float:
    """Something breaks, and the daemon dies while it is healed: at another moment each round.

    As soon as it was decided, when there is no run yet; once the run has begun; once it has put back what broke.
    """
    now = time.time()
    book = book_of(settings(), scene.session.cluster_id)
    await scene.patch("StatefulSet", "data-platform", "zookeeper", {"spec": {"replicas": 0}})

    async def reached() -> bool:
        attempts = [a for i in book.incidents(only_open=True) if i.component == "zookeeper" for a in i.attempts]
        if scene.round % 3 == 1:
            return bool(attempts)
        if scene.round % 3 == 2:
            return any(attempt.started_at for attempt in attempts)
        return bool((await scene.get("StatefulSet", "data-platform", "zookeeper"))["spec"]["replicas"])

    while not await reached():
        assert time.time() - now < 60, "it is not healed"
        await asyncio.sleep(_SOON / 5)
    for pid in daemons():
        os.kill(pid, signal.SIGKILL)
    return now


FAULTS = (
    Fault("pod killed", "redis", _pod_killed, ("/redis-",)),
    Fault("StatefulSet deleted", "zookeeper", _stateful_set_deleted, ("/zookeeper-",)),
    Fault("Service selector edited", "object_store", _selector_edited, ()),
    Fault("alias pointed at a dead host", "postgres", _alias_to_dead_host, ()),
    Fault("ConfigMap edited", "redis", _config_map_edited, ()),
    Fault("StatefulSet scaled to 0", "object_store", _scaled_to_nothing, ("/object-store-",)),
    Fault("PostgreSQL down for 30 s", "postgres", _postgres_down, ("/postgres-0",)),
    Fault("Kafka broker lost", "kafka", _broker_lost, ("/kafka-1",)),
    Fault("bad image by hand", "iceberg_rest", _bad_image, ("/iceberg-rest-",)),
    Fault("Ray head killed", "ray_cluster", _ray_head_killed, ("/ml-cluster-", "/ray-cluster-")),
    Fault("API server down for 30 s", "postgres", _api_server_down, (), needs_healing=False),
    Fault("daemon killed in mid-heal", "zookeeper", _daemon_killed, ("/zookeeper-",)),
)
"""In the order in which they are injected."""
