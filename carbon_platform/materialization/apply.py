"""Applying a plan: CRDs first, then Helm; and what Helm can't do to an immutable object, done with its data kept."""

import asyncio
import datetime
import functools
import re
from collections.abc import Sequence

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.cluster.watch import wait_until
from carbon_platform.errors import Blocked, NotReady, Unreachable
from carbon_platform.materialization.outcome import Options, Steps
from carbon_platform.release.desired import Desired, Rendered
from carbon_platform.release.documents import documents
from carbon_platform.release.helm import HelmFailed
from carbon_platform.release.history import next_number
from carbon_platform.release.hooks import seen
from carbon_platform.release.inputs import LABEL, asks_the_cluster, counts
from carbon_platform.release.lease import Held
from carbon_platform.release.managed_fields import HELM_MANAGER
from carbon_platform.release.plan import MADE_ANEW, Action, Change, Plan, compare
from carbon_platform.release.recover import recover
from carbon_platform.release.removal import take_out
from carbon_platform.release.wait import wait_ready
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component, Release

_CRD_SECONDS = 30.0
_DESCRIPTION = "deployed by Carbon"
_NOT_REPLACED = re.compile(r"error (?:merging|while running post render|parsing)|annotating ", re.IGNORECASE)
"""Helm could not read its own render to have it replaced; nothing was applied."""
_RESTARTABLE = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"})


async def apply(
    component: Component, desired: Desired, plan: Plan, session: Session, held: Held, options: Options, steps: Steps
) -> int:
    """Make live what is desired, and nothing else; the revision that is deployed then. Does not wait for readiness.

    A new render becomes a new revision. What a revision applied already is put back object by object: Helm has nothing
    new to say of it. An API server that goes away in the middle is waited for (the client's patience), the release
    brought back to where Helm can go on, and Helm started again. Raises HelmFailed, NotReady, Unreachable.
    """
    release = component.release
    assert release is not None, "only releases are applied by Helm"
    await _check_deferred(component, plan, session.api)
    await _remove_refused(component, plan, session, steps)
    if desired.rendered is None:
        assert plan.revision is not None, "only a revision has a manifest"
        revision = plan.revision.number
        await _put_back(component, plan, session)
    else:
        revision = await _upgrade(component, release, desired.rendered, session, held, steps)
    for change in plan.changes:
        if change.removed:
            await take_out(change.object, change.removed, session.api)
    if options.redeploy:
        await restart(desired, session.api)
    return revision


async def apply_first(desired: Desired, plan: Plan, session: Session, steps: Steps) -> list[ObjectName]:
    """Apply kinds and namespaces that are not as desired, before what Helm applies; which they were.

    What the chart makes may depend on them: Helm itself installs the files of crds/ before it renders.
    """
    changed = {change.object for change in plan.changes}
    kinds = [obj for obj in desired.objects if obj["kind"] == "CustomResourceDefinition"]
    todo = [obj for obj in (*desired.first, *kinds) if ObjectName.of(obj) in changed]
    for obj in todo:
        await session.api.apply(obj)
    names = [ObjectName.of(obj) for obj in todo]
    if names:
        await wait_ready(names, session.api, session.mirrors, _CRD_SECONDS, steps.tell)
        await _served([obj for obj in todo if obj["kind"] == "CustomResourceDefinition"], session.api)
        session.api.forget_capabilities()
    return names


async def _served(definitions: Sequence[Object], api: Api) -> None:
    """Return when discovery names the kinds: it follows the definitions a moment later, and nothing tells when."""
    kinds = {
        f"{definition['spec']['group']}/{version['name']}/{definition['spec']['names']['kind']}"
        for definition in definitions
        for version in definition["spec"]["versions"]
        if version.get("served")
    }

    async def missing() -> set[str]:
        _, known = await api.kinds()
        return kinds.difference(known)

    if kinds:
        await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(bool),
            wait=tenacity.wait_exponential(multiplier=0.05, max=1),
            stop=tenacity.stop_after_delay(_CRD_SECONDS),
            retry_error_callback=lambda _: None,  # what needs them says so
        )(missing)


async def _check_deferred(component: Component, plan: Plan, api: Api) -> None:
    """Raise Blocked for what could only be asked about now that its kind is there, and would be refused."""
    late = [change.desired for change in plan.changes if change.action is Action.DEFERRED and change.desired]
    found = await asyncio.gather(*(compare(obj, api) for obj in late))
    invalid = [one for one in found if isinstance(one, Change) and one.action is Action.INVALID]
    if invalid:
        raise Blocked(
            f"{component.key} can't be deployed; only its CustomResourceDefinitions were made",
            "; ".join(f"the API server refuses {one.object}: {one.reason}" for one in invalid),
            "correct the values",
        )


async def _put_back(component: Component, plan: Plan, session: Session) -> None:
    """What differs from the manifest of the deployed revision, each as Helm applied it."""
    deadline = component.deadline or session.settings.wait_seconds
    for change in plan.changes:
        if change.desired is not None and change.action is not Action.DELETE:
            if change.live is not None and change.live["metadata"].get("deletionTimestamp"):
                await _gone(change.live, session, deadline)
            await session.api.apply(change.desired, manager=HELM_MANAGER)


async def _gone(live: Object, session: Session, deadline: float) -> None:
    """Return when an object that is being deleted is no more. Raises NotReady when it stays."""
    name, uid = ObjectName.of(live), live["metadata"]["uid"]
    async with session.mirrors.of(name.api_version, name.kind, name.namespace or None) as mirror:

        def gone() -> bool:
            there = mirror.get(name.namespace, name.name)
            return there is None or there["metadata"]["uid"] != uid

        try:
            async with asyncio.timeout(deadline):
                await wait_until([mirror], gone)
        except TimeoutError:
            held = ", ".join(live["metadata"].get("finalizers") or ()) or "its namespace or what it owns"
            raise NotReady(
                f"{name} is being deleted and does not go",
                f"it is held by {held}, {deadline:g} s after it was waited for",
                f"start what serves {held}, so that it lets {name} go; Carbon removes no finalizer",
            ) from None


async def _upgrade(
    component: Component, release: Release, rendered: Rendered, session: Session, held: Held, steps: Steps
) -> int:
    deadline = asyncio.get_running_loop().time() + session.api.patience
    seconds = component.deadline or session.settings.wait_seconds
    text = rendered.text
    while True:
        number = await next_number(session.api, release)
        label = f"{LABEL}={rendered.inputs.label(number)}"
        try:
            upgrade = functools.partial(session.helm.upgrade, release, text, label, _DESCRIPTION, seconds)
            return await seen(upgrade, rendered.hooks, session.api, session.mirrors, steps.tell)
        except (Unreachable, HelmFailed) as error:
            if text and isinstance(error, HelmFailed) and _NOT_REPLACED.search(error.cause):
                text = await _as_helm_renders(release, rendered, session, error)
                continue
            if asyncio.get_running_loop().time() >= deadline or not await _interrupted(error, release, session):
                raise
            steps.tell("the API server went away; carries on")
            await recover(session.api, release, held, steps.tell)


async def _as_helm_renders(release: Release, rendered: Rendered, session: Session, error: HelmFailed) -> str:
    """An empty manifest, with which Helm applies its own render; raises the error where that would be another one.

    What Helm itself accepts, such as a key that stands twice, its post-rendering may refuse to read.
    """
    server, counted = asks_the_cluster(release), rendered.upgrade and counts(release)
    again = await session.helm.template(release, upgrade=rendered.upgrade, server=server, counted=counted)
    planned = [obj for one in documents(rendered.text) for obj in one.objects]
    if [obj for one in documents(again) if not one.beside_templates for obj in one.objects] != planned:
        raise error
    return ""


async def _interrupted(error: Exception, release: Release, session: Session) -> bool:
    """True when Helm failed because the API server went away, and it is back now (waited for)."""
    if not isinstance(error, Unreachable):
        return False
    await session.api.request("GET", "/readyz", what="see whether the API server is back")
    return True


async def _remove_refused(component: Component, plan: Plan, session: Session, steps: Steps) -> None:
    """Objects that can't be changed in place are deleted so that Helm makes them anew.

    The guard has let them through: they hold no data, or a person confirmed. What a StatefulSet owns is orphaned,
    so its pods and volumes stay and the new one adopts them.
    """
    for change in plan.changes:
        if change.action is Action.REFUSED and change.object.group_kind in MADE_ANEW:
            steps.tell(f"creates {change.object} anew: {change.reason}")
            stateful = change.object.group_kind == "StatefulSet.apps"
            await session.api.delete(change.object, "Orphan" if stateful else "Background")
            # What is applied to one that is going would go with it.
            assert change.live is not None, "only what is there can be refused"
            await _gone(change.live, session, component.deadline or session.settings.wait_seconds)


async def restart(desired: Desired, api: Api) -> list[ObjectName]:
    """A rolling restart of every workload, the way `kubectl rollout restart` does it; which were restarted."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    annotations = {"kubectl.kubernetes.io/restartedAt": at}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    names = [ObjectName.of(obj) for obj in desired.objects if group_kind(obj) in _RESTARTABLE]
    for name in names:
        await api.patch(name, patch, manager="carbon-restart")
    return names
