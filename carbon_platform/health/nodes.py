"""Do the nodes speak? While most of them do not, what Kubernetes tells of pods is no finding about them. Pure."""

import datetime
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.health.status import condition

_CATCHES_UP_SECONDS = 30.0
"""A node that is back tells of its pods anew within the kubelet's sync period, 10 s; then controllers follow, whose
watches, after an API server outage, pause for up to half a minute."""
_NAMES = 3


def silent(nodes: Iterable[Object]) -> str:
    """Why nothing is known of the pods; empty when it is.

    Most nodes are silent, so that every pod of theirs is called not ready and taken out of its Services.
    """
    seen = list(nodes)
    found = [node for node in seen if not _ready(node)]
    return f"{len(found)} of {len(seen)} nodes are not ready: {_names(found)}" if 2 * len(found) > len(seen) else ""


def catching_up(nodes: Iterable[Object], now: datetime.datetime, since: float = 0.0) -> str:
    """Why pods may still be called not ready of which nothing says that they are; empty when none is.

    Most nodes were silent until just now. `since`: seconds ago from when on they must have spoken of their pods.
    """
    seen = list(nodes)
    found = [node for node in seen if not _ready(node) or 0 <= _ready_for(node, now) < _CATCHES_UP_SECONDS + since]
    return f"{len(found)} of {len(seen)} nodes were silent: {_names(found)}" if 2 * len(found) > len(seen) else ""


def _ready(node: Object) -> bool:
    return condition(node, "Ready").get("status") == "True"


def _ready_for(node: Object, now: datetime.datetime) -> float:
    """Seconds; negative when the clocks do not agree, which tells nothing."""
    at = condition(node, "Ready").get("lastTransitionTime")
    return (now - datetime.datetime.fromisoformat(at)).total_seconds() if at else -1.0


def _names(nodes: Iterable[Object]) -> str:
    return ", ".join(sorted(node["metadata"]["name"] for node in nodes)[:_NAMES])
