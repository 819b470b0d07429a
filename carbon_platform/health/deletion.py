"""What is being deleted: since when, and what keeps it. Pure."""

import datetime
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health.cause import Cause, Kind

_LETS_GO = {
    "kubernetes.io/pvc-protection": "a pod uses the claim: it goes, with its data, when the last such pod ends",
    "kubernetes.io/pv-protection": "a claim is bound to the volume: it goes when that claim is gone",
    "foregroundDeletion": "what it owns is deleted first: see which of that does not go",
    "orphan": "what it owns is given up first: see whether the garbage collector runs",
    "customresourcecleanup.apiextensions.k8s.io": "its custom resources are deleted first: see which does not go",
    "service.kubernetes.io/load-balancer-cleanup": "its load balancer is given back first: see the cloud's controller",
}
"""Finalizers that Kubernetes itself sets, and what each waits for (kubernetes.io/docs, "Finalizers")."""


def being_deleted(obj: Object) -> Cause | None:
    """That a live object is being deleted, since when, and by which finalizers it is kept; None when it stays."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp"):
        return None
    name, holders = ObjectName.of(obj), tuple(str(one) for one in metadata.get("finalizers") or ())
    asked = datetime.datetime.fromtimestamp(deleted_since(obj), datetime.UTC).isoformat(timespec="seconds")
    kept = f", and kept by its finalizer{'s' if len(holders) > 1 else ''} {', '.join(holders)}" if holders else ""
    return Cause(Kind.FINALIZER, name, f"it is being deleted since {asked}{kept}", _fix(name, holders))


def deleted_since(obj: Object) -> float:
    """When its deletion was asked for, in seconds since the epoch; 0 when it was not."""
    metadata: dict[str, Any] = obj["metadata"]
    at = metadata.get("deletionTimestamp")
    if not at:
        return 0.0
    # The API server writes the end of the grace period, which may be to come.
    return datetime.datetime.fromisoformat(at).timestamp() - float(metadata.get("deletionGracePeriodSeconds") or 0)


def _fix(name: ObjectName, holders: tuple[str, ...]) -> str:
    where = f" -n {name.namespace}" if name.namespace else ""
    look = f"kubectl get {name.kind.lower()} {name.name}{where} -o yaml"
    if not holders:
        return f"it goes by itself; see {look}"
    told = [_LETS_GO.get(one, f"see that what serves {one} runs and lets it go") for one in holders]
    return f"{'; '.join(told)} ({look}). Carbon never removes a finalizer, and puts it back once it is gone"
