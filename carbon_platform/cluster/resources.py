"""From apiVersion and kind to the path of the API; and the names of objects."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from carbon_platform.cluster.shape import readable_pod

_CORE = "Pod Service ConfigMap Secret ServiceAccount PersistentVolumeClaim Event LimitRange ResourceQuota Endpoints"
_NAMESPACED = {
    "v1": _CORE,
    "apps/v1": "Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision",
    "batch/v1": "Job CronJob",
    "policy/v1": "PodDisruptionBudget",
    "networking.k8s.io/v1": "NetworkPolicy Ingress",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "coordination.k8s.io/v1": "Lease",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "discovery.k8s.io/v1": "EndpointSlice",
}
_CLUSTERED = {
    "v1": "Namespace Node PersistentVolume",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "storage.k8s.io/v1": "StorageClass",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "scheduling.k8s.io/v1": "PriorityClass",
    "admissionregistration.k8s.io/v1": "ValidatingWebhookConfiguration MutatingWebhookConfiguration",
    "authorization.k8s.io/v1": "SelfSubjectAccessReview",
}


@dataclasses.dataclass(frozen=True)
class Resource:
    """Where the objects of a kind live in the API."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    reports: bool = False
    """True for a kind whose status is a part of its own, which only its controller writes. Not known of `BUILT_IN`."""

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return group_of(self.api_version)

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """URL path of the collection, or of one object."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


def _plural(kind: str) -> str:
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith(("s", "ss")):
        return lower + "es"
    if lower.endswith("y"):
        return lower[:-1] + "ies"
    return lower + "s"


BUILT_IN: Mapping[tuple[str, str], Resource] = {
    (api_version, kind): Resource(api_version, kind, _plural(kind), namespaced)
    for table, namespaced in ((_NAMESPACED, True), (_CLUSTERED, False))
    for api_version, kinds in table.items()
    for kind in kinds.split()
}
"""The kinds of Kubernetes itself that nearly every release uses: known without asking the API server."""


_OWN_GROUPS = frozenset(
    f"{name}.k8s.io"
    for name in (
        *("admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"),
        *("certificates", "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver"),
        *("networking", "node", "rbac.authorization", "resource", "scheduling", "storage", "storagemigration"),
    )
)
"""API groups of Kubernetes itself, beside those without a dot: a CRD's group has one."""


def group_of(api_version: str) -> str:
    """The API group; empty for the core group."""
    return api_version.rpartition("/")[0]


def is_custom(api_version: str, kind: str) -> bool:
    """True for a kind that Kubernetes itself does not have: a custom resource, or one of an aggregated API."""
    group = group_of(api_version)
    return (api_version, kind) not in BUILT_IN and "." in group and group not in _OWN_GROUPS


def group_kind(obj: Mapping[str, Any]) -> str:
    """Which kind an object is of, in all versions: `Deployment.apps`, or only `Service` in the core group.

    A kind's name alone says little: there are a Service of Knative and a Cluster of three dozen operators.
    """
    return _group_kind(obj["apiVersion"], obj["kind"])


def _group_kind(api_version: str, kind: str) -> str:
    group = group_of(api_version)
    return f"{kind}.{group}" if group else str(kind)


def pod_specs(obj: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every pod spec in an object: of a pod, of a workload's template, of the templates in a custom resource.

    A container may lack its image, where an operator fills it in.
    """
    if group_kind(obj) == "CustomResourceDefinition.apiextensions.k8s.io":
        return []  # it only describes them
    found: list[Mapping[str, Any]] = []
    left: list[Any] = [obj.get("spec")]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(reversed(value))
        elif isinstance(value, Mapping):
            containers = value.get("containers")
            if isinstance(containers, list) and any(isinstance(c, Mapping) and "image" in c for c in containers):
                found.append(readable_pod(value))
            else:
                left.extend(reversed(list(value.values())))
    return found


@dataclasses.dataclass(frozen=True, order=True)
class ObjectName:
    """Which object: enough to find it again and to tell a person.

    Two are the same when group, kind, namespace and name are: the version is only a way to look at it.
    """

    api_version: str = dataclasses.field(compare=False)
    kind: str
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str
    group: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", group_of(self.api_version))

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "ObjectName":
        """The name of an object as the API writes it."""
        metadata = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], metadata.get("namespace") or "", metadata["name"])

    @property
    def group_kind(self) -> str:
        """As `group_kind` tells of an object."""
        return _group_kind(self.api_version, self.kind)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
