"""Checks of Services as such: that a name leads where it should, to something alive."""

import asyncio
import contextlib
import dataclasses
import re
import time
from typing import ClassVar, Literal

from pydantic import Field

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.endpoints import KIND, OF_SERVICE, ready
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CheckFailed

_CLUSTER_NAME = re.compile(r"^(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc\.[a-z0-9.-]+$")
_HOPS = 4
"""Aliases of aliases followed at most; the DNS resolvers in pods give up at a similar depth."""

_SETTLE = 1.0
"""Seconds to see whether what accepted a connection keeps it: a forwarded port accepts before its target does."""

_ANSWER = 10.0
"""Seconds a server may take to answer its protocol's first message."""

_GREETINGS = {"postgres": (bytes.fromhex("00000008 04d2162f"), b"SN")}
"""By protocol: a first message, and the bytes one of which the answer starts with (PostgreSQL: SSLRequest)."""


@dataclasses.dataclass(frozen=True)
class ServiceName:
    """A Service by name and namespace."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


def alias_target(external_name: str) -> ServiceName | None:
    """The Service of this cluster that an ExternalName stands for; None for a host outside of it.

    Only the full name counts, with the cluster's domain: the target of an alias is looked up as it stands,
    resolvers do not complete it from their search list.
    """
    found = _CLUSTER_NAME.match(external_name)
    return ServiceName(found["name"], found["namespace"]) if found else None


def ready_addresses(slices: list[Object]) -> list[str]:
    """Addresses of the ready endpoints in the EndpointSlices of a Service, each once, sorted."""
    return sorted({address for _, endpoint in ready(slices) for address in endpoint.get("addresses") or ()})


async def ready_endpoints(reach: Reach, service: ServiceName) -> list[str]:
    """Addresses that stand ready behind a Service of the cluster."""
    return ready_addresses(await reach.list(*KIND, service.namespace, {OF_SERVICE: service.name}))


async def resolve(reach: Reach, service: ServiceName) -> tuple[ServiceName | str, int]:
    """Where a Service leads in the end, and over how many aliases: a Service that selects pods, or a foreign host.

    Raises CheckFailed when a Service on the way does not exist, or when aliases go in a circle.
    """
    seen = [service]
    while True:
        found = await reach.get("v1", "Service", service.name, service.namespace)
        if found is None:
            way = " → ".join(str(s) for s in seen)
            raise CheckFailed(
                f"Service {service} does not exist", f"the name was reached by {way}", "re-apply the declared Service"
            )
        spec = found.get("spec") or {}
        if spec.get("type") != "ExternalName":
            return service, len(seen) - 1
        host = str(spec.get("externalName") or "")
        target = alias_target(host)
        if target is None and host.rstrip(".").endswith(".svc"):
            raise CheckFailed(
                f"Service {service} leads nowhere",
                f"{host} lacks the cluster's domain, so no client resolves it",
                "write the full name, such as service.namespace.svc.cluster.local",
            )
        if target is None:
            return host, len(seen)
        if target in seen or len(seen) > _HOPS:
            way = " → ".join(str(s) for s in [*seen, target])
            raise CheckFailed(
                f"Service {seen[0]} leads nowhere", f"its aliases never end: {way}", "point it at a real Service"
            )
        seen.append(target)
        service = target


async def connect(host: str, port: int, what: str, speaks: str | None = None) -> float:
    """Open a connection and see it kept or, if a protocol is named, answered; milliseconds. Raises CheckFailed."""
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise _dead(f"{what} accepts no connection", str(error)) from error
    opened = time.perf_counter()
    try:
        if speaks is None:
            await _kept(reader, what)
            return (opened - began) * 1000
        hello, answers = _GREETINGS[speaks]
        writer.write(hello)
        answer = await asyncio.wait_for(reader.read(1), _ANSWER)
    except TimeoutError as error:
        raise _dead(f"{what} does not answer", f"nothing within {_ANSWER:g} s") from error
    except OSError as error:
        raise _dead(f"{what} drops its connections", str(error)) from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not answer:
        raise _dead(f"{what} drops its connections", "closed without an answer")
    if answer not in answers:
        raise _dead(f"{what} does not speak {speaks}", f"its answer starts with {answer!r}")
    return (time.perf_counter() - began) * 1000


async def _kept(reader: asyncio.StreamReader, what: str) -> None:
    try:
        first = await asyncio.wait_for(reader.read(1), _SETTLE)
    except TimeoutError:
        return
    if not first:
        raise _dead(f"{what} drops its connections", "closed as soon as it was open")


def _dead(summary: str, cause: str) -> CheckFailed:
    return CheckFailed(summary, cause, "see the pods behind it")


class Alias(Check):
    """A Service leads to a live endpoint; with `target`, to the one it is declared for."""

    summary: ClassVar[str] = "The name leads to a ready endpoint of the expected Service, which accepts connections."

    service: str = Field(description="The Service clients use.")
    port: int = Field(ge=1, le=65535)
    namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    target: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)?$",
        description="The Service it must lead to, as `name` or `name.namespace`.",
    )
    speaks: Literal["postgres"] | None = Field(None, description="Protocol that must answer; any server if unsaid.")

    async def run(self, reach: Reach) -> Passed:
        alias = ServiceName(self.service, self.namespace or reach.namespace)
        end, aliases = await resolve(reach, alias)
        self._expect(alias, end, reach.namespace)
        ready = await self._ready(reach, alias, end)
        host, port = await reach.service(self.service, self.port, alias.namespace)
        milliseconds = await connect(host, port, f"{alias}:{self.port}", self.speaks)
        return Passed(
            f"{alias} leads to {end}, {ready} ready",
            {"target": str(end), "aliases": aliases, "endpoints": ready, "latency_ms": round(milliseconds, 2)},
        )

    def _expect(self, alias: ServiceName, end: ServiceName | str, namespace: str) -> None:
        if self.target is None:
            return
        name, _, elsewhere = self.target.partition(".")
        wanted = ServiceName(name, elsewhere or namespace)
        if end != wanted:
            raise CheckFailed(
                f"Service {alias} leads to the wrong place",
                f"it leads to {end}, declared is {wanted}",
                "re-apply the declared alias, then restart the clients that use it",
            )

    @staticmethod
    async def _ready(reach: Reach, alias: ServiceName, end: ServiceName | str) -> int:
        if isinstance(end, str):
            return 1  # outside the cluster: the connection is all that can be seen
        ready = await ready_endpoints(reach, end)
        if not ready:
            raise CheckFailed(
                f"Service {alias} leads to nothing alive",
                f"{end} has no ready endpoint",
                f"see why no pod behind {end} is ready",
            )
        return len(ready)


CHECKS = {"alias": Alias}
