"""Why live objects are not ready: the cluster is asked for pods and events only when there is something to explain."""

import asyncio
import datetime
from collections.abc import Iterable, Sequence

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.health.beside import beside
from carbon_platform.health.cause import Cause, Kind, root
from carbon_platform.health.diagnosis import current_pods, owned, owned_cause
from carbon_platform.health.nodes import pods_are_ready, unheard

_BESIDE = (("v1", "Pod"), ("v1", "Event"), ("apps/v1", "ReplicaSet"))


async def explain(objects: Iterable[Object], api: Api, behind: str = "") -> dict[ObjectName, Cause]:
    """The cause of each of these objects that is not ready, where one shows; also what may pass by itself.

    `behind`: why their controllers may not know yet what their pods are.
    """
    by_namespace: dict[str, list[Object]] = {}
    for obj in objects:
        by_namespace.setdefault(obj["metadata"].get("namespace", ""), []).append(obj)
    now = datetime.datetime.now(datetime.UTC)
    causes = {}
    for namespace, broken in by_namespace.items():
        pods, events, sets = await asyncio.gather(*(api.list(*kind, namespace or None) for kind in _BESIDE))
        between = await beside(broken, pods, namespace, api)
        for obj in broken:
            cause = _cause(obj, owned(obj, pods, between), sets, events, now, behind)
            if cause:
                causes[ObjectName.of(obj)] = cause
    return causes


def _cause(
    obj: Object,
    own: Sequence[Object],
    sets: Sequence[Object],
    events: Sequence[Object],
    now: datetime.datetime,
    behind: str,
) -> Cause | None:
    """What ends by itself least is told first."""
    name, pods = ObjectName.of(obj), current_pods(obj, [one for one in own if group_kind(one) == "Pod"], sets)
    cause = owned_cause(obj, own, sets, events, now) or root(filter(None, (unheard(pod, now) for pod in pods)))
    if cause is None and behind and pods_are_ready(obj, pods):
        why = f"its pods are ready and that is not known yet: {behind}"
        return Cause(Kind.NODE, name, why, "nothing is to be done: its controller notices within a minute or two")
    return cause or owned_cause(obj, own, sets, events, now, late=True)
