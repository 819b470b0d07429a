"""What would help an object that is not as its spec wants it, where no pod of it says why: by its kind. Pure."""

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, is_custom
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.status import WORKLOAD_KINDS

_LOAD_BALANCER = (
    "start a controller that gives load balancers to Services, or give the one that runs an address for {0};"
    " where nobody is to reach it from outside, set type: ClusterIP"
)
_JOB = "correct what its log names ({log}), then delete {0}: carbon up makes it again"
_ROLLOUT = "correct what keeps its pods from being ready ({pods}), or raise progressDeadlineSeconds of {0}"
_CLAIM = "bring back the volume that {0} was bound to; a new claim is an empty volume"
_DEFINITION = "give the kinds of {0} other names, or delete the CRD that has them"
_API_SERVICE = "start the pods behind the Service that {0} names, or correct its CA bundle"
_CUSTOM = "correct what {0} says in its status ({status}), or start the operator that serves its kind"
_NOT_THERE = "carbon up makes {0} again; keep away who deleted it meanwhile"
_PODS = "correct what keeps its pods from being ready ({pods}), or raise `deadline` if {0} only needs longer"
_OTHER = "correct what {0} waits for ({status}), or raise `deadline` if it only needs longer"


def overdue(name: ObjectName, obj: Object | None, why: str, told: tuple[str, ...] = ()) -> Cause:
    """The cause of an object that was waited for until the deadline; `told`: what its pods are."""
    kind = Kind.LOAD_BALANCER if obj is not None and name.group_kind == "Service" else Kind.DEADLINE
    return Cause(kind, name, why, _filled(_awaited(name, there=obj is not None), name), told)


def _awaited(name: ObjectName, *, there: bool) -> str:
    if not there:
        return _NOT_THERE
    if name.group_kind in _BY_KIND:
        return _BY_KIND[name.group_kind]
    if name.group_kind in WORKLOAD_KINDS:
        return _PODS
    return _CUSTOM if is_custom(name.api_version, name.kind) else _OTHER


_BY_KIND = {
    "Service": _LOAD_BALANCER,
    "CustomResourceDefinition.apiextensions.k8s.io": _DEFINITION,
    "APIService.apiregistration.k8s.io": _API_SERVICE,
}


def failed(name: ObjectName, why: str) -> Cause:
    """The cause of an object whose own status says that it has failed."""
    kind, fix = _FAILED.get(name.group_kind, (Kind.ROLLOUT, _ROLLOUT))
    if is_custom(name.api_version, name.kind):
        fix = _CUSTOM
    return Cause(kind, name, why, _filled(fix, name))


_FAILED = {
    "Job.batch": (Kind.JOB_FAILED, _JOB),
    "PersistentVolumeClaim": (Kind.VOLUME_LOST, _CLAIM),
    "CustomResourceDefinition.apiextensions.k8s.io": (Kind.ROLLOUT, _DEFINITION),
}


def _filled(fix: str, name: ObjectName) -> str:
    where = f" -n {name.namespace}" if name.namespace else ""
    commands = {
        "{log}": f"kubectl logs job/{name.name}{where}",
        "{pods}": f"kubectl describe pods{where}",
        "{status}": f"kubectl describe {name.kind.lower()} {name.name}{where}",
        "{0}": f"{name.kind} {name.name}",
    }
    for mark, text in commands.items():
        fix = fix.replace(mark, text)
    return fix
