"""Is an object as its spec wants it? The rules of kstatus (sigs.k8s.io/cli-utils), over plain objects. Pure."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import group_kind, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.spec.rules import NO_RULES, ReadyRule, Rules


@dataclasses.dataclass(frozen=True)
class Status:
    """Whether an object is current, and if not, what is awaited."""

    ready: bool
    message: str
    failed: bool = False
    """True when it can't become ready without a change."""


_READY = Status(True, "ready")
READY_CONDITIONS = "carbon/ready-conditions"
"""Annotation of a custom resource without a condition Ready: the conditions that say it, with spaces between."""


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """The condition of that type, or nothing."""
    listed = readable(obj)["status"].get("conditions") or ()
    return next((found for found in listed if found.get("type") == kind), {})


def status(obj: Object, rules: Rules = NO_RULES) -> Status:
    """The status of one live object, of whatever shape: what can't be read says nothing wrong of it.

    `rules`: what its definition says of it. What it owns is not looked at: see `with_own`.
    """
    obj = readable(obj)
    metadata, observed = obj["metadata"], obj["status"].get("observedGeneration")
    if metadata.get("deletionTimestamp"):
        return Status(False, "is being deleted")
    rule = ready_rule(obj, rules)
    if rule:
        return _declared(obj, rule)
    if observed is not None and observed < metadata.get("generation", 0) and not _counts_statuses(obj):
        return Status(False, "its controller has not seen the change yet")
    of_kind = _RULES.get(group_kind(obj))
    return of_kind(obj) if of_kind else _generic(obj)


def _counts_statuses(obj: Object) -> bool:
    """True for a kind without a status subresource: each status that is written makes another generation of it."""
    written = obj["metadata"].get("managedFields")
    return any(
        isinstance(one, Mapping) and not one.get("subresource") and "f:status" in (one.get("fieldsV1") or ())
        for one in (written if isinstance(written, list) else ())
    )


def ready_rule(obj: Object, rules: Rules = NO_RULES) -> ReadyRule | None:
    """When the object is ready, as its definition says, or else its chart; None where neither does."""
    named = (readable(obj)["metadata"].get("annotations") or {}).get(READY_CONDITIONS, "").split()
    return rules.ready_of(obj) or (ReadyRule(conditions=named) if named else None)


def _declared(obj: Object, rule: ReadyRule) -> Status:
    """What is named decides alone: where that is needed, observedGeneration is seldom kept either."""
    for path, wanted in rule.fields.items():
        there = _field(obj, path)
        if there != wanted or type(there) is not type(wanted):
            told = "not told yet" if there is None else f"{there!r}"
            return Status(False, f"{path}: {told}, and is to be {wanted!r}")
    for kind in rule.conditions:
        found = condition(obj, kind)
        if found.get("observedGeneration", math.inf) < obj["metadata"].get("generation", 0):
            return Status(False, f"{kind}: its controller has not seen the change yet")
        if found.get("status") != "True":
            return Status(False, f"{kind}: {found.get('message') or found.get('reason') or 'not told yet'}")
    return _READY


def _field(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    return obj


def _deployment(obj: Object) -> Status:
    wanted, s = obj["spec"].get("replicas", 1), obj["status"]
    if "observedGeneration" not in s:
        return Status(False, "its controller has not seen it yet")
    if condition(obj, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return Status(False, "rollout made no progress within its deadline", failed=True)
    updated, total, available = s.get("updatedReplicas", 0), s.get("replicas", 0), s.get("availableReplicas", 0)
    if updated < wanted:
        return Status(False, f"{updated}/{wanted} pods updated")
    if total > updated:
        return Status(False, f"{total - updated} old pods still there")
    if available < wanted:
        return Status(False, f"{available}/{wanted} pods available")
    return _READY


def _stateful_set(obj: Object) -> Status:
    spec, s = obj["spec"], obj["status"]
    wanted = spec.get("replicas", 1)
    if "observedGeneration" not in s:
        return Status(False, "its controller has not seen it yet")
    if s.get("replicas", 0) > wanted:
        return Status(False, f"{s['replicas'] - wanted} pods too many")
    ready = s.get("readyReplicas", 0)
    if ready < wanted:
        return Status(False, f"{ready}/{wanted} pods ready")
    available = s.get("availableReplicas", 0)
    if spec.get("minReadySeconds") and available < wanted:
        return Status(False, f"{available}/{wanted} pods available")
    strategy = spec.get("updateStrategy", {})
    if strategy.get("type") != "OnDelete" and not strategy.get("rollingUpdate", {}).get("partition"):
        updated = s.get("updatedReplicas", 0)
        if s.get("updateRevision") != s.get("currentRevision") or updated < wanted:
            return Status(False, f"{updated}/{wanted} pods updated")
    return _READY


def _daemon_set(obj: Object) -> Status:
    s = obj["status"]
    if "observedGeneration" not in s:
        return Status(False, "its controller has not seen it yet")
    wanted = s.get("desiredNumberScheduled", 0)
    updated, available = s.get("updatedNumberScheduled", 0), s.get("numberAvailable", 0)
    if obj["spec"].get("updateStrategy", {}).get("type") != "OnDelete" and updated < wanted:
        return Status(False, f"{updated}/{wanted} pods updated")
    if available < wanted:
        return Status(False, f"{available}/{wanted} pods available")
    return _READY


def _job(obj: Object) -> Status:
    failed = condition(obj, "Failed")
    if failed.get("status") == "True":
        return Status(False, f"failed: {failed.get('message') or failed.get('reason')}", failed=True)
    if condition(obj, "Complete").get("status") == "True":
        return _READY
    if obj["spec"].get("suspend"):
        return Status(True, "is suspended: it runs when somebody resumes it")
    return Status(False, "is running")


def _pod(obj: Object) -> Status:
    """A pod that has done its work is no longer Ready, and right."""
    return _READY if obj["status"].get("phase") == "Succeeded" else _generic(obj)


def _volume_claim(obj: Object) -> Status:
    phase = obj["status"].get("phase")
    # A claim that no pod uses yet stays Pending under WaitForFirstConsumer: the pods' rules tell when that is wrong.
    return Status(False, "lost its volume", failed=True) if phase == "Lost" else _READY


def _service(obj: Object) -> Status:
    if obj["spec"].get("type") == "LoadBalancer" and not obj["status"].get("loadBalancer", {}).get("ingress"):
        return Status(False, "waits for the load balancer's address")
    return _READY


def _definition(obj: Object) -> Status:
    if condition(obj, "NamesAccepted").get("status") == "False":
        return Status(False, str(condition(obj, "NamesAccepted").get("message")), failed=True)
    established = condition(obj, "Established").get("status") == "True"
    return _READY if established else Status(False, "is not established yet")


def _api_service(obj: Object) -> Status:
    available = condition(obj, "Available")
    return _READY if available.get("status") == "True" else Status(False, str(available.get("message", "unavailable")))


def _always(_: Object) -> Status:
    return _READY


def _generic(obj: Object) -> Status:
    """Custom resources: Stalled and Reconciling as kstatus defines them, else Ready where there is one."""
    if condition(obj, "Stalled").get("status") == "True":
        return Status(False, str(condition(obj, "Stalled").get("message")), failed=True)
    if condition(obj, "Reconciling").get("status") == "True":
        return Status(False, str(condition(obj, "Reconciling").get("message")))
    ready = condition(obj, "Ready")
    if ready and ready.get("status") != "True":
        return Status(False, str(ready.get("message") or ready.get("reason") or "not Ready"))
    return _READY


_RULES = {
    "Deployment.apps": _deployment,
    "StatefulSet.apps": _stateful_set,
    "DaemonSet.apps": _daemon_set,
    "Job.batch": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _volume_claim,
    "Service": _service,
    "CustomResourceDefinition.apiextensions.k8s.io": _definition,
    "APIService.apiregistration.k8s.io": _api_service,
    "ConfigMap": _always,
    "Secret": _always,
}

WORKLOAD_KINDS = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch"})
"""Kinds that make pods, as `group_kind` tells them."""


def may_own_pods(obj: Object) -> bool:
    """True for a workload, and for a custom resource: its controller may make pods of it."""
    return group_kind(obj) in WORKLOAD_KINDS or is_custom(obj["apiVersion"], obj["kind"])
