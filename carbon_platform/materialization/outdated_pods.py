"""Pods that an operator leaves on an earlier template, replaced as a Deployment's would be: by deleting them."""

import asyncio
import contextlib

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.watch import Mirror, wait_until
from carbon_platform.health.diagnosis import outdated_pods, replaced_by
from carbon_platform.materialization.outcome import Steps
from carbon_platform.release.desired import Desired
from carbon_platform.release.volumes import end_pod
from carbon_platform.session import Session

_GONE_SECONDS = 60.0


def _declared(desired: Desired) -> list[Object]:
    return [obj for obj in desired.objects if replaced_by(obj, desired.rules)]


async def outdated(desired: Desired, api: Api) -> bool:
    """True when a custom resource of the release still has pods of an earlier template."""
    for obj in _declared(desired):
        if outdated_pods(obj, await api.list("v1", "Pod", obj["metadata"]["namespace"]), desired.rules):
            return True
    return False


async def replace_pods(desired: Desired, session: Session, steps: Steps, *, every: bool = False) -> list[str]:
    """Delete those pods (or `every` pod) and return when they are gone, or after a minute; what was deleted.

    Their operator has seen by then that they are gone, so its conditions tell of the new ones. Raises DataAtRisk when
    a volume would go with one.
    """
    told = []
    for obj in _declared(desired):
        async with session.mirrors.of("v1", "Pod", obj["metadata"]["namespace"]) as mirror:
            old = outdated_pods(obj, mirror.objects(), desired.rules, every=every)
            for pod in old:
                told.append(f"replaced {ObjectName.of(pod)}")
                steps.tell(f"deletes pod {pod['metadata']['name']}: its template changed")
                await end_pod(pod, session.api)
            await _gone({pod["metadata"]["uid"] for pod in old}, mirror)
    return told


async def _gone(uids: set[str], pods: Mirror) -> None:
    with contextlib.suppress(TimeoutError):  # the wait for readiness tells what is wrong
        async with asyncio.timeout(_GONE_SECONDS):
            await wait_until([pods], lambda: not uids & {pod["metadata"]["uid"] for pod in pods.objects()})
