"""Functional checks of Ray: a cluster is whole, and a job runs on all of its nodes."""

import asyncio
import contextlib
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.ray_session import Head, Node, RayCheck, condition, probe_name, stale_probes
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted

_PAUSE = 0.25
_TASK_SECONDS = 30
"""What a node may take to start a Python process and run a task in it."""

_JOIN_SECONDS = 30
"""What a node may take to join, whose pod is ready: a worker learns late that its head is another one."""

_MARKER = "carbon-probe-ran "
_PROBE = f"""
import os
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
import json, time, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
ray.init(log_to_driver=False)
@ray.remote(num_cpus=0)
def where():
    return ray.util.get_node_ip_address()
alive = lambda: {{n["NodeID"]: n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}}
until = time.monotonic() + {_JOIN_SECONDS}
while not set(%s) <= set(alive().values()) and time.monotonic() < until:
    time.sleep(0.5)
there = alive()
on = lambda node: NodeAffinitySchedulingStrategy(node, soft=False)
runs = {{where.options(scheduling_strategy=on(node)).remote(): address for node, address in there.items()}}
done, late = ray.wait(list(runs), num_returns=len(runs), timeout={_TASK_SECONDS})
failed = {{}}
for one in done:
    try:
        ray.get(one)
    except Exception as error:
        failed[runs[one]] = str(error).splitlines()[0][:200]
failed.update((runs[one], "no answer within {_TASK_SECONDS} s") for one in late)
print("{_MARKER}" + json.dumps({{"alive": sorted(there.values()), "failed": failed}}))
"""
"""What the job runs, given the addresses to wait for: a task on every node that is alive.

Ray keeps the log of every driver: a probe's is kept short.
"""


def desired_workers(cluster: Object) -> int:
    """How many workers the RayCluster asks for now; Ray itself writes `replicas` where it scales."""

    def of(group: Mapping[str, Any]) -> int:
        replicas = max(group.get("replicas") or 0, group.get("minReplicas") or 0)
        return int(min(replicas, group.get("maxReplicas", replicas)) * group.get("numOfHosts", 1))

    return sum(of(group) for group in cluster["spec"].get("workerGroupSpecs") or ())


class Cluster(RayCheck):
    """Head and workers are there as declared, ready, and made of the present declaration.

    It goes by the pods: the operator's own `state` stays `ready` when they are gone, and all it says stays when it is.
    """

    summary: ClassVar[str] = "The head and every declared worker are ready."

    workers: int = Field(ge=0, description="Workers there must be at least.")

    async def run(self, reach: Reach) -> Passed:
        cluster = await self.declared(reach)
        nodes = await self.nodes(reach)
        self._operator_says(cluster)
        heads = [one for one in nodes if not one.worker]
        workers = [one for one in nodes if one.worker]
        wanted = max(self.workers, desired_workers(cluster))
        self._ready("head", heads, 1)
        self._ready("worker", workers, wanted)
        self._current(cluster, nodes)
        many = counted(len(workers), "worker")
        return Passed(f"head and {many} ready", {"workers": len(workers), "declared": wanted})

    def _operator_says(self, cluster: Object) -> None:
        if cluster["spec"].get("suspend"):
            raise CheckFailed(f"RayCluster {self.cluster} is suspended", "its spec says so", "resume it")
        refused = condition(cluster, "ReplicaFailure")
        if refused.get("status") == "True":
            cause = str(refused.get("message") or refused.get("reason"))
            raise CheckFailed(f"the operator can't make the pods of RayCluster {self.cluster}", cause, "see its log")
        head = condition(cluster, "HeadPodReady")
        if head.get("status") != "True":
            cause = str(head.get("message") or head.get("reason") or "the operator has said nothing of it")
            raise CheckFailed(f"the head of RayCluster {self.cluster} is not ready", cause, "see its pod and its log")

    def _ready(self, what: str, nodes: Sequence[Node], wanted: int) -> None:
        ready = [one for one in nodes if not one.trouble]
        if len(ready) >= wanted:
            return
        troubles = [f"pod {one.pod}: {one.trouble}" for one in nodes if one.trouble]
        missing = wanted - len(nodes)
        if missing > 0:
            troubles.append(f"{missing} {what} pod{'s are' if missing > 1 else ' is'} missing")
        raise CheckFailed(
            f"{len(ready)} of {wanted} {what}s of RayCluster {self.cluster} are ready",
            "; ".join(troubles),
            "see these pods; where they are missing, the operator and its log",
        )

    def _current(self, cluster: Object, nodes: Sequence[Node]) -> None:
        """The operator leaves pods alone that were made of an earlier template; annotations tell these apart."""
        spec = cluster["spec"]
        templates = [spec["headGroupSpec"], *(spec.get("workerGroupSpecs") or ())]
        marks = [((t["template"].get("metadata") or {}).get("annotations") or {}).items() for t in templates]
        old = [one.pod for one in nodes if not any(mark <= one.annotations.items() for mark in marks)]
        if old:
            raise CheckFailed(
                f"pods of RayCluster {self.cluster} are of an earlier declaration",
                f"{', '.join(old)}: the operator does not replace running pods",
                f"carbon up; or delete them, it makes them anew: kubectl delete pod {' '.join(old)}",
            )


class Job(RayCheck):
    """A job reaches its end, having run a task on the head and on every worker; it is forgotten afterwards."""

    summary: ClassVar[str] = "A job that is sent by REST succeeds, and has run on every node."

    workers: int = Field(ge=0, description="Workers it must have run on at least.")
    patience: float = Field(80, gt=0, description="Seconds for the job to end.")

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with self.head(reach) as head:
            for stale in stale_probes(await head.jobs(), time.time()):
                with contextlib.suppress(CheckFailed):  # another probe may be at it
                    await self._forget(head, stale)
            name = probe_name()
            awaited = [one.address for one in await self.nodes(reach) if not one.trouble]
            await head.submit(name, f"python -c {shlex.quote(_PROBE % awaited)}")
            try:
                printed = await self._ended(head, name)
            except BaseException:
                with contextlib.suppress(CheckFailed):  # what failed first is what is told
                    await self._forget(head, name)
                raise
            await head.forget(name)
        took = time.perf_counter() - began
        ran = self._everywhere(outcome(printed), await self.nodes(reach))
        return Passed(
            f"a job ran on the head and on {ran} workers", {"workers": ran, "nodes": ran + 1, "job_s": round(took, 2)}
        )

    async def _ended(self, head: Head, name: str) -> str:
        """What the job has printed, once it has succeeded."""
        deadline = time.monotonic() + self.patience
        while True:
            job = await head.job(name)
            status = str(job.get("status"))
            if status == "SUCCEEDED":
                return await head.logs(name)
            if status in {"FAILED", "STOPPED"}:
                said = " ".join(str(job.get("message") or (await head.logs(name))[-300:]).split())[-300:]
                raise CheckFailed("a job failed on the Ray cluster", f"{status}: {said}", "see the head's log")
            if time.monotonic() >= deadline:
                cause = f"it is {status}: {job.get('message') or 'no reason told'}"
                fix = "see whether the cluster is busy or out of memory"
                raise CheckFailed(f"a job did not end within {self.patience:g} s", cause, fix)
            await asyncio.sleep(_PAUSE)

    @staticmethod
    async def _forget(head: Head, name: str) -> None:
        """End a job if it still runs, and remove what is remembered of it."""
        await head.stop(name)
        for _ in range(20):
            if str((await head.job(name)).get("status")) in {"SUCCEEDED", "FAILED", "STOPPED"}:
                break
            await asyncio.sleep(_PAUSE)
        await head.forget(name)

    def _everywhere(self, told: Mapping[str, Any], nodes: Sequence[Node]) -> int:
        """How many workers it ran on; all that are there, and as many as declared. Raises CheckFailed."""
        alive, failed = set(told["alive"]), dict(told["failed"])
        pods = {one.address: one for one in nodes if one.address}
        absent = [f"pod {one.pod} has not joined" for address, one in pods.items() if address not in alive]
        late = [f"{_called(address, pods)}: {why}" for address, why in sorted(failed.items())]
        ran = [address for address in alive - set(failed) if address in pods and pods[address].worker]
        if absent or late or len(ran) < self.workers:
            raise CheckFailed(
                f"a job ran on {len(ran)} workers of RayCluster {self.cluster}, declared are {self.workers}",
                "; ".join([*absent, *late]) or "there are no more",
                "see these pods, and whether they reach the head",
            )
        return len(ran)


def _called(address: str, pods: Mapping[str, Node]) -> str:
    return f"pod {pods[address].pod}" if address in pods else f"node {address}, which has no pod"


def outcome(printed: str) -> Mapping[str, Any]:
    """What the probe's job told of the nodes. Raises CheckFailed when it told nothing."""
    lines = [line for line in printed.splitlines() if line.startswith(_MARKER)]
    try:
        told = json.loads(lines[0].removeprefix(_MARKER))
        return {"alive": list(told["alive"]), "failed": dict(told["failed"])}
    except (ValueError, IndexError, KeyError, TypeError):
        cause = f"it printed {printed[-200:]!r}"
        raise CheckFailed("a job succeeded without doing its work", cause, "see the head's log") from None


CHECKS = {"cluster": Cluster, "job": Job}
