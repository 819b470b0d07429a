"""How the Ray checks speak with a cluster's head and see its pods, and how a refusal is told."""

import contextlib
import dataclasses
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from carbon_platform.checks.base import Check
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    import httpx2

API = "ray.io/v1"
_PROBE = re.compile(r"^carbon-probe-(\d{9,11})-[0-9a-f]{8}$")
_STALE = 3600.0
"""Seconds after which a probe was killed, and what it left is anybody's to remove."""


def probe_name() -> str:
    """A name for one probe: unique, telling when it was made, and fit for objects and for jobs."""
    return f"carbon-probe-{int(time.time())}-{secrets.token_hex(4)}"


def stale_probes(names: Iterable[str], now: float) -> list[str]:
    """Those names that killed probes left behind. A name that is not a probe's is never among them."""
    found = ((name, _PROBE.match(name)) for name in names)
    return sorted(name for name, match in found if match and now - int(match[1]) > _STALE)


class Head:
    """The HTTP API of a cluster's head. Each method raises CheckFailed with what the head says when it refuses."""

    def __init__(self, http: "httpx2.AsyncClient") -> None:
        self._http = http

    async def jobs(self) -> list[str]:
        """Submission ids of the jobs that it remembers."""
        return [str(job.get("submission_id")) for job in await self._call("GET", "/api/jobs/", list)]

    async def submit(self, submission: str, entrypoint: str) -> None:
        """Start a job under this id."""
        await self._call("POST", "/api/jobs/", dict, {"submission_id": submission, "entrypoint": entrypoint})

    async def job(self, submission: str) -> dict[str, Any]:
        """A job's state: `status` and `message`."""
        return dict(await self._call("GET", f"/api/jobs/{submission}", dict))

    async def logs(self, submission: str) -> str:
        """What a job has printed."""
        return str((await self._call("GET", f"/api/jobs/{submission}/logs", dict)).get("logs") or "")

    async def stop(self, submission: str) -> None:
        """Ask a job to end."""
        await self._call("POST", f"/api/jobs/{submission}/stop", dict)

    async def forget(self, submission: str) -> None:
        """Remove what is remembered of a job that has ended."""
        await self._call("DELETE", f"/api/jobs/{submission}", dict)

    async def _call(self, method: str, path: str, kind: type, body: Any = None) -> Any:
        import httpx2

        try:
            response = await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            cause = f"{method} {path}: {str(error) or type(error).__name__}"
            raise CheckFailed("the Ray head does not answer", cause, "see the head's pod and its log") from error
        if not response.is_success:
            cause = f"{method} {path}: HTTP {response.status_code} {' '.join(response.text.split())[-300:]}"
            raise CheckFailed("the Ray head refused", cause.strip(), "see the head's log")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, kind):
            cause = f"{method} {path} was answered with something else: {response.text[:100]!r}"
            raise CheckFailed("the Ray head does not speak its API", cause, "see what listens there")
        return answer


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """The condition of that type, or nothing."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), {})


@dataclasses.dataclass(frozen=True)
class Node:
    """A pod of a Ray cluster."""

    pod: str
    address: str
    worker: bool
    trouble: str
    """Why it does not count; empty when it is ready."""
    annotations: dict[str, str] = dataclasses.field(default_factory=dict)


def node(pod: Object) -> Node:
    """What a pod of a Ray cluster is, and whether it is ready."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    ready = condition(pod, "Ready")
    trouble = ""
    if metadata.get("deletionTimestamp"):
        trouble = "is being deleted"
    elif ready.get("status") != "True":
        trouble = _waiting(status) or str(ready.get("message") or status.get("phase") or "not ready")
    return Node(
        metadata["name"],
        str(status.get("podIP") or ""),
        (metadata.get("labels") or {}).get("ray.io/node-type") == "worker",
        trouble,
        metadata.get("annotations") or {},
    )


def _waiting(status: dict[str, Any]) -> str:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = ((c.get("state") or {}).get("waiting") or {} for c in containers)
    reasons = [f"{w['reason']} {w.get('message') or ''}".strip() for w in waiting if w.get("reason")]
    return next((r for r in reasons if not r.startswith("PodInitializing")), "")


class RayCheck(Check):
    """What every check of a Ray cluster needs to know: which one."""

    cluster: str = Field(pattern=r"^[a-z][-a-z0-9]*$", description="Name of the RayCluster.")
    port: int = Field(8265, ge=1, le=65535, description="Port of the head's HTTP API.")

    async def declared(self, reach: Reach) -> Object:
        """The live RayCluster. Raises CheckFailed when there is none."""
        found = await reach.get(API, "RayCluster", self.cluster)
        if found is None:
            raise CheckFailed(f"RayCluster {self.cluster} is not there", f"none in {reach.namespace}", "deploy it")
        return found

    async def nodes(self, reach: Reach) -> list[Node]:
        """The pods that the operator made of it."""
        pods = await reach.list("v1", "Pod", labels={"ray.io/cluster": self.cluster})
        return sorted((node(pod) for pod in pods), key=lambda one: one.pod)

    @contextlib.asynccontextmanager
    async def head(self, reach: Reach) -> AsyncIterator[Head]:
        """A session with the head. The operator names the Service after the cluster."""
        import httpx2

        host, bound = await reach.service(f"{self.cluster}-head-svc", self.port)
        async with httpx2.AsyncClient(base_url=f"http://{host}:{bound}", timeout=30, trust_env=False) as http:
            yield Head(http)
