"""What an operator made of a custom resource, by owner references: its workloads, and the pods of those. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, group_of, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.health.status import WORKLOAD_KINDS, Status, condition, ready_rule, status
from carbon_platform.health.steadiness import stays
from carbon_platform.spec.rules import NO_RULES, Rules

BETWEEN = (
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
)
"""What may stand between a custom resource and its pods."""
_ROLLED_OUT = WORKLOAD_KINDS - {"Job.batch"}


def made_of(owner: Object, objects: Iterable[Object]) -> list[Object]:
    """Those of `objects` that exist because of `owner`: that name it as their owner, or one of these, and so on.

    By group, kind and name: what a chart renders has no uid, and its owner may be told in another version.
    """
    of: dict[tuple[str, str, str], list[Object]] = {}
    namespace = owner["metadata"].get("namespace")
    for obj in objects:
        if obj["metadata"].get("namespace") == namespace:
            for one in readable(obj)["metadata"].get("ownerReferences") or ():
                of.setdefault((group_of(one["apiVersion"]), one["kind"], one["name"]), []).append(obj)
    found: dict[ObjectName, Object] = {}
    left = [owner]
    while left:
        last = left.pop()
        key = (group_of(last["apiVersion"]), last["kind"], last["metadata"]["name"])
        for obj in of.get(key, ()):
            if ObjectName.of(obj) not in found:
                found[ObjectName.of(obj)] = obj
                left.append(obj)
    return list(found.values())


def strangers(pods: Iterable[Object], beside: Iterable[Object]) -> set[tuple[str, str]]:
    """The kinds (apiVersion, kind) of custom resources that own one of these and are not themselves among `beside`.

    A custom resource may be made of another one: these have to be known to follow the references to their end.
    """
    every = [*pods, *beside]
    known = {(obj["kind"], obj["metadata"]["name"]) for obj in every}
    return {
        (one["apiVersion"], one["kind"])
        for obj in every
        for one in readable(obj)["metadata"].get("ownerReferences") or ()
        if is_custom(one["apiVersion"], one["kind"]) and (one["kind"], one["name"]) not in known
    }


def with_owned(obj: Object, own: Sequence[Object], rules: Rules = NO_RULES) -> Status:
    """The status of an object; of a custom resource, with that of what was made of it (`own`: workloads and pods).

    What its definition or its chart says of it decides alone. A Job, and what it runs, is no part of its readiness.
    """
    found, rule = status(obj, rules), ready_rule(obj, rules)
    if not found.ready or not is_custom(obj["apiVersion"], obj["kind"]):
        return found
    pods = [one for one in own if group_kind(one) == "Pod" and stays(one)]
    ready = [pod for pod in pods if condition(pod, "Ready").get("status") == "True"]
    if rule is not None:
        wanted = rule.pods or 0
        return found if len(ready) >= wanted else Status(False, f"{len(ready)}/{wanted} pods ready")
    for one in own:
        if group_kind(one) in _ROLLED_OUT and not (its := status(one)).ready:
            return Status(False, f"{one['kind']} {one['metadata']['name']}: {its.message}")
    down = [pod for pod in pods if pod not in ready and not _owned_by(pod, WORKLOAD_KINDS | {"ReplicaSet.apps"})]
    if down:
        return Status(False, f"{len(ready)}/{len(pods)} pods ready")
    return found


def speaks(obj: Object) -> bool:
    """True when the status of a custom resource says that its controller has seen it, as far as that can be told."""
    said: Mapping[str, Any] = readable(obj)["status"]
    return "observedGeneration" in said or bool(said.get("conditions"))


def _owned_by(obj: Object, kinds: Iterable[str]) -> bool:
    owners = readable(obj)["metadata"].get("ownerReferences") or ()
    return any(group_kind(one) in kinds for one in owners)
