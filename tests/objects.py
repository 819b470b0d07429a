"""Kubernetes objects as the API returns them, with what a test is not about filled in."""

import json
from collections.abc import Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN

_VERSIONS = {kind: api_version for api_version, kind in BUILT_IN}


def version_of(kind: str) -> str:
    """The API version of one of Kubernetes' own kinds; `v1` of any other."""
    return _VERSIONS.get(kind, "v1")


def obj(
    kind: str,
    name: str = "a",
    *,
    namespace: str = "here",
    api_version: str = "",
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> Object:
    """An object; further keywords are its metadata."""
    named = {"name": name, **({"namespace": namespace} if namespace else {})}
    body: Object = {"apiVersion": api_version or version_of(kind), "kind": kind, "metadata": named | metadata}
    for part, content in (("spec", spec), ("status", status)):
        if content is not None:
            body[part] = dict(content)
    return body


def workload(kind: str, name: str = "a", **rest: Any) -> Object:
    """A Deployment, StatefulSet, DaemonSet or Job."""
    return obj(kind, name, **rest)


def conditions(**found: str | tuple[str, str, str]) -> dict[str, Any]:
    """The `conditions` of a status: a type with its status, or with (status, reason, message)."""
    listed = []
    for kind, told in found.items():
        status, reason, message = (told, "", "") if isinstance(told, str) else told
        listed.append({"type": kind, "status": status, "reason": reason, "message": message})
    return {"conditions": listed}


def written(found: Object) -> str:
    """Of a live object, what somebody meant it to be, and which one it is: no status, which its controller writes."""
    server = {"resourceVersion", "managedFields"}
    metadata = {key: value for key, value in found["metadata"].items() if key not in server}
    return json.dumps({**found, "metadata": metadata, "status": None}, sort_keys=True)
