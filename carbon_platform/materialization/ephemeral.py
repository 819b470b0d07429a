"""What goes with a pod: told where pods were replaced, as nothing brings it back. Pure."""

import datetime
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.shape import readable
from carbon_platform.health.events import moment


def gone_with_pods(pods: Iterable[Object], since: str) -> tuple[str, ...]:
    """What is lost with the pods in whose place these were made. `since` (ISO 8601): when the component last worked.

    Nothing where it never did: then there were none. Pods that have ended, such as a Job's, replace nobody.
    """
    worked = moment(since)
    if worked is None:
        return ()
    new = [pod for pod in map(readable, pods) if _runs(pod) and _made(pod) > worked]
    if not new:
        return ()
    volumes = sorted({name for pod in new for name in _empty_dirs(pod)})
    kept = f" and in {', '.join(volumes)} (emptyDir)" if volumes else ""
    number = "a pod that was" if len(new) == 1 else f"{len(new)} pods that were"
    return (f"what {number} replaced had in memory{kept}",)


def _runs(pod: Object) -> bool:
    return pod["status"].get("phase") not in {"Succeeded", "Failed"}


def _made(pod: Object) -> datetime.datetime:
    never = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return moment(pod["metadata"].get("creationTimestamp")) or never


def _empty_dirs(pod: Object) -> list[str]:
    volumes = pod["spec"].get("volumes") or ()
    return [str(volume.get("name")) for volume in volumes if "emptyDir" in volume]
