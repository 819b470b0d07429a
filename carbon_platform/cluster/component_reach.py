"""Reach as one component has it, from outside the cluster (by tunnels) or inside it (directly)."""

import base64
from collections.abc import Mapping, Sequence
from typing import Protocol

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.locate import pod_behind, pod_for_host
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.tunnel import Tunnels
from carbon_platform.errors import CheckFailed


class _Endpoint(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def scheme(self) -> str: ...


class ComponentReach:
    """Implements carbon_platform.cluster.reach.Reach for a component with these endpoints."""

    def __init__(
        self, api: Api, tunnels: Tunnels, namespace: str, release: str, endpoints: Sequence[_Endpoint]
    ) -> None:
        self._api, self._tunnels = api, tunnels
        self._namespace, self._release = namespace, release
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._inside = api.target.kubeconfig is None

    @property
    def namespace(self) -> str:
        """Namespace of the component."""
        return self._namespace

    @property
    def release(self) -> str:
        """Release name of the component."""
        return self._release

    async def endpoint(self, name: str | None = None) -> tuple[str, int]:
        """Address of a declared endpoint, the first if unnamed."""
        found = self._declared(name)
        return await self.service(found.service, found.port, found.namespace)

    def _declared(self, name: str | None) -> _Endpoint:
        found = self._endpoints.get(name) if name else next(iter(self._endpoints.values()), None)
        if found is None:
            there = ", ".join(self._endpoints) or "none"
            raise CheckFailed(f"endpoint {name or '(first)'} is not declared", f"declared: {there}", "add it")
        return found

    def scheme(self, name: str | None = None) -> str:
        """What a declared endpoint speaks."""
        return self._declared(name).scheme

    async def service(self, name: str, port: int, namespace: str | None = None) -> tuple[str, int]:
        """Address through which a Service port is reached from this process."""
        where = namespace or self._namespace
        await pod_behind(self._api, where, name, port)
        if self._inside:
            return f"{name}.{where}.svc", port
        return await self._tunnels.listen((where, name, port), lambda: pod_behind(self._api, where, name, port))

    async def socks5(self) -> tuple[str, int] | None:
        """The proxy that resolves cluster names; None inside the cluster."""
        if self._inside:
            return None
        return await self._tunnels.socks5(lambda host, port: pod_for_host(self._api, host, port))

    async def secret(self, name: str, key: str, namespace: str | None = None) -> str:
        """One decoded value of a Secret."""
        where = ObjectName("v1", "Secret", namespace or self._namespace, name)
        value = ((await self._api.get(where) or {}).get("data") or {}).get(key)
        if value is None:
            raise CheckFailed(f"{where} has no key {key!r}", "it, or the key, is not there", "run 'carbon up'")
        return base64.b64decode(value).decode()

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """A live object, or None."""
        resource = await self._api.resource(api_version, kind)
        where = (namespace or self._namespace) if resource.namespaced else ""
        return await self._api.get(ObjectName(api_version, kind, where, name))

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Live objects of a kind in a namespace."""
        selector = ",".join(f"{k}={v}" for k, v in (labels or {}).items())
        resource = await self._api.resource(api_version, kind)
        where = (namespace or self._namespace) if resource.namespaced else None
        return await self._api.list(api_version, kind, where, labels=selector)

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Make an object, in the component's namespace unless it names another."""
        resource = await self._api.resource(obj["apiVersion"], obj["kind"])
        where = {"namespace": self._namespace} if resource.namespaced else {}
        return await self._api.create({**obj, "metadata": where | obj["metadata"]}, dry_run=dry_run)

    async def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object, and in the background what it owns."""
        resource = await self._api.resource(api_version, kind)
        where = (namespace or self._namespace) if resource.namespaced else ""
        await self._api.delete(ObjectName(api_version, kind, where, name))
