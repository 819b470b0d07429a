"""Uninstalling a component. Its volumes and Secrets stay, unless a person named it for losing its data."""

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.materialization.progress import Event, Step, tell
from carbon_platform.materialization.session import Session
from carbon_platform.release.history import latest
from carbon_platform.release.lease import held
from carbon_platform.spec.platform import Component


async def uninstall(component: Component, session: Session, *, delete_data: bool) -> str:
    """Uninstall; what was done, empty when nothing was there."""
    release, api = component.release, session.api
    if release is None:
        session.records.forget(component.key)
        return "stays inside what it lives in"
    done = []

    def waiting(text: str) -> None:
        tell(Event(component.key, Step.CLAIM, text))

    if await latest(api, release) is not None:
        async with held(api, release.namespace, release.name, session.settings.writer_seconds, waiting):
            await session.helm.uninstall(release)
        done.append("uninstalled")
    session.records.forget(component.key)
    if delete_data:
        for claim in await api.list(
            "v1", "PersistentVolumeClaim", release.namespace, labels=f"app.kubernetes.io/instance={release.name}"
        ):
            await api.delete(ObjectName.of(claim))
            done.append(f"deleted {ObjectName.of(claim)}")
    return "; ".join(done)
