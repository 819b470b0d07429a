"""A Ray cluster as its checks see it: objects and pods in a dictionary, and a head that answers on a loopback port."""

import json
import re
from collections.abc import Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from tests.unit.checks.loopback_http import Answer, Request
from tests.unit.checks.stub_reach import StubReach

MARK = {"checksum/template": "now"}


def conditions(**found: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "message": f"{kind}!"} for kind, status in found.items()]}


def pod(name: str, address: str, kind: str = "worker", ready: str = "True", mark: str = "now") -> Object:
    return {
        "metadata": {
            "name": name,
            "labels": {"ray.io/cluster": "ml", "ray.io/node-type": kind},
            "annotations": {"checksum/template": mark, "more": "of it"},
        },
        "status": {"podIP": address, **conditions(Ready=ready)},
    }


def ray_cluster(replicas: int = 1, maximum: int = 4, **status: Any) -> Object:
    template = {"metadata": {"annotations": MARK}}
    group = {"replicas": replicas, "minReplicas": 1, "maxReplicas": maximum, "template": template}
    spec = {"rayVersion": "2.60.0", "headGroupSpec": {"template": template}, "workerGroupSpecs": [group]}
    return {
        "metadata": {"name": "ml"},
        "spec": spec,
        "status": {**conditions(HeadPodReady="True", RayClusterProvisioned="True"), **status},
    }


class RayReach(StubReach):
    """The component `ray-cluster`, whose RayCluster is called `ml`."""

    namespace = "ml-platform"
    release = "kuberay-operator"

    def __init__(
        self,
        cluster: Object | None = None,
        pods: list[Object] | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(ports=ports)
        self.clusters = {"ml": cluster} if cluster else {}
        self.pods = pods or []

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return self.clusters.get(name)

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        return self.pods if kind == "Pod" else list(self.clusters.values())


class StubHead:
    """A head that runs each job in no time. `printed` is what the job prints, `ends` how it ends."""

    def __init__(self, printed: str = "", ends: str = "SUCCEEDED", message: str = "") -> None:
        self.printed, self.ends, self.message = printed, ends, message
        self.jobs: dict[str, str] = {}
        self.submitted: list[str] = []
        self.version: Any = {"version": "4", "ray_version": "2.60.0"}

    def __call__(self, request: Request) -> Answer:
        if request.path == "/api/version":
            return 200, self.version
        if request.path == "/api/jobs/":
            return self._all(request)
        match = re.fullmatch(r"/api/jobs/([^/]+)(/logs|/stop)?", request.path)
        if match is None or match[1] not in self.jobs:
            return 404, None
        name = match[1]
        if request.method == "DELETE":
            del self.jobs[name]
            return 200, {"deleted": True}
        if match[2] == "/stop":
            self.jobs[name] = "STOPPED"
            return 200, {"stopped": True}
        if match[2] == "/logs":
            return 200, {"logs": self.printed}
        return 200, {"status": self.jobs[name], "message": self.message}

    def _all(self, request: Request) -> Answer:
        if request.method == "GET":
            return 200, [{"submission_id": name} for name in self.jobs]
        self.jobs[request.json["submission_id"]] = self.ends
        self.submitted.append(request.json["entrypoint"])
        return 200, request.json


def told(*alive: str, **failed: str) -> str:
    """What the probe's job prints; an address is written with `_` for `.` among the failed."""
    where = {address.replace("_", "."): why for address, why in failed.items()}
    return f"noise\ncarbon-probe-ran {json.dumps({'alive': alive, 'failed': where})}\n"
