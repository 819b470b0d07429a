"""Uninstalling a component. Its volumes and Secrets stay, unless a person named it for losing its data."""

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk
from carbon_platform.materialization.progress import Event, Step, tell
from carbon_platform.materialization.session import Session
from carbon_platform.release.guard import holds_data
from carbon_platform.release.history import latest
from carbon_platform.release.lease import held
from carbon_platform.release.plan import declared, kept
from carbon_platform.release.volumes import lost_volumes
from carbon_platform.spec.platform import Component


async def check_volumes_stay(component: Component, session: Session) -> None:
    """Raise DataAtRisk when uninstalling the component would take a volume with it, or what else may hold data.

    A volume claim that is being deleted goes when the last pod of it ends; what the chart declares goes with Helm.
    """
    had, api = session.records.get(component.key).volumes, session.api
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
    """Uninstall; what was done, empty when nothing was there."""
    release, api = component.release, session.api
    if release is None:
        session.records.forget(component.key)
        return "stays inside what it lives in"
    done = []
    # First of all: killed from here on, nobody makes again what a person wanted gone.
    session.records.forget(component.key)

    def waiting(text: str) -> None:
        tell(Event(component.key, Step.CLAIM, text))

    if await latest(api, release) is not None:
        async with held(api, release.namespace, release.name, session.settings.writer_seconds, waiting):
            await session.helm.uninstall(release)
        done.append("uninstalled")
    if delete_data:
        for claim in await api.list(
            "v1", "PersistentVolumeClaim", release.namespace, labels=f"app.kubernetes.io/instance={release.name}"
        ):
            await api.delete(ObjectName.of(claim))
            done.append(f"deleted {ObjectName.of(claim)}")
    return "; ".join(done)
