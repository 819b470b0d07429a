"""A cause: why something does not work, told so that a person can act on it."""

import dataclasses
import enum
from collections.abc import Iterable

from carbon_platform.cluster.resources import ObjectName


class Kind(enum.StrEnum):
    """What sort of cause; decides which remedy fits."""

    # A container.
    IMAGE = "image can't be pulled"
    SECRET = "missing secret"  # noqa: S105
    CONFIG_MAP = "missing config map"
    KEY = "missing key"
    CONFIGURATION = "container can't be created"
    COMMAND = "command can't be run"
    CRASH_LOOP = "crash loop"
    OUT_OF_MEMORY = "out of memory"
    STARTUP = "failing startup probe"
    READINESS = "failing readiness probe"
    LIVENESS = "failing liveness probe"
    SANDBOX = "pod sandbox"
    # The scheduler.
    CPU = "insufficient cpu"
    MEMORY = "insufficient memory"
    PODS = "too many pods"
    RESOURCE = "insufficient resource"
    HOST_PORT = "host port taken"
    POD_AFFINITY = "pod affinity"
    TOPOLOGY = "topology spread"
    CORDON = "cordoned node"
    TAINT = "untolerated taint"
    NODE_AFFINITY = "node affinity or selector"
    UNSCHEDULABLE = "unschedulable"
    """For a reason of its own."""
    # A volume.
    VOLUME = "volume pending"
    CLAIM = "missing volume claim"
    STORAGE_CLASS = "missing storage class"
    VOLUME_ZONE = "volume out of reach"
    VOLUME_LOST = "volume lost"
    MOUNT = "volume can't be mounted"
    # The pod is not even made.
    QUOTA = "quota"
    LIMIT_RANGE = "limit range"
    POD_SECURITY = "pod security"
    SERVICE_ACCOUNT = "missing service account"
    POLICY = "refused by a policy"
    WEBHOOK = "webhook away"
    REFUSED = "pods refused"
    """For a reason of its own."""
    # A workload or a Service.
    NO_ENDPOINTS = "no endpoints"
    LOAD_BALANCER = "no load balancer"
    JOB_FAILED = "job failed"
    ROLLOUT = "rollout stuck"
    DEADLINE = "deadline passed"
    NODE = "silent node"
    """The only one that passes without a change: when the node speaks again."""
    FINALIZER = "being deleted"


SCHEDULING = frozenset(
    {Kind.CPU, Kind.MEMORY, Kind.PODS, Kind.RESOURCE, Kind.HOST_PORT, Kind.POD_AFFINITY, Kind.TOPOLOGY, Kind.CORDON}
    | {Kind.TAINT, Kind.NODE_AFFINITY, Kind.UNSCHEDULABLE}
)
"""No node takes the pod."""
STORAGE = frozenset(
    {Kind.VOLUME, Kind.CLAIM, Kind.STORAGE_CLASS, Kind.VOLUME_ZONE, Kind.VOLUME_LOST, Kind.MOUNT},
)
"""The pod can't have its volume."""
ADMISSION = frozenset(
    {Kind.QUOTA, Kind.LIMIT_RANGE, Kind.POD_SECURITY, Kind.SERVICE_ACCOUNT, Kind.POLICY, Kind.WEBHOOK, Kind.REFUSED}
)
"""The API server does not let the pod be made."""
_CONSEQUENCES = (Kind.NODE, Kind.READINESS, Kind.STARTUP, Kind.ROLLOUT, Kind.NO_ENDPOINTS)
"""Each may come of those before it, and of any other cause."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """Why an object can't become ready by itself."""

    kind: Kind
    object: ObjectName
    why: str
    """One sentence."""
    fix: str
    evidence: tuple[str, ...] = ()
    """An event's message, the last log lines."""
    subject: str = ""
    """What it is about besides the object: the image, the Secret, ConfigMap or key that is missing."""

    def __str__(self) -> str:
        return f"{self.object}: {self.why}"


def rank(kind: Kind) -> int:
    """How far from a root: what ranks higher may be explained by what ranks lower."""
    return _CONSEQUENCES.index(kind) + 1 if kind in _CONSEQUENCES else 0


def root(causes: Iterable[Cause]) -> Cause | None:
    """The cause to tell, which no other explains; None of none."""
    return min(causes, key=lambda cause: rank(cause.kind), default=None)
