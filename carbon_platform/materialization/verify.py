"""Verifying a component: now, by a look at what is there; or after a change, once everything is ready."""

import asyncio
import dataclasses
import datetime
from collections.abc import Collection, Iterable, Sequence

from carbon_platform.checks.run import now, run_checks
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, is_custom
from carbon_platform.cluster.shape import readable
from carbon_platform.errors import CarbonError
from carbon_platform.health.beside import beside
from carbon_platform.health.cause import Cause, root
from carbon_platform.health.diagnosis import owned, owned_pods
from carbon_platform.health.events import NEVER, moment
from carbon_platform.health.explain import explain
from carbon_platform.health.ownership import with_owned
from carbon_platform.health.status import may_own_pods, status
from carbon_platform.health.steadiness import unsteady
from carbon_platform.inspect.desired import deployed
from carbon_platform.materialization.content import in_sync
from carbon_platform.materialization.functional_checks import functional_checks, undisturbed
from carbon_platform.materialization.outcome import Steps
from carbon_platform.materialization.progress import Step
from carbon_platform.materialization.record import recall
from carbon_platform.records import LOST, OUTDATED_COPIES, CheckResult, Record
from carbon_platform.release.copies import outdated_copies
from carbon_platform.release.desired import Desired
from carbon_platform.release.guard import command, word_for_empty, words_for
from carbon_platform.release.plan import Plan, plan
from carbon_platform.release.vanished import vanishes
from carbon_platform.release.volumes import lost_volumes, replaced_volumes
from carbon_platform.release.wait import wait_ready
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component
from carbon_platform.wording import counted


async def verify(component: Component, session: Session, settle: float = 0.0) -> list[CheckResult]:
    """The result of every check of the component, and a record of them. Raises Unreachable when nobody answers.

    A check that fails is tried again for `settle` seconds. A pass counts as a verification only of what is
    deployed: a record of another definition stays unverified. What was seen before a change that came meanwhile is
    told, and not recorded.
    """
    before = session.records.get(component.key)

    async def look() -> _Seen:
        return await _look(component, session, settle)

    checks, revision = await undisturbed(look, lambda seen: seen[0], component.key, session)

    def seen(record: Record) -> Record:
        if _written(record) != _written(before):
            return record
        # A definition of which nobody saw a revision was begun, and perhaps never applied.
        deployed = record.digest == component.digest and (component.release is None or revision is not None)
        if not any(check.failed for check in checks) and deployed and record.revision == revision:
            record = dataclasses.replace(
                record,
                verified_at=now(),
                verified_revision=record.revision,
                checks_digest=component.checks_digest,
                failure="",
                blocked=False,
                quarantined="",
            )
        return dataclasses.replace(record, checks=checks)

    session.records.update(component.key, seen, life=before.life)
    return list(checks)


_Seen = tuple[tuple[CheckResult, ...], int | None]
"""Every check, and the revision that is deployed."""


async def _look(component: Component, session: Session, settle: float) -> _Seen:
    own = _ready(component, session) if component.release else _content(component, session)
    reach, seconds = session.reach(component), session.settings.check_seconds
    checking = asyncio.create_task(run_checks(component.checks, reach, seconds, settle))
    try:
        first, revision = await own
        return (first, *await checking), revision
    finally:  # when the first found nobody there, the others must not go on behind a session that ends
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)


def _written(record: Record) -> tuple[str, str, str]:
    """Differs after every materialization, whatever the clock did meanwhile."""
    return record.changed_at, record.verified_at, record.failed_at


async def _ready(component: Component, session: Session) -> tuple[CheckResult, int | None]:
    """The check, and the revision that is deployed."""
    desired = await deployed(component, session)
    revision = desired.revision if desired else None
    if desired is None or revision is None:
        return CheckResult("ready", False, "it is not installed", now(), fix=f"carbon up {component.key}"), None
    planned, outdated = await asyncio.gather(
        plan(component, desired, session.api), outdated_copies(component, session.api)
    )
    missing = [str(change.object) for change in planned.changes if change.live is None]
    number, how = revision.number, revision.status
    wrong = [] if planned.installed else [f"revision {number} is {how}"]
    wrong += [f"{name} is missing" for name in missing]
    wrong += [
        f"{c.object}: {s.message}" for c in planned.changes if c.live and not (s := status(c.live, desired.rules)).ready
    ]
    wrong += planned.unready
    of_pods = await _of_pods(desired, session.records.get(component.key), session)
    wrong += of_pods
    # Whoever reads one of these works with the old value only until it begins anew.
    copies: dict[str, str | int] = {OUTDATED_COPIES: len(outdated)} if outdated else {}
    if not wrong and not outdated:
        result = CheckResult("ready", True, f"{counted(len(desired.objects), 'object')} ready", now())
        return await with_volumes(result, component, session), number
    cause = await _cause(desired, session, every=bool(of_pods)) if wrong else None
    detail = "; ".join([*wrong, *([str(cause)] if cause else ()), *map(str, outdated)])
    fix = cause.fix if cause and not missing and not outdated else await _put_back(component, planned, session)
    evidence = copies | ({"told": "\n".join(cause.evidence)} if cause and cause.evidence else {})
    result = CheckResult("ready", False, detail, now(), fix=fix, evidence=evidence)
    return await with_volumes(result, component, session), number


async def _put_back(component: Component, planned: Plan, session: Session) -> str:
    """The command that puts back what differs, with the words without which it is refused."""
    assert component.release is not None, "content is compared with its declaration"
    lost = await lost_volumes(session.records.get(component.key).volumes, session.api)
    return command(component.key, words_for(planned, component.release.stateful, lost))


async def _of_pods(desired: Desired, record: Record, session: Session) -> list[str]:
    """Containers that are ready by now, perhaps, and have been restarted again and again since the last change; and
    custom resources that seem ready by themselves, with what is not of what their operator made of them."""
    since = moment(record.changed_at) or NEVER
    found: list[str] = []
    owners = [obj for obj in desired.objects if may_own_pods(obj) and "namespace" in obj["metadata"]]
    for namespace in {obj["metadata"]["namespace"] for obj in owners}:
        pods = await session.api.list("v1", "Pod", namespace)
        between = await beside(owners, pods, namespace, session.api)
        mine = {pod["metadata"]["name"]: pod for obj in owners for pod in owned_pods(obj, pods, between)}
        found += unsteady(mine.values(), since, datetime.datetime.now(datetime.UTC))
        named = [ObjectName.of(obj) for obj in owners if is_custom(obj["apiVersion"], obj["kind"])]
        for live in await asyncio.gather(*(session.api.find(name) for name in named if name.namespace == namespace)):
            if live and status(live, desired.rules).ready:
                seen = with_owned(live, owned(live, pods, between), desired.rules)
                found += [] if seen.ready else [f"{live['kind']} {live['metadata']['name']}: {seen.message}"]
    return found


async def _cause(desired: Desired, session: Session, *, every: bool = False) -> Cause | None:
    """Why what is there is not ready, where the cluster tells. `every`: what counts as ready is asked as well."""
    names = [ObjectName.of(obj) for obj in desired.objects if may_own_pods(obj)]
    found = await asyncio.gather(*(session.api.find(name) for name in names))
    asked = [obj for obj in found if obj and (every or not status(obj, desired.rules).ready)]
    return root((await explain(asked, session.api)).values())


async def _content(component: Component, session: Session) -> tuple[CheckResult, None]:
    assert component.content is not None, "a component is a release or content"
    try:
        async with asyncio.timeout(session.settings.check_seconds):
            changes = await component.content.plan(session.reach(component))
            return in_sync(component, changes, session.records.get(component.key).content), None
    except TimeoutError:
        why, fix = f"no answer within {session.settings.check_seconds:g} s", ""
    except CarbonError as error:
        why, fix = error.told, error.fix
    return CheckResult("in_sync", False, f"can't be compared: {why}", now(), fix=fix), None


_TIMES = 2
"""Not more: what goes on being down is for a person, or for healing's next remedy."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was seen. The first check is readiness; others may have failed."""

    checks: tuple[CheckResult, ...]
    pods: tuple[Object, ...]


async def wait_and_verify(
    component: Component, desired: Desired, session: Session, steps: Steps, confirm: Sequence[str] = ()
) -> Proof:
    """Wait until everything is ready and run the component's checks.

    What fails while a container of its own is down, ends or begins says what a start says: nothing yet. It is waited
    for and checked once more; one that goes on ending ends the wait before that, as a crash loop.

    Raises NotReady or DataAtRisk as `wait_ready` does, and Unreachable as `functional_checks` does.
    """
    for left in reversed(range(_TIMES)):
        ready, pods = await _wait(component, desired, session, steps)
        with steps.timed(Step.VERIFY, counted(len(component.checks), "functional check") if component.checks else ""):
            results = await functional_checks(component, session, session.settings.settle_seconds)
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


async def _wait(
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
    detail = f"{counted(len(desired.objects), 'object')} as desired, {counted(len(pods), 'pod')} ready"
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


async def with_volumes(
    ready: CheckResult, component: Component, session: Session, confirmed: Collection[str] = ()
) -> CheckResult:
    """The check `ready`, failed when a volume is another than when it was last verified and nobody accepted that.

    Its evidence says what is lost, whether that was accepted or not.
    """
    replaced = await replaced_volumes(session.records.get(component.key).volumes, session.api)
    if replaced:
        # Somebody may have accepted that from another machine.
        replaced = await replaced_volumes((await recall(component, session)).volumes, session.api)
    words = {claim: word_for_empty(claim) for claim in replaced}
    found = [claim for claim in replaced if words[claim] not in confirmed]
    if replaced:
        gone = "; ".join(f"what was in {claim}, which was replaced" for claim in replaced)
        ready = dataclasses.replace(ready, evidence={**ready.evidence, LOST: gone})
    if not found:
        return ready
    told = "; ".join(f"{claim} is another one than when it was last verified: its data is gone" for claim in found)
    accept = " ".join(f"--confirm {words[claim]}" for claim in found)
    return dataclasses.replace(
        ready,
        passed=False,
        detail=told if ready.passed else f"{ready.detail}; {told}",
        fix=f"restore the data; if it is restored, or may be gone: carbon up {component.key} {accept}",
    )
