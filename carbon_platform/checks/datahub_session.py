"""How the DataHub checks speak with its metadata service, and how a refusal is told."""

import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field

from carbon_platform.checks.base import Check
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    import httpx2

ASPECT = "datasetProperties"
_PLATFORM = "urn:li:dataPlatform:carbon"
_PROBE = re.compile(rf"^urn:li:dataset:\({_PLATFORM},carbon_probe_(\d{{9,11}})_[0-9a-f]{{8}},PROD\)$")
_STALE = 3600.0
"""Seconds after which a probe was killed, and its entity is anybody's to remove."""

_PAGE = 100
"""Search results asked for at once. They come sorted by URN, and others may resemble the probe."""

_FIXES = {
    401: "compare the system client's secret with the one that GMS was started with; a restart takes a new one",
    403: "the system client may not do this: see GMS's policies",
    404: "see whether this GMS has the OpenAPI of DataHub 1.x",
    500: "see GMS's log: mostly its database or Kafka has failed",
    503: "GMS is still starting, or waits for the system update: see that job, and GMS's log",
}


def probe_urn() -> str:
    """A dataset for one probe: unique, and telling when it was made."""
    return f"urn:li:dataset:({_PLATFORM},carbon_probe_{int(time.time())}_{secrets.token_hex(4)},PROD)"


def dataset_name(urn: str) -> str:
    """The name inside the URN of a probe."""
    return urn.split(",")[1]


def stale_probes(urns: Iterable[str], now: float) -> list[str]:
    """Those of the URNs that killed probes left behind. What is not a probe's is never among them."""
    found = ((urn, _PROBE.match(urn)) for urn in urns)
    return sorted(urn for urn, match in found if match and now - int(match[1]) > _STALE)


class Refused(CheckFailed):
    """GMS answered, and said no. `status` is that of HTTP."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__("DataHub refused", cause, _FIXES.get(status, "see GMS's log"))
        self.status = status


class Gms:
    """DataHub's OpenAPI (v3), as far as it is needed here. Each method raises CheckFailed, Refused if GMS says no."""

    def __init__(self, http: "httpx2.AsyncClient", authorization: str) -> None:
        self._http = http
        self._headers = {"authorization": authorization} if authorization else {}

    async def status(self, path: str, *, anonymous: bool = False) -> int:
        """The HTTP status of an answer, whatever it is."""
        return (await self.send("GET", path, headers={} if anonymous else None)).status_code

    async def config(self) -> dict[str, Any]:
        """What GMS says of itself."""
        answer = await self._json("GET", "/config")
        if not isinstance(answer, dict):
            raise CheckFailed("DataHub gives no configuration", "its answer is no JSON object", "see what listens")
        return answer

    async def write(self, urn: str, value: dict[str, Any]) -> None:
        """Write the aspect of a dataset, made if need be, and return when the store has it."""
        # Without async=false the proposal only waits in Kafka when the answer comes.
        await self._json("POST", "/openapi/v3/entity/dataset?async=false", [{"urn": urn, ASPECT: {"value": value}}])

    async def read(self, urn: str) -> dict[str, Any] | None:
        """The aspect of a dataset as the store has it, or None."""
        answer = await self._json("GET", f"{_entity(urn)}/{ASPECT}", missing_ok=True)
        if answer is None:
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("value"), dict):
            raise CheckFailed("DataHub gives no aspect", f"the answer for {ASPECT} has no `value`", "see GMS's log")
        return dict(answer["value"])

    async def search(self, text: str) -> list[str]:
        """URNs of the datasets that the search index finds now."""
        query = f"query={quote(text)}&count={_PAGE}&skipCache=true&aspects={ASPECT}"
        answer = await self._json("GET", f"/openapi/v3/entity/dataset?{query}")
        entities = answer.get("entities") if isinstance(answer, dict) else None
        if not isinstance(entities, list):
            raise CheckFailed("DataHub gives no search result", "its answer has no `entities`", "see GMS's log")
        return [str(entity["urn"]) for entity in entities if isinstance(entity, dict) and "urn" in entity]

    async def delete(self, urn: str) -> None:
        """Remove a dataset with all its aspects, for good."""
        await self._checked("DELETE", _entity(urn))

    async def _json(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> Any:
        response = await self._checked(method, path, body, missing_ok=missing_ok)
        if response is None:
            return None
        try:
            return response.json()
        except ValueError as error:
            cause = f"{method} {_short(path)} was answered with something else: {response.text[:100]!r}"
            raise CheckFailed("DataHub does not answer in JSON", cause, "see what listens there") from error

    async def _checked(
        self, method: str, path: str, body: Any = None, *, missing_ok: bool = False
    ) -> "httpx2.Response | None":
        response = await self.send(method, path, body)
        if missing_ok and response.status_code == 404:
            return None
        if not response.is_success:
            text = f"{method} {_short(path)}: HTTP {response.status_code} {refusal_text(response.text)}"
            raise Refused(response.status_code, text.strip())
        return response

    async def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> "httpx2.Response":
        """The answer, whatever its status. Without `headers`, the system client's credentials are sent."""
        import httpx2

        try:
            return await self._http.request(
                method, path, json=body, headers=self._headers if headers is None else headers
            )
        except httpx2.HTTPError as error:
            raise CheckFailed(
                "DataHub does not answer",
                f"{method} {_short(path)}: {str(error) or type(error).__name__}",
                "see its pods and their log",
            ) from error


def _entity(urn: str) -> str:
    return f"/openapi/v3/entity/dataset/{quote(urn, safe='')}"


def _short(path: str) -> str:
    return path.split("?")[0]


def refusal_text(body: str) -> str:
    """What an error answer says, in one line: the `error` or `message` of a JSON object, else the text as it is."""
    import json

    try:
        error = json.loads(body)
        text = str(error.get("error") or error["message"])
    except (ValueError, KeyError, AttributeError):
        text = body
    return " ".join(text.split())[:300]


class DataHubCheck(Check):
    """What every DataHub check needs to know: the Service of GMS, and how to prove who asks."""

    service: str = Field("datahub-gms", description="Service of the metadata service.")
    port: int = Field(8080, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    credentials: str = Field("datahub-auth", description="Secret with the system client's secret.")
    credentials_key: str = "system-client-secret"
    client: str = Field("__datahub_system", description="Name of the system client.")

    @contextlib.asynccontextmanager
    async def gms(self, reach: Reach, *, anonymous: bool = False) -> AsyncIterator[Gms]:
        """A session with the server behind the Service; with credentials unless it is `anonymous`."""
        import httpx2

        host, bound = await reach.service(self.service, self.port, self.service_namespace)
        authorization = ""
        if not anonymous:
            secret = await reach.secret(self.credentials, self.credentials_key, self.service_namespace)
            # DataHub's own scheme: the word Basic, and then both in clear, not in base64.
            authorization = f"Basic {self.client}:{secret}"
        async with httpx2.AsyncClient(base_url=f"http://{host}:{bound}", timeout=30, trust_env=False) as http:
            yield Gms(http, authorization)
