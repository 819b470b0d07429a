"""What is being deleted: since when, and what keeps it. Pure."""

import datetime

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.shape import readable
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.events import moment

_LETS_GO = {
    "kubernetes.io/pvc-protection": "copy what is to stay: the claim and its data go with the last pod that uses it",
    "kubernetes.io/pv-protection": "copy what is to stay: the volume goes when the claim that is bound to it is gone",
    "foregroundDeletion": "let go what it owns, which is deleted first",
    "orphan": "start the garbage collector (kube-controller-manager), which gives up first what it owns",
    "customresourcecleanup.apiextensions.k8s.io": "let go its custom resources, which are deleted first",
    "service.kubernetes.io/load-balancer-cleanup": "start the cloud's controller, which gives back its address first",
}
"""Finalizers that Kubernetes itself sets, and what each waits for (kubernetes.io/docs, "Finalizers")."""


def being_deleted(obj: Object) -> Cause | None:
    """That a live object is being deleted, since when, and by which finalizers it is kept; None when it stays."""
    if not obj["metadata"].get("deletionTimestamp"):
        return None
    name, holders = ObjectName.of(obj), tuple(readable(obj)["metadata"].get("finalizers") or ())
    asked = datetime.datetime.fromtimestamp(deleted_since(obj), datetime.UTC).isoformat(timespec="seconds")
    kept = f", and kept by its finalizer{'s' if len(holders) > 1 else ''} {', '.join(holders)}" if holders else ""
    return Cause(Kind.FINALIZER, name, f"it is being deleted since {asked}{kept}", _fix(name, holders))


def deleted_since(obj: Object) -> float:
    """When its deletion was asked for, in seconds since the epoch; 0 when it was not."""
    if not obj["metadata"].get("deletionTimestamp"):
        return 0.0
    metadata = readable(obj)["metadata"]
    at, grace = moment(metadata.get("deletionTimestamp")), float(metadata.get("deletionGracePeriodSeconds") or 0)
    # The API server writes the end of the grace period, which may be to come.
    return at.timestamp() - grace if at else 0.0


def _fix(name: ObjectName, holders: tuple[str, ...]) -> str:
    where = f" -n {name.namespace}" if name.namespace else ""
    look = f"kubectl get {name.kind.lower()} {name.name}{where} -o yaml"
    if not holders:
        return f"nothing is to be done: it goes by itself ({look})"
    told = [_LETS_GO.get(one, f"start what serves {one}, so that it lets it go") for one in holders]
    return f"{'; '.join(told)} ({look}). Carbon never removes a finalizer, and puts it back once it is gone"
