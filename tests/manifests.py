"""Manifests of any sort, as hypothesis makes them: valid objects, and objects of any shape."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN
from tests.objects import version_of

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # What rules look for, where it may not be.
    | st.sampled_from(["True", "False", "Ready", "Unschedulable", "CrashLoopBackOff", "Failed", "2026-01-01T00:00:00Z"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON."""

NAMES = st.sampled_from(["a", "b", "app", "x-1"])
KINDS = st.sampled_from(
    [
        *((api_version, kind) for api_version, kind in BUILT_IN if kind != "SelfSubjectAccessReview"),
        ("serving.knative.dev/v1", "Service"),
        ("example.com/v1", "Deployment"),
        ("example.com/v1", "Job"),
        ("example.com/v1", "Thing"),
    ]
)
"""Kinds of Kubernetes itself, and custom ones, some with familiar names."""
_READ = (
    *("observedGeneration", "conditions", "phase", "replicas", "readyReplicas", "updatedReplicas", "updateRevision"),
    *("containerStatuses", "initContainerStatuses", "loadBalancer", "desiredNumberScheduled", "type", "selector"),
    *("template", "containers", "initContainers", "image", "name", "resources", "updateStrategy", "rollingUpdate"),
    *("volumes", "nodeName", "readinessGates", "suspend", "matchLabels", "state", "lastState", "waiting", "reason"),
    *("terminated", "running", "restartCount", "message", "status", "lastTransitionTime", "volumeClaimTemplates"),
    *("labels", "annotations", "ownerReferences", "generation", "uid", "deletionTimestamp", "managedFields"),
    *("ingress", "groups", "webhooks", "clientConfig", "caBundle", "ttlSecondsAfterFinished", "persistentVolumeClaim"),
)
"""Fields that some rule reads."""
ODD: st.SearchStrategy[Any] = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_READ), inner, max_size=4),
    max_leaves=12,
)
"""Any JSON, with the fields that rules read in any place and of any shape."""


@st.composite
def odd_objects(draw: st.DrawFn, kinds: st.SearchStrategy[tuple[str, str]] = KINDS) -> Object:
    """An object that has a kind and a name, and all else of any shape."""
    api_version, kind = draw(kinds)
    metadata = draw(st.dictionaries(st.sampled_from(_READ), ODD, max_size=4)) | {"name": draw(NAMES)}
    if draw(st.booleans()):
        metadata["namespace"] = draw(NAMES)
    parts = draw(st.dictionaries(st.sampled_from(["spec", "status", "data", "webhooks", "rules", "reason"]), ODD))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


_TEXTS = st.dictionaries(st.sampled_from(["a", "b.c", "app"]), st.text("xyz019", max_size=4), max_size=2)


def _pod(image: str) -> Mapping[str, Any]:
    return {"containers": [{"name": "main", "image": image}]}


@st.composite
def _bodies(draw: st.DrawFn, kind: str) -> Mapping[str, Any]:
    """What an API server takes for the kind."""
    labels = {"app": draw(NAMES)}
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": _pod(draw(st.sampled_from(["a:1", "b:2"])))}
    if kind in {"ConfigMap", "Secret"}:
        values = draw(_TEXTS)
        return {"data": values} if kind == "ConfigMap" else {"stringData": values}
    if kind == "Service":
        port = {"port": draw(st.integers(1, 65535)), "name": "p"}
        return {"spec": {"selector": labels, "ports": [port]}}
    if kind in {"Deployment", "StatefulSet"}:
        spec = {"replicas": draw(st.integers(0, 2)), "selector": {"matchLabels": labels}, "template": template}
        return {"spec": spec | ({"serviceName": "a"} if kind == "StatefulSet" else {})}
    if kind == "Job":
        once = {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}
        ttl = draw(st.sampled_from([{}, {"ttlSecondsAfterFinished": 3600}, {"suspend": True}]))
        return {"spec": {"template": once, "backoffLimit": draw(st.integers(0, 3)), **ttl}}
    if kind in {"Role", "ClusterRole"}:
        return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    return {"value": draw(st.integers(-1000, 1000))} if kind == "PriorityClass" else {}


_VALID = ("ConfigMap", "Secret", "Service", "ServiceAccount", "Deployment", "StatefulSet", "Job", "Role")
_VALID_CLUSTERED = ("ClusterRole", "PriorityClass")


@st.composite
def valid_objects(draw: st.DrawFn) -> Object:
    """An object that an API server takes, as a chart may write it: with or without a namespace, labels, nulls."""
    kind = draw(st.sampled_from([*_VALID, *_VALID_CLUSTERED]))
    metadata: dict[str, Any] = {"name": draw(NAMES)}
    if kind in _VALID_CLUSTERED:
        metadata["name"] = f"{metadata['name']}-wide"
    # A chart may write a namespace on what has none.
    if kind in _VALID_CLUSTERED and draw(st.booleans()):
        metadata["namespace"] = "here"
    for key in ("labels", "annotations"):
        value = draw(st.sampled_from([None, "absent"]) | _TEXTS)
        metadata |= {} if value == "absent" else {key: value}
    return {"apiVersion": version_of(kind), "kind": kind, "metadata": metadata, **draw(_bodies(kind))}


def manifests() -> st.SearchStrategy[list[Object]]:
    """Objects of one release: each has a name of its own."""
    return st.lists(valid_objects(), max_size=6, unique_by=lambda one: (one["kind"], one["metadata"]["name"]))


@st.composite
def texts_of(draw: st.DrawFn, objects: list[Object]) -> str:
    """A manifest with these objects, as a template may write it: one by one, in a List, or in lists of one kind."""
    import json

    documents: list[Any] = []
    for obj in objects:
        shape = draw(st.sampled_from(["alone", "list", "typed"]))
        if shape == "list":
            documents.append({"apiVersion": "v1", "kind": "List", "items": [obj]})
        elif shape == "typed":
            bare = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
            documents.append({"apiVersion": obj["apiVersion"], "kind": f"{obj['kind']}List", "items": [bare]})
        else:
            documents.append(obj)
    return "".join(f"---\n# Source: app/templates/a.yaml\n{json.dumps(one)}\n" for one in documents)
