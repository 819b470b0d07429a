"""Do the nodes speak? While most of them do not, what Kubernetes tells of pods is no finding about them. Pure."""

import datetime
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.health.status import condition

_CATCHES_UP_SECONDS = 20.0
"""A node that is back tells of its pods anew within the kubelet's sync period, 10 s; then controllers follow."""
_NAMES = 3


def away(nodes: Iterable[Object], now: datetime.datetime, since: float = 0.0) -> str:
    """Why nothing is known of the pods; empty when it is.

    Most nodes are silent, so that every pod of theirs is called not ready and taken out of its Services, or were so
    until just now. `since`: seconds ago from when on they must have spoken.
    """
    seen = list(nodes)
    silent = sorted(node["metadata"]["name"] for node in seen if condition(node, "Ready").get("status") != "True")
    back = sorted(
        node["metadata"]["name"]
        for node in seen
        if node["metadata"]["name"] not in silent and 0 <= _ready_for(node, now) < _CATCHES_UP_SECONDS + since
    )
    if 2 * len(silent) > len(seen):
        return f"{len(silent)} of {len(seen)} nodes are not ready: {', '.join(silent[:_NAMES])}"
    if 2 * len(silent + back) > len(seen):
        return f"{len(back)} of {len(seen)} nodes are ready again since just now: {', '.join(back[:_NAMES])}"
    return ""


def _ready_for(node: Object, now: datetime.datetime) -> float:
    """Seconds; negative when the clocks do not agree, which tells nothing."""
    at = condition(node, "Ready").get("lastTransitionTime")
    return (now - datetime.datetime.fromisoformat(at)).total_seconds() if at else -1.0
