"""Uninstalling a component. Its volumes and Secrets stay, unless a person named it for losing its data."""

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk
from carbon_platform.materialization.progress import Event, Step, tell
from carbon_platform.materialization.record import recall
from carbon_platform.release import ledger
from carbon_platform.release.guard import holds_data
from carbon_platform.release.history import latest
from carbon_platform.release.lease import held
from carbon_platform.release.plan import declared, kept
from carbon_platform.release.volumes import lost_volumes
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component, Release


async def check_volumes_stay(component: Component, session: Session) -> None:
    """Raise DataAtRisk when uninstalling the component would take a volume with it, or what else may hold data.

    A volume claim that is being deleted goes when the last pod of it ends; what the chart declares goes with Helm.
    """
    had, api = (await recall(component, session)).volumes, session.api
    going = [claim for claim in await lost_volumes(had, api) if await api.get(claim) is not None]
    why = [f"{claim} is being deleted, and goes when its pod ends" for claim in going]
    revision = await latest(api, component.release) if component.release else None
    if component.release and revision:
        why += [
            f"{name} is part of the release, and would be deleted with it"
            for obj, name in await declared(revision, api)
            if holds_data(name, component.release) and not kept(obj)
        ]
    if why:
        raise DataAtRisk(
            f"{component.key}: uninstalling would cost data, so nothing was uninstalled",
            "; ".join(why),
            f"save the data first; if it may go: carbon down {component.key} --delete-data {component.key}",
        )


async def uninstall(component: Component, session: Session, *, delete_data: bool) -> str:
    """Uninstall; what was done, empty when nothing was there.

    What guards the data stays with the data, and goes with it. Raises Conflict when somebody else goes on writing.
    """
    release, api = component.release, session.api
    if release is None:
        done = ["stays inside what it lives in"]
        session.records.forget(component.key)
    else:
        done = await _uninstall(component, release, session)
    if delete_data:
        if release is not None:
            done += await _delete_claims(release, api)
        await ledger.remove(component, api)
        # Also what was read meanwhile of what is gone now.
        session.records.forget(component.key)
    return "; ".join(done)


async def _uninstall(component: Component, release: Release, session: Session) -> list[str]:
    """Under the lease, as whoever writes: so nobody who is at work on it now brings it back afterwards."""
    api, done = session.api, []

    def waiting(text: str) -> None:
        tell(Event(component.key, Step.CLAIM, text))

    if await api.get(ObjectName("v1", "Namespace", "", release.namespace)) is None:
        session.records.forget(component.key)
        return []
    async with held(api, release.namespace, release.name, session.settings.writer_seconds, waiting):
        # Before anything is gone: killed from here on, nobody makes again what a person wanted gone.
        session.records.forget(component.key)
        if await latest(api, release) is not None:
            await session.helm.uninstall(release)
            done.append("uninstalled")
        # Once more: who began to look in between has seen what is gone now.
        session.records.forget(component.key)
    return done


async def _delete_claims(release: Release, api: Api) -> list[str]:
    labels = f"app.kubernetes.io/instance={release.name}"
    claims = [ObjectName.of(c) for c in await api.list("v1", "PersistentVolumeClaim", release.namespace, labels=labels)]
    for claim in claims:
        await api.delete(claim)
    return [f"deleted {claim}" for claim in claims]
