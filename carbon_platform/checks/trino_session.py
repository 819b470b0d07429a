"""How the Trino checks run a statement, and how a refusal is told."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from carbon_platform.checks.base import Check
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    import httpx2

_BUSY = frozenset({429, 502, 503, 504})
"""Status codes after which the protocol wants the same request again, a little later."""

_PATIENCE = 10.0
"""Seconds that a coordinator may answer with one of those."""

_PAUSE = 0.1

_FIXES = {
    "NO_NODES_AVAILABLE": "no worker is there: see the pods of the workers",
    "ICEBERG_CATALOG_ERROR": "the Iceberg catalogue refused or does not answer: see its checks",
    "ICEBERG_FILESYSTEM_ERROR": "the object store refused or does not answer: see its checks, and Trino's keys for it",
    "EXCEEDED_LOCAL_MEMORY_LIMIT": "give the nodes more memory for a query, or the query less to do",
    "EXCEEDED_GLOBAL_MEMORY_LIMIT": "give queries more memory, or the query less to do",
    "EXCEEDED_TIME_LIMIT": "a worker does not answer, or all are busy: see the workers and the running queries",
    "GENERIC_INSUFFICIENT_RESOURCES": "see the pods of the workers, and whether they reach the coordinator",
    "PAGE_TRANSPORT_TIMEOUT": "a worker went away: see the pods of the workers",
    "CATALOG_NOT_FOUND": "declare the catalogue in the chart's values",
    "SERVER_STARTING_UP": "wait until the coordinator has started",
}
"""What helps, by Trino's name of the error."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a statement gave."""

    rows: list[list[Any]]
    query: str
    """Trino's id of the query: its history is found under it."""
    elapsed_ms: int


class Trino:
    """Trino's client protocol: a statement is posted, and its pages followed to the end."""

    def __init__(self, http: "httpx2.AsyncClient") -> None:
        self._http = http

    async def query(self, sql: str) -> Outcome:
        """Run one statement to its end. Raises CheckFailed with Trino's error; a query left early is cancelled."""
        page = await self._json("POST", "/v1/statement", sql)
        rows: list[list[Any]] = []
        try:
            while True:
                _raise_error(page, sql)
                rows.extend(page.get("data") or [])
                if "nextUri" not in page:
                    break
                page = await self._json("GET", _path(page["nextUri"]))
        except BaseException:
            if "nextUri" in page:
                with contextlib.suppress(CheckFailed):
                    await self._send("DELETE", _path(page["nextUri"]), None)
            raise
        return Outcome(rows, str(page["id"]), int((page.get("stats") or {}).get("elapsedTimeMillis", 0)))

    async def scalar(self, sql: str) -> Any:
        """The one value that a statement gives."""
        found = (await self.query(sql)).rows
        if len(found) != 1 or len(found[0]) != 1:
            raise CheckFailed("Trino gave other than one value", f"{sql} gave {len(found)} rows", "see the query")
        return found[0][0]

    async def _json(self, method: str, path: str, content: str | None = None) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while True:
            response = await self._send(method, path, content)
            if response.status_code not in _BUSY or loop.time() >= deadline:
                break
            await asyncio.sleep(_PAUSE)
        if not response.is_success:
            cause = (
                f"{method} {path.split('?')[0]}: HTTP {response.status_code} {' '.join(response.text.split())[:200]}"
            )
            raise CheckFailed("Trino refused", cause.strip(), "see the coordinator's log")
        try:
            return dict(response.json())
        except ValueError as error:
            raise CheckFailed(
                "Trino does not answer in JSON", f"{response.text[:100]!r}", "see what listens"
            ) from error

    async def _send(self, method: str, path: str, content: str | None) -> "httpx2.Response":
        import httpx2

        try:
            return await self._http.request(method, path, content=content)
        except httpx2.HTTPError as error:
            raise CheckFailed(
                "Trino does not answer",
                f"{method} {path.split('?')[0]}: {str(error) or type(error).__name__}",
                "see the coordinator's pod and its log",
            ) from error


def _path(uri: str) -> str:
    """The part after the host: the coordinator's own idea of its host may not be reachable from here."""
    parts = urlsplit(uri)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _raise_error(page: dict[str, Any], sql: str) -> None:
    error = page.get("error")
    if error:
        name = str(error.get("errorName", ""))
        raise CheckFailed(
            f"Trino failed: {' '.join(sql.split())[:80]}",
            f"{name}: {' '.join(str(error.get('message', '')).split())[:300]}",
            _FIXES.get(name, f"see query {page.get('id')} in the coordinator's log"),
        )


class TrinoCheck(Check):
    """What every Trino check needs to know: the coordinator's Service, and as whom it asks."""

    service: str = Field("trino", description="Service of the coordinator.")
    port: int = Field(8080, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    user: str = Field("carbon-check", min_length=1, description="Shown as the query's user.")

    @contextlib.asynccontextmanager
    async def trino(self, reach: Reach) -> AsyncIterator[Trino]:
        """A session with the coordinator."""
        host, bound = await reach.service(self.service, self.port, self.service_namespace)
        async with session(host, bound, self.user, self.deadline or 60) as opened:
            yield opened


@contextlib.asynccontextmanager
async def session(host: str, port: int, user: str, deadline: float) -> AsyncIterator[Trino]:
    """A session with the coordinator there, for a check that has so many seconds."""
    import httpx2

    # Without workers a query would wait for minutes, and one sent to a dead worker longer still: Trino itself
    # shall give up, and say why, before the check has to.
    properties = {
        "required_workers_max_wait_time": "5s",
        "query_max_execution_time": f"{deadline * 0.75:.0f}s",
    }
    headers = {
        "X-Trino-User": user,
        "X-Trino-Source": "carbon",
        "X-Trino-Session": ",".join(f"{name}={value}" for name, value in properties.items()),
    }
    base = f"http://{host}:{port}"
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False) as http:
        yield Trino(http)
