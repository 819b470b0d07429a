"""From the name of a Service to a ready pod behind it: what cluster DNS and kube-proxy do, from outside."""

import random
import re

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.endpoints import KIND, OF_SERVICE, ready
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CheckFailed

_CLUSTER_NAME = re.compile(
    r"^(?:(?P<pod>[a-z0-9.-]+?)\.)??(?P<service>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?$"
)
_MOST_ALIASES = 4

PodPort = tuple[str, str, int]
"""Namespace, pod, port."""


async def pod_behind(api: Api, namespace: str, service: str, port: int) -> PodPort:
    """A ready pod and its port behind `service:port`; ExternalName Services are followed.

    Raises CheckFailed saying where the way ends.
    """
    trail = [f"{service}.{namespace}"]
    for _ in range(_MOST_ALIASES):
        found = await api.get(ObjectName("v1", "Service", namespace, service))
        if found is None:
            raise _dead(trail, "there is no such Service", "deploy the component that makes it")
        if found["spec"].get("type") != "ExternalName":
            return await _ready_pod(api, found, port, trail)
        external = found["spec"]["externalName"]
        match = _CLUSTER_NAME.match(external)
        if not match:
            raise _dead(trail, f"it points at {external}, outside the cluster", "check that from inside the cluster")
        service, namespace = match["service"], match["namespace"]
        trail.append(f"{service}.{namespace}")
    raise _dead(trail, "aliases lead in a circle", "correct the externalName of one of them")


def _dead(trail: list[str], cause: str, fix: str) -> CheckFailed:
    return CheckFailed(f"Service {' → '.join(trail)} leads nowhere", cause, fix)


async def _ready_pod(api: Api, service: Object, port: int, trail: list[str]) -> PodPort:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    wanted = next((p for p in service["spec"].get("ports") or () if p["port"] == port), None)
    if wanted is None:
        there = ", ".join(str(p["port"]) for p in service["spec"].get("ports") or ())
        raise _dead(trail, f"it has no port {port} (only {there})", "correct the port")
    behind = []
    for one, endpoint in ready(await api.list(*KIND, namespace, labels=f"{OF_SERVICE}={name}")):
        target = next((p["port"] for p in one.get("ports") or () if p.get("name", "") == wanted.get("name", "")), None)
        reference = endpoint.get("targetRef") or {}
        if target and reference.get("kind") == "Pod":
            behind.append((reference["namespace"], reference["name"], int(target)))
    if not behind:
        raise _dead(trail, "no ready pod stands behind it", "see the pods its selector means, and their readiness")
    return random.choice(behind)  # noqa: S311 - spreading load, no secret


async def pod_for_host(api: Api, host: str, port: int) -> PodPort:
    """The pod and port that a cluster host name means: of a Service, or of a pod behind a headless one."""
    match = _CLUSTER_NAME.match(host)
    if match is None:
        raise CheckFailed(f"{host} is no name of a Service", "only names of this cluster are resolved here")
    namespace = match["namespace"]
    if match["pod"]:
        pod = await api.get(ObjectName("v1", "Pod", namespace, match["pod"]))
        if pod is None:
            raise CheckFailed(f"{host} does not exist", f"there is no pod {match['pod']} in {namespace}")
        return namespace, match["pod"], port
    return await pod_behind(api, namespace, match["service"], port)
