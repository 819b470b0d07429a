"""Live objects by the list: whoever wants many of a namespace asks the API server once for each kind."""

import asyncio
from collections.abc import Iterable

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import PermissionDenied

_Key = tuple[str, str, str, str]


class Present:
    """Which objects there are, asked for once for each kind."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kinds: dict[tuple[str, str], asyncio.Task[set[tuple[str, str]]]] = {}

    async def missing(self, names: Iterable[ObjectName], labels: str) -> list[ObjectName]:
        """Those that are not there; looked for among those with these labels, and then by name."""
        gone = []
        for name in names:
            key = (name.api_version, name.kind)
            if key not in self._kinds:
                self._kinds[key] = asyncio.create_task(self._list(*key, labels))
            if (name.namespace, name.name) not in await self._kinds[key]:
                live = await self._find(name)
                if live is None or live["metadata"].get("deletionTimestamp"):
                    gone.append(name)
        return gone

    async def _list(self, api_version: str, kind: str, labels: str) -> set[tuple[str, str]]:
        try:
            return await self._api.names(api_version, kind, labels)
        except (MissingKind, PermissionDenied):  # to list; to get may be allowed
            return set()
        except Rejected as error:
            if error.code != 404:
                raise
            return set()

    async def _find(self, name: ObjectName) -> Object | None:
        try:
            return await self._api.find(name)
        except PermissionDenied:
            return {"metadata": {}}  # nobody knows


class Listing:
    """What is live of some kinds, each listed when the first of its objects is asked for, and never again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lists: dict[_Key, asyncio.Task[dict[str, Object]]] = {}

    async def of(self, api_version: str, kind: str, namespace: str, labels: str) -> dict[str, Object]:
        """The objects with these labels by name. Raises what listing them raised."""
        key = (api_version, kind, namespace, labels)
        if key not in self._lists:
            self._lists[key] = asyncio.create_task(self._list(*key))
        # Whoever gives up waiting must not end it for the others.
        return await asyncio.shield(self._lists[key])

    async def _list(self, api_version: str, kind: str, namespace: str, labels: str) -> dict[str, Object]:
        found = await self._api.list(api_version, kind, namespace or None, labels=labels)
        return {obj["metadata"]["name"]: obj for obj in found}

    async def get(self, name: ObjectName, labels: str) -> Object | None:
        """One object, looked for among those with these labels, and asked for by name where it is not there."""
        try:
            found = (await self.of(name.api_version, name.kind, name.namespace, labels)).get(name.name)
        except PermissionDenied:  # to list; to get may be allowed
            found = None
        except Rejected as error:
            if error.code != 404:
                raise
            found = None  # its kind is gone, and was there when the client looked kinds up
        return found if found is not None else await self._api.get(name)
