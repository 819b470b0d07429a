"""Why no node takes a pod: what the scheduler says, part by part. Pure.

Its message is `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {…}. preemption: …`: of
each node the first thing that keeps the pod away (kube-scheduler's filter plugins).
"""

import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health import events as told
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.status import condition

_UNSCHEDULABLE_SECONDS = 8
"""The scheduler tries again at once when a node or volume appears; this long is no race any more."""
_UNBOUND = "unbound immediate"
_UNBOUND_SECONDS = 60
"""Binding is tried again every 15 s, and a cloud makes a disk within a minute: nothing is wrong before that."""
_SCALE_UP_SECONDS = 900
"""An autoscaler that has asked for a node gives up on it after a quarter of an hour."""
_ASKS_FOR_A_NODE = ("TriggeredScaleUp", "Nominated")
"""What the cluster autoscaler and Karpenter say of a pod for which they have a node made."""


@dataclasses.dataclass(frozen=True)
class _Rule:
    """What one part of the message means.

    Its texts are of some nodes, or of the pod where the scheduler gives no number. `{0}` is what the pattern captured.
    """

    said: re.Pattern[str]
    kind: Kind
    why: str
    fix: str


def _rule(said: str, kind: Kind, why: str, fix: str) -> _Rule:
    return _Rule(re.compile(said, re.IGNORECASE), kind, why, fix)


_RULES = (
    # First what is most likely to be mended: a node that is full was otherwise fit for the pod, while taints, selectors
    # and volumes keep it from most nodes on purpose.
    _rule(
        r"^Insufficient cpu\b",
        Kind.CPU,
        "{have} too little CPU left",
        "give it a smaller CPU request, or the cluster more CPU",
    ),
    _rule(
        r"^Insufficient memory\b",
        Kind.MEMORY,
        "{have} too little memory left",
        "give it a smaller memory request, or the cluster more memory",
    ),
    _rule(
        r"^(?:Insufficient pods|Too many pods)\b",
        Kind.PODS,
        "{have} as many pods as may be",
        "add a node, or raise maxPods of the kubelets",
    ),
    _rule(
        r"^Insufficient (\S+)",
        Kind.RESOURCE,
        "{have} too little {0} left",
        "request less {0}, or add a node that has it",
    ),
    _rule(
        r"free ports for the requested pod ports",
        Kind.HOST_PORT,
        "{have} its host port taken",
        "take another hostPort, or no more replicas than there are nodes",
    ),
    _rule(
        r"anti-affinity",
        Kind.POD_AFFINITY,
        "{have} a pod from which an anti-affinity keeps it away",
        "add a node, ask for fewer replicas, or prefer the anti-affinity instead of requiring it",
    ),
    _rule(
        r"pod affinity",
        Kind.POD_AFFINITY,
        "{have} no pod that its affinity asks for",
        "start the pods that its affinity means, or correct the affinity",
    ),
    _rule(
        r"topology spread",
        Kind.TOPOLOGY,
        "{are} ruled out by its topology spread constraints",
        "label the nodes with the topology key, add nodes where pods are missing, or use ScheduleAnyway",
    ),
    _rule(
        r"unbound immediate",
        Kind.VOLUME,
        "its volume claim is not bound",
        "start the provisioner of the claim's storage class, or correct the class or the size that the claim asks for",
    ),
    _rule(
        r"storageclass\S* \"([^\"]+)\" not found",
        Kind.STORAGE_CLASS,
        "storage class {0} is not there",
        "make storage class {0}, or name one that is there",
    ),
    _rule(
        r"bound to non-?existent",
        Kind.VOLUME_LOST,
        "the volume of its claim is gone",
        "bring the volume back; a new claim is an empty volume",
    ),
    _rule(
        r"persistentvolumeclaim \"([^\"]+)\" (?:not found|is being deleted)",
        Kind.CLAIM,
        "volume claim {0} is not there, or is being deleted",
        "make volume claim {0}, or correct its name",
    ),
    _rule(
        r"available persistent volumes to bind",
        Kind.VOLUME,
        "{have} no volume for its claim",
        "make a volume of that class, size and access mode, or use a class with a provisioner",
    ),
    _rule(
        r"max volume count|enough free storage|no available disk|ReadWriteOncePod",
        Kind.VOLUME,
        "{are} not able to give it its volume ({said})",
        "free the volume where another pod or node has it, or add a node that may have one more",
    ),
    _rule(
        r"volume node affinity|PersistentVolume's node affinity|available volume zone",
        Kind.VOLUME_ZONE,
        "{are} where its volume is not",
        "make room for it on the node, or in the zone, where its volume is",
    ),
    _rule(
        r"node\.kubernetes\.io/unschedulable|were unschedulable|was unschedulable",
        Kind.CORDON,
        "{are} cordoned",
        "kubectl uncordon the nodes, or wait until their maintenance is over",
    ),
    _rule(
        r"\{node\.kubernetes\.io/(?:not-ready|unreachable)\b",
        Kind.NODE,
        "{are} not ready",
        "start the kubelets of these nodes, or add a node",
    ),
    _rule(
        r"\btaint(?:\(s\))?(?: \{(.*?)(?:: )?\})?",
        Kind.TAINT,
        "{have} taint {0}, which it does not tolerate",
        "give it a toleration for the taint, or take the taint from a node",
    ),
    _rule(
        r"node affinity/selector|node selector|node affinity|requested node name",
        Kind.NODE_AFFINITY,
        "{have} other labels than its node selector or affinity asks for",
        "correct nodeSelector or node affinity, or label a node",
    ),
)
_OTHER = _rule("", Kind.UNSCHEDULABLE, "{said}", "correct the pod, or a node, as the scheduler says: {said}")
_NO_DEFAULT = _rule(
    "",
    Kind.STORAGE_CLASS,
    "its volume claim names no storage class, and none is the default",
    "name a storage class, or mark one as default",
)
_ORDER = {rule: place for place, rule in enumerate((*_RULES, _OTHER))}
_RESERVED = "node-role.kubernetes.io/"
"""Taints of nodes that are for the control plane: nobody mends that."""
_AVAILABLE = re.compile(r"^\d+/(\d+) nodes are available: ", re.IGNORECASE)
_END = re.compile(r"\.?\s+(?:no new claims to deallocate|preemption:).*$|\.\s*$", re.DOTALL)
_PART = re.compile(r",\s+(?=\d+ )")
_VOLUME_SOON_SEEN = re.compile(r'persistentvolume "[^"]+" not found')
"""The scheduler met the claim of a volume before the volume, and tries again. A claim whose volume is gone is Lost."""
_NO_CLASS = re.compile(r"no storage class is set|storageclass\S* \"([^\"]+)\" not found")


@dataclasses.dataclass(frozen=True)
class Part:
    """One thing that keeps a pod away, and from how many nodes (0: the scheduler gives no number)."""

    nodes: int
    said: str
    rule: _Rule
    captured: str = ""

    @property
    def kind(self) -> Kind:
        """What it is."""
        return self.rule.kind

    @property
    def of_nodes(self) -> bool:
        """True when some nodes have it and others may not have it."""
        return "{have}" in self.rule.why or "{are}" in self.rule.why

    @property
    def why(self) -> str:
        """What is so, of its nodes or of the pod."""
        one = self.nodes == 1
        verbs = self.rule.why.replace("{have}", "has" if one else "have").replace("{are}", "is" if one else "are")
        return self._filled(verbs)

    @property
    def fix(self) -> str:
        """What would help."""
        return self._filled(self.rule.fix)

    def _filled(self, text: str) -> str:
        captured = self.captured.replace(": ", "=") or "(not named)"
        return text.replace("{0}", captured).replace("{said}", self.said)


def parts(message: str) -> list[Part]:
    """What the scheduler's message consists of, what is most likely to be mended first."""
    text = _END.sub("", _AVAILABLE.sub("", message)).strip()
    found = [_part(piece) for piece in _PART.split(text) if piece]
    return sorted(found, key=lambda part: (part.captured.startswith(_RESERVED), _ORDER[part.rule], -part.nodes))


def _part(text: str) -> Part:
    number = re.match(r"(\d+) ", text)
    nodes, said = (int(number[1]), text[number.end() :]) if number else (0, text)
    for rule in _RULES:
        match = rule.said.search(said)
        if match:
            return Part(nodes, said, rule, next((group for group in match.groups() if group), ""))
    return Part(nodes, said, _OTHER)


def unscheduled(
    pod: Object, name: ObjectName, events: Sequence[Object], now: datetime.datetime, *, late: bool
) -> Cause | None:
    """The cause for which no node takes the pod; None while one still may. `events`: its own and its claims'."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return None
    message = str(scheduled.get("message") or "")
    found = parts(message)
    if not found or (_VOLUME_SOON_SEEN.search(message) and not late):
        return None
    first = _of_its_claims(found[0], pod, events)
    if not late and (first.kind is Kind.NODE or _a_node_is_made(events, now)):
        return None
    grace = _UNBOUND_SECONDS if _UNBOUND in first.said else _UNSCHEDULABLE_SECONDS
    if told.age(scheduled.get("lastTransitionTime"), now) < grace:
        return None
    every = [first, *found[1:]]
    fixes = dict.fromkeys(part.fix for part in every)
    evidence = (message, *_claims_say(pod, events), *_requests(pod))
    return Cause(first.kind, name, f"no node takes it: {_sentence(message, every)}", "; or ".join(fixes), evidence)


def _sentence(message: str, found: Sequence[Part]) -> str:
    available = _AVAILABLE.search(message)
    of = f" of {available[1]} nodes" if available else " nodes"
    return ", ".join(f"{part.nodes}{of} {part.why}" if part.nodes and part.of_nodes else part.why for part in found)


def _a_node_is_made(events: Iterable[Object], now: datetime.datetime) -> bool:
    asked = told.of_reason(events, *_ASKS_FOR_A_NODE)
    return any((now - told.last(event)).total_seconds() < _SCALE_UP_SECONDS for event in asked)


def _claims(pod: Object) -> list[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    names = ((one.get("persistentVolumeClaim") or {}).get("claimName") for one in volumes)
    return [name for name in names if name]


def _claims_say(pod: Object, events: Iterable[Object]) -> list[str]:
    """What was last said of each of its claims."""
    found: dict[str, str] = {}
    for event in told.about_claims(_claims(pod), events):
        name = str(event["involvedObject"]["name"])
        found.setdefault(name, f"PersistentVolumeClaim {name}: {told.message(event)}")
    return list(found.values())


def _of_its_claims(part: Part, pod: Object, events: Iterable[Object]) -> Part:
    """An unbound claim, told as what its provisioner or the controller says of it."""
    if _UNBOUND not in part.said:
        return part
    for said in _claims_say(pod, events):
        missing = _NO_CLASS.search(said)
        if missing and missing[1]:
            return _part(said)
        if missing:
            return Part(0, said, _NO_DEFAULT)
    return part


def _requests(pod: Object) -> list[str]:
    """What each container asks of a node, for who compares it with what is there."""
    found = []
    for container in (pod.get("spec") or {}).get("containers") or ():
        requests: dict[str, Any] = (container.get("resources") or {}).get("requests") or {}
        if requests:
            asked = ", ".join(f"{what} {much}" for what, much in sorted(requests.items()))
            found.append(f"container {container.get('name')} requests {asked}")
    return found
