"""What stands between custom resources and their pods, read from the cluster only where there is a custom resource."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import is_custom
from carbon_platform.errors import PermissionDenied
from carbon_platform.health.ownership import BETWEEN, strangers


async def beside(owners: Iterable[Object], pods: Collection[Object], namespace: str, api: Api) -> list[Object]:
    """Workloads of the namespace, and the custom resources that own one of them or of its pods.

    Nothing where none of the owners is a custom resource of the namespace; nothing of what must not be read.
    """
    custom = [
        obj
        for obj in owners
        if is_custom(obj["apiVersion"], obj["kind"]) and obj["metadata"].get("namespace") == namespace
    ]
    if not custom:
        return []

    async def listed(kind: tuple[str, str]) -> list[Object]:
        with contextlib.suppress(MissingKind, PermissionDenied):
            return await api.list(*kind, namespace)
        return []

    found: list[Object] = []
    kinds, seen = set(BETWEEN), set[tuple[str, str]]()
    while new := kinds - seen:
        for objects in await asyncio.gather(*map(listed, sorted(new))):
            found.extend(objects)
        seen |= new
        kinds = strangers(pods, (*custom, *found))
    return found
