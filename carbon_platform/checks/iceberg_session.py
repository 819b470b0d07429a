"""How the Iceberg checks and content speak with a REST catalogue, and how a refusal is told."""

import abc
import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    import httpx2

_PROBE = re.compile(r"^carbon_probe_(\d{9,11})_[0-9a-f]{8}$")
_STALE = 3600.0
"""Seconds after which a probe was killed, and its namespace is anybody's to remove."""

_PAUSE = 0.5

_FIXES = {
    401: "the catalogue wants credentials that the check has not",
    403: "the catalogue does not allow this",
    404: "see whether the namespace or table was removed meanwhile",
    500: "the catalogue fails inside, mostly at its database or the object store: see its log and those of both",
    503: "the catalogue is starting, or its database does not answer: see its log",
}


def probe_name() -> str:
    """A namespace for one probe: unique, and telling when it was made."""
    return f"carbon_probe_{int(time.time())}_{secrets.token_hex(4)}"


def stale_probes(names: Iterable[str], now: float) -> list[str]:
    """Those of the namespaces that killed probes left behind. A name that is not a probe's is never among them."""
    found = ((name, _PROBE.match(name)) for name in names)
    return sorted(name for name, match in found if match and now - int(match[1]) > _STALE)


class Refused(CheckFailed):
    """The catalogue answered, and said no. `status` is that of HTTP."""

    def __init__(self, status: int, cause: str) -> None:
        fix = _FIXES.get(status, "see the catalogue's log")
        super().__init__("the Iceberg catalogue refused", cause, fix)
        self.status = status


class Catalogue:
    """Iceberg's REST catalogue protocol, as far as it is needed here.

    Each method raises CheckFailed with what the catalogue says when it refuses.
    """

    def __init__(self, http: "httpx2.AsyncClient", prefix: str = "") -> None:
        self._http = http
        self._prefix = prefix

    async def config(self) -> dict[str, Any]:
        """The configuration for clients; a prefix that it asks for is used from then on."""
        answer = await self.call("GET", "/v1/config", raw=True)
        if not isinstance(answer, dict) or not isinstance(answer.get("defaults"), dict):
            raise CheckFailed(
                "the Iceberg catalogue gives no configuration", "its answer has no `defaults`", "see its log"
            )
        merged = {**answer["defaults"], **(answer.get("overrides") or {})}
        prefix = merged.get("prefix")
        self._prefix = f"/{prefix}" if prefix else ""
        return answer

    async def namespaces(self) -> list[str]:
        """Names of the top level."""
        answer = await self.call("GET", "/namespaces")
        return [parts[0] for parts in answer["namespaces"] if len(parts) == 1]

    async def create_namespace(self, name: str) -> None:
        """Make a namespace."""
        await self.call("POST", "/namespaces", {"namespace": [name], "properties": {}})

    async def create_table(self, namespace: str, request: dict[str, Any]) -> dict[str, Any]:
        """Make a table; what loading it would give."""
        return dict(await self.call("POST", f"/namespaces/{quote(namespace)}/tables", request))

    async def load_table(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A table's metadata and its place, or None."""
        path = f"/namespaces/{quote(namespace)}/tables/{quote(name)}"
        answer = await self.call("GET", path, missing_ok=True)
        return dict(answer) if answer is not None else None

    async def commit(
        self, namespace: str, name: str, requirements: list[dict[str, Any]], updates: list[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """Change a table if the requirements hold; None when they don't (somebody else was first)."""
        path = f"/namespaces/{quote(namespace)}/tables/{quote(name)}"
        body = {"requirements": requirements, "updates": updates}
        answer = await self.call("POST", path, body, conflict_ok=True)
        return dict(answer) if answer is not None else None

    async def exists(self, path: str) -> bool:
        """Whether there is something at `path`."""
        response = await self._send("HEAD", f"/v1{self._prefix}{path}", None)
        if response.status_code == 404:
            return False
        self._check("HEAD", path, response)
        return True

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bool = False,
        missing_ok: bool = False,
        conflict_ok: bool = False,
    ) -> Any:
        """The answer's JSON, None where there is none. `raw` takes `path` as it is, without version and prefix."""
        response = await self._send(method, path if raw else f"/v1{self._prefix}{path}", body)
        if (missing_ok and response.status_code == 404) or (conflict_ok and response.status_code == 409):
            return None
        self._check(method, path, response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            cause = f"{method} {path} was answered with something else: {response.text[:100]!r}"
            raise CheckFailed(
                "the Iceberg catalogue does not answer in JSON", cause, "see what listens there"
            ) from error

    async def _send(self, method: str, path: str, body: Any) -> "httpx2.Response":
        import httpx2

        try:
            return await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise CheckFailed(
                "the Iceberg catalogue does not answer",
                f"{method} {path}: {str(error) or type(error).__name__}",
                "see its pods and their log",
            ) from error

    @staticmethod
    def _check(method: str, path: str, response: "httpx2.Response") -> None:
        if response.is_success:
            return
        text = f"{method} {path}: HTTP {response.status_code} {refusal_text(response.text)}"
        raise Refused(response.status_code, text.strip())


def refusal_text(body: str) -> str:
    """What an error answer of the catalogue says: its type and message, in one line."""
    import json

    try:
        error = json.loads(body)["error"]
        text = f"{error['type']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        text = body
    return " ".join(text.split())[:300]


class IcebergCheck(Check):
    """What every Iceberg check needs to know: the catalogue's Service."""

    service: str = Field("iceberg-rest", description="Service of the REST catalogue.")
    port: int = Field(8181, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    settle: float = Field(
        8, ge=0, description="Seconds in which it may fail inside: it finds dead connections of its pool by using them."
    )

    async def run(self, reach: Reach) -> Passed:
        """The probe, again while the catalogue fails inside and may still settle."""
        deadline, attempts = time.monotonic() + self.settle, 0
        while True:
            attempts += 1
            try:
                passed = await self.probe(reach)
            except Refused as refused:
                if refused.status < 500 or time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return Passed(passed.detail, {**passed.evidence, "attempts": attempts})

    @abc.abstractmethod
    async def probe(self, reach: Reach) -> Passed:
        """What `run` promises, once."""

    def catalogue(self, reach: Reach) -> "contextlib.AbstractAsyncContextManager[Catalogue]":
        """A session with the catalogue."""
        return catalogue(reach, self.service, self.port, self.service_namespace)


@contextlib.asynccontextmanager
async def catalogue(reach: Reach, service: str, port: int, namespace: str | None) -> AsyncIterator[Catalogue]:
    """A session with the catalogue behind a Service, which has been asked for its configuration."""
    import httpx2

    host, bound = await reach.service(service, port, namespace)
    async with httpx2.AsyncClient(base_url=f"http://{host}:{bound}", timeout=30, trust_env=False) as http:
        session = Catalogue(http)
        await session.config()
        yield session
