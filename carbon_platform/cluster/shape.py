"""Live objects of any shape, made readable: what is read of them is of the type that Kubernetes gives it. Pure.

The API server holds its own kinds to their types, but a custom resource may say anything: a text for its
observedGeneration, a mapping for its conditions, null for its status.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object

_ABSENT: Any = object()

_Shape = type | Callable[[Any], Any] | Mapping[str, "_Shape"] | list["_Shape"]
"""A type; what makes of a value one that fits; the members that are read of a mapping; the items of a list."""


def _name(value: Any) -> Any:
    """Text that is always there."""
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _ABSENT
    if all(isinstance(text, str) for text in value.values()):
        return value
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _time(value: Any) -> Any:
    try:
        return value if datetime.datetime.fromisoformat(value).tzinfo else _ABSENT
    except (TypeError, ValueError):
        return _ABSENT


_CONDITION: _Shape = {
    "type": str,
    "status": str,
    "reason": str,
    "message": str,
    "lastTransitionTime": _time,
    "observedGeneration": int,
}
_ENDED: _Shape = {"reason": str, "message": str, "exitCode": int, "startedAt": _time, "finishedAt": _time}
_STATE: _Shape = {
    "waiting": {"reason": str, "message": str},
    "running": {"startedAt": str},
    "terminated": _ENDED,
}
_CONTAINER_STATUS: _Shape = {
    "name": _name,
    "image": _name,
    "ready": bool,
    "restartCount": int,
    "state": _STATE,
    "lastState": _STATE,
}
_METADATA: _Shape = {
    "name": _name,
    "namespace": str,
    "uid": _name,
    "generation": int,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "finalizers": [str],
    "labels": _texts,
    "annotations": _texts,
    "managedFields": [
        {"manager": _name, "time": str, "apiVersion": str, "operation": str, "subresource": str, "fieldsV1": dict}
    ],
    "ownerReferences": [{"apiVersion": _name, "kind": _name, "name": _name, "uid": _name}],
}
_CONTAINER: _Shape = {"name": _name}
_SPEC: _Shape = {
    "type": str,
    "replicas": int,
    "suspend": bool,
    "volumeClaimTemplates": [dict],
    "storageClassName": str,
    "nodeName": str,
    "readinessGates": list,
    "selector": {"matchLabels": _texts},
    "updateStrategy": {"type": str, "rollingUpdate": {"partition": int}},
    "containers": [_CONTAINER],
    "initContainers": [_CONTAINER],
    "volumes": [{"name": _name, "persistentVolumeClaim": {"claimName": _name}}],
}
_COUNTS = "replicas readyReplicas updatedReplicas availableReplicas desiredNumberScheduled updatedNumberScheduled"
_STATUS: _Shape = {
    "observedGeneration": int,
    "conditions": [_CONDITION],
    "phase": str,
    "currentRevision": str,
    "updateRevision": str,
    **dict.fromkeys([*_COUNTS.split(), "numberAvailable"], int),
    "containerStatuses": [_CONTAINER_STATUS],
    "initContainerStatuses": [_CONTAINER_STATUS],
    "loadBalancer": {"ingress": [{}]},
}
_EVENT: Mapping[str, _Shape] = {
    "reason": str,
    "message": str,
    "count": int,
    "firstTimestamp": _time,
    "lastTimestamp": _time,
    "eventTime": _time,
    "involvedObject": {"uid": str},
}


def readable(obj: Object) -> Object:
    """The object for reading only: with metadata, spec and status, and without what is of another shape than known.

    Names and uids that are missing are empty. What no rule reads is as it was; a rule that reads more of an object
    adds it to the shapes here.
    """
    parts = {"metadata": _METADATA, "spec": _SPEC, "status": _STATUS}
    known = {key: _part(obj.get(key), shape) for key, shape in parts.items()}
    return {**_fit(obj, _EVENT), **known}


_POD_CONTAINER: _Shape = {"name": str, "image": str, "resources": {"limits": dict, "requests": dict}}
_POD: Mapping[str, _Shape] = {
    "containers": [_POD_CONTAINER],
    "initContainers": [_POD_CONTAINER],
    "tolerations": [{"key": str, "operator": str, "value": str, "effect": str}],
}


def readable_pod(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """A pod spec as `readable` is of an object: also where it is a part of a custom resource, or a container's image
    is left to an operator."""
    return _members(spec, _POD)


def _part(value: Any, shape: _Shape) -> Any:
    return _fit(value if isinstance(value, Mapping) else {}, shape)


def _fit(value: Any, shape: _Shape) -> Any:
    """The value itself where it is of the shape, else what of it is, else _ABSENT."""
    if isinstance(shape, Mapping):
        return _members(value, shape) if isinstance(value, Mapping) else _ABSENT
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _ABSENT
        fits = [fit for item in value if (fit := _fit(item, shape[0])) is not _ABSENT]
        return value if len(fits) == len(value) and all(a is b for a, b in zip(fits, value, strict=True)) else fits
    if isinstance(shape, type):
        return value if type(value) is shape else _ABSENT
    return shape(value)


def _members(value: Mapping[str, Any], shape: Mapping[str, _Shape]) -> Mapping[str, Any]:
    changed: dict[str, Any] | None = None
    for key, inner in shape.items():
        there = value.get(key, _ABSENT)
        fit = _fit(there, inner)
        if fit is not there:
            changed = dict(value) if changed is None else changed
            changed[key] = fit
            if fit is _ABSENT:
                del changed[key]
    return value if changed is None else changed
