"""What people do to objects by hand, as the API server sees it."""

from collections.abc import Callable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName


async def edit(api: Api, name: ObjectName, change: Callable[[Object], object], by: str = "kubectl-edit") -> None:
    """Change an object the way `kubectl edit` does."""
    live = await api.get(name)
    assert live is not None
    change(live)
    await api.replace(live, manager=by)


async def scale(api: Api, name: ObjectName, replicas: int, by: str = "kubectl") -> None:
    """Scale through the subresource, as `kubectl scale` and a HorizontalPodAutoscaler do."""
    path = (await api.resource(name.api_version, name.kind)).path(name.namespace, name.name)
    kind = "application/merge-patch+json"
    body = {"spec": {"replicas": replicas}}
    await api.request("PATCH", f"{path}/scale", params={"fieldManager": by}, body=body, content_type=kind)
