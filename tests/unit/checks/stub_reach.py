"""A Reach over plain dictionaries and loopback ports."""

from collections.abc import Mapping

from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CheckFailed


class StubReach:
    """Services by (namespace, name); ready addresses by (namespace, Service); every port on loopback."""

    namespace = "kong"
    release = "postgres"

    def __init__(
        self,
        services: Mapping[tuple[str, str], Object] | None = None,
        ready: Mapping[tuple[str, str], list[str]] | None = None,
        ports: Mapping[str, int] | None = None,
        secrets: Mapping[str, str] | None = None,
        scheme: str = "http",
    ) -> None:
        self._scheme = scheme
        self._services, self._ready = services or {}, ready or {}
        self._ports, self._secrets = ports or {}, secrets or {}

    async def endpoint(self, name: str | None = None) -> tuple[str, int]:
        return await self.service(name or "", 0)

    def scheme(self, name: str | None = None) -> str:
        return self._scheme

    async def service(self, name: str, port: int, namespace: str | None = None) -> tuple[str, int]:
        if name not in self._ports:
            raise CheckFailed(f"Service {name} leads nowhere")
        return "127.0.0.1", self._ports[name]

    async def socks5(self) -> tuple[str, int] | None:
        return None

    async def secret(self, name: str, key: str, namespace: str | None = None) -> str:
        return self._secrets[key]

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        assert kind == "Service"
        return self._services.get((namespace or self.namespace, name))

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        assert kind == "EndpointSlice"
        name = (labels or {})["kubernetes.io/service-name"]
        addresses = self._ready.get((namespace or self.namespace, name), [])
        return [{"endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses]}]
