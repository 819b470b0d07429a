"""The volumes of a component: which it had, which of them are gone, and pods that may be ended without losing one."""

from collections.abc import Iterable, Mapping

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk

_CLAIM = "PersistentVolumeClaim"


async def volumes_of(pods: Iterable[Object], api: Api) -> dict[str, str]:
    """The claims that pods mount, as namespace/name → UID."""
    wanted = {(claim.namespace, claim.name) for pod in pods for claim in _claims(pod)}
    live = await _uids({namespace for namespace, _ in wanted}, api)
    return {place: uid for place, uid in live.items() if tuple(place.split("/")) in wanted}


async def lost_volumes(had: Mapping[str, str], api: Api) -> list[ObjectName]:
    """Claims that are gone, or go when no pod mounts them any more. New pods would get empty ones in their place."""
    lost = []
    for place in sorted(had):
        namespace, _, name = place.partition("/")
        claim = ObjectName("v1", _CLAIM, namespace, name)
        if await _lost(claim, api):
            lost.append(claim)
    return lost


def gone_or_going(claim: ObjectName) -> str:
    """What is told of one of them."""
    return f"{claim}, which is gone or goes when its pod ends"


async def replaced_volumes(had: Mapping[str, str], api: Api) -> list[ObjectName]:
    """Claims that are there and are not the ones that they were."""
    live = await _uids({place.partition("/")[0] for place in had}, api)
    changed = [place for place, uid in sorted(had.items()) if live.get(place, uid) != uid]
    return [ObjectName("v1", _CLAIM, *place.split("/")) for place in changed]


async def _uids(namespaces: Iterable[str], api: Api) -> dict[str, str]:
    return {
        f"{namespace}/{claim['metadata']['name']}": str(claim["metadata"]["uid"])
        for namespace in sorted(namespaces)
        for claim in await api.list("v1", _CLAIM, namespace)
    }


async def end_pod(pod: Object, api: Api) -> None:
    """Delete a pod, so that another is made in its place. Raises DataAtRisk when a volume would go with it."""
    lost = [claim for claim in _claims(pod) if await _lost(claim, api)]
    if lost:
        raise DataAtRisk(
            f"{ObjectName.of(pod)} would have to be replaced, which could cost data, so it was left",
            "; ".join(f"{claim} is gone, or goes when its pod ends" for claim in lost),
            "bring the volumes back first, or delete the pod yourself if its data may go",
            lost=[gone_or_going(claim) for claim in lost],
        )
    await api.delete(ObjectName.of(pod))


def _claims(pod: Object) -> list[ObjectName]:
    return [
        ObjectName("v1", _CLAIM, pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
        for volume in pod["spec"].get("volumes") or ()
        if "persistentVolumeClaim" in volume
    ]


async def _lost(claim: ObjectName, api: Api) -> bool:
    live = await api.get(claim)
    return live is None or bool(live["metadata"].get("deletionTimestamp"))
