"""Proving that what is deployed works: wait until it is ready, then run its checks."""

import dataclasses
from collections.abc import Iterable, Sequence

from carbon_platform.checks.run import now
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.health.beside import beside
from carbon_platform.health.diagnosis import owned_pods
from carbon_platform.health.status import may_own_pods
from carbon_platform.materialization.checked import checked
from carbon_platform.materialization.outcome import Steps
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.replaced import with_volumes
from carbon_platform.materialization.session import Session
from carbon_platform.records import CheckResult
from carbon_platform.release.desired import Desired
from carbon_platform.release.vanished import vanishes
from carbon_platform.release.wait import wait_ready
from carbon_platform.spec.platform import Component

_TIMES = 2
"""Not more: what goes on being down is for a person, or for healing's next remedy."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was seen. The first check is readiness; others may have failed."""

    checks: tuple[CheckResult, ...]
    pods: tuple[Object, ...]


async def prove(
    component: Component, desired: Desired, session: Session, steps: Steps, confirm: Sequence[str] = ()
) -> Proof:
    """Wait until everything is ready and run the component's checks.

    What fails while a container of its own is down, ends or begins says what a start says: nothing yet. It is waited
    for and checked once more; one that goes on ending ends the wait before that, as a crash loop.

    Raises NotReady or DataAtRisk as `wait_ready` does, and Unreachable as `checked` does.
    """
    for left in reversed(range(_TIMES)):
        ready, pods = await _ready(component, desired, session, steps)
        with steps.timed(Step.VERIFY, f"{len(component.checks)} functional checks" if component.checks else ""):
            results = await checked(component, session, session.settings.settle_seconds)
        if all(result.passed for result in results) or _ran_on(pods, await _pods(desired, session)):
            break
        if left:
            steps.tell("a container was down or began meanwhile: waits for it, and checks again")
    ready = await with_volumes(ready, component, session, confirm)
    return Proof((ready, *results), tuple(pods))


def _ran_on(before: Iterable[Object], after: Iterable[Object]) -> bool:
    """Whether each container ran then and runs still, in the same run."""
    now = _runs(after)
    return _runs(before) == now and all(began for _, _, began in now)


def _runs(pods: Iterable[Object]) -> set[tuple[str, str, str]]:
    """Each container that is to run on: its pod, its name, and when its present run began, empty when it is down."""
    return {
        (pod["metadata"]["uid"], one["name"], one.get("state", {}).get("running", {}).get("startedAt", ""))
        for pod in map(readable, pods)
        if pod["status"].get("phase") not in {"Succeeded", "Failed"}
        for one in pod["status"].get("containerStatuses", ())
    }


async def _ready(
    component: Component, desired: Desired, session: Session, steps: Steps
) -> tuple[CheckResult, list[Object]]:
    """What is to be told of readiness, and the pods that are ready."""
    names = [ObjectName.of(obj) for obj in desired.objects if _awaited(obj)]
    deadline = component.deadline or session.settings.wait_seconds
    with steps.timed(Step.WAIT):
        vanishing = {ObjectName.of(obj) for obj in desired.objects if vanishes(obj)}
        await wait_ready(
            names, session.api, session.mirrors, deadline, steps.tell, rules=desired.rules, vanishing=vanishing
        )
    pods = await _pods(desired, session)
    evidence: dict[str, str | int | float | bool] = {"objects": len(desired.objects), "pods": len(pods)}
    detail = f"{len(desired.objects)} objects as desired, {len(pods)} pods ready"
    return CheckResult("ready", True, detail, now(), steps.seconds[Step.WAIT.value], "", evidence), pods


def _awaited(obj: Object) -> bool:
    return group_kind(obj) != "Service" or readable(obj)["spec"].get("type") == "LoadBalancer"


async def _pods(desired: Desired, session: Session) -> list[Object]:
    """The pods of the release's workloads and custom resources."""
    owners = [obj for obj in desired.objects if may_own_pods(obj)]
    found: dict[str, Object] = {}
    for namespace in {obj["metadata"]["namespace"] for obj in owners if "namespace" in obj["metadata"]}:
        pods = await session.api.list("v1", "Pod", namespace)
        between = await beside(owners, pods, namespace, session.api)
        for obj in owners:
            found |= {pod["metadata"]["uid"]: pod for pod in owned_pods(obj, pods, between)}
    return list(found.values())
