"""Applying a plan: CRDs first, then Helm; and what Helm can't do to an immutable object, done with its data kept."""

import asyncio
import datetime

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.errors import Unreachable
from carbon_platform.materialization.outcome import Options, Steps
from carbon_platform.materialization.session import Session
from carbon_platform.release.helm import HelmFailed
from carbon_platform.release.lease import Held
from carbon_platform.release.plan import MADE_ANEW, Action, Plan
from carbon_platform.release.recover import recover
from carbon_platform.release.removal import take_out
from carbon_platform.release.render import Desired
from carbon_platform.release.wait import wait_ready
from carbon_platform.spec.platform import Component, Release

_CRD_SECONDS = 30.0
_RESTARTABLE = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"})


async def apply(
    component: Component, desired: Desired, plan: Plan, session: Session, held: Held, options: Options, steps: Steps
) -> int:
    """Make live what is desired; the new revision. Does not wait for readiness.

    An API server that goes away in the middle is waited for (the client's patience), the release brought back to
    where Helm can go on, and Helm started again. Raises HelmFailed, Unreachable.
    """
    release = component.release
    assert release is not None, "only releases are applied by Helm"
    for crd in desired.crds:
        await session.api.apply(crd)
    if desired.crds:
        names = [ObjectName.of(crd) for crd in desired.crds]
        await wait_ready(names, session.api, session.mirrors, _CRD_SECONDS, steps.tell)
    await _remove_refused(plan, session.api, steps)
    revision = await _upgrade(release, session, held, steps)
    for change in plan.changes:
        if change.removed:
            await take_out(change.object, change.removed, session.api)
    if options.redeploy:
        await restart(desired, session.api)
    return revision


async def _upgrade(release: Release, session: Session, held: Held, steps: Steps) -> int:
    deadline = asyncio.get_running_loop().time() + session.api.patience
    while True:
        try:
            return await session.helm.upgrade(release, "deployed by Carbon")
        except (Unreachable, HelmFailed) as error:
            if asyncio.get_running_loop().time() >= deadline or not await _interrupted(error, release, session):
                raise
            steps.tell("the API server went away; carries on")
            await recover(session.api, release, held, steps.tell)


async def _interrupted(error: Exception, release: Release, session: Session) -> bool:
    """True when Helm failed because the API server went away, and it is back now (waited for)."""
    if not isinstance(error, Unreachable):
        return False
    await session.api.request("GET", "/readyz", what="see whether the API server is back")
    return True


async def _remove_refused(plan: Plan, api: Api, steps: Steps) -> None:
    """Objects that can't be changed in place are deleted so that Helm makes them anew.

    The guard has let them through: they hold no data, or a person confirmed. What a StatefulSet owns is orphaned,
    so its pods and volumes stay and the new one adopts them.
    """
    for change in plan.changes:
        if change.action is Action.REFUSED and change.object.group_kind in MADE_ANEW:
            steps.tell(f"creates {change.object} anew: {change.reason}")
            stateful = change.object.group_kind == "StatefulSet.apps"
            await api.delete(change.object, "Orphan" if stateful else "Background")


async def restart(desired: Desired, api: Api) -> list[ObjectName]:
    """A rolling restart of every workload, the way `kubectl rollout restart` does it; which were restarted."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    annotations = {"kubectl.kubernetes.io/restartedAt": at}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    names = [ObjectName.of(obj) for obj in desired.objects if group_kind(obj) in _RESTARTABLE]
    for name in names:
        await api.patch(name, patch, manager="carbon-restart")
    return names
