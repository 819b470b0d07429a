"""What a check or a content asset may use of the cluster: addresses, secrets and objects, nothing else."""

from collections.abc import Mapping
from typing import Any, Protocol

Object = dict[str, Any]
"""A Kubernetes object as the API returns it."""


class Reach(Protocol):
    """The cluster as seen from one component, from inside the cluster or from outside of it alike."""

    @property
    def namespace(self) -> str:
        """Namespace of the component."""

    @property
    def release(self) -> str:
        """Helm release name of the component; its objects carry it as `app.kubernetes.io/instance`."""

    async def endpoint(self, name: str | None = None) -> tuple[str, int]:
        """Host and port of a declared endpoint (the first one if unnamed), connectable from this process.

        Raises CheckFailed when no ready pod stands behind its Service.
        """

    def scheme(self, name: str | None = None) -> str:
        """What a declared endpoint speaks (the first one if unnamed): `http`, `https` or `tcp`."""

    async def service(self, name: str, port: int, namespace: str | None = None) -> tuple[str, int]:
        """Host and port through which `name:port` can be connected to from this process.

        An ExternalName Service is followed. Raises CheckFailed when it leads to no ready pod.
        """

    async def socks5(self) -> tuple[str, int] | None:
        """A SOCKS5 proxy on loopback that resolves cluster host names, or None where they resolve already.

        For clients which connect to names that the server advertises (Kafka).
        """

    async def secret(self, name: str, key: str, namespace: str | None = None) -> str:
        """One decoded value of a Secret. Raises CheckFailed when it is not there."""

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """A live object, or None."""

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Live objects of a kind in a namespace (the component's by default)."""

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Make an object of one's own, as a probe; its namespace is the component's unless it names one.

        With `dry_run` the API server only says whether it would take it. Raises CarbonError when it does not.
        """

    async def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Take a probe away again; nothing when it is gone already."""
