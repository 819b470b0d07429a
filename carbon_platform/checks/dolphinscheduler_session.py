"""How the DolphinScheduler checks and content speak with its API, and how a refusal is told."""

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from carbon_platform.checks.base import Check
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    import httpx2

BASE = "/dolphinscheduler"
"""The API server's context path."""

PAGE = 100
"""Entries asked for at once; the server's own limit is higher."""

_FIXES = {
    401: "the session has ended or was never there: see whether the database answers",
    10000: "the server fails inside, mostly at its database: see its log and the checks of the database",
    10013: "the Secret does not hold the password of this user: set it there, or set the user's to it",
}
"""What helps, by status of HTTP or by the server's own code."""


@dataclasses.dataclass(frozen=True)
class Words:
    """What a generation of the API calls things: 3.3 renamed every process to a workflow."""

    thing: str

    @property
    def definitions(self) -> str:
        """Part of the path below a project."""
        return f"{self.thing}-definition"

    @property
    def instances(self) -> str:
        """Part of the path below a project."""
        return f"{self.thing}-instances"

    @property
    def start(self) -> str:
        """Last part of the path that starts one."""
        return f"start-{self.thing}-instance"

    @property
    def definition(self) -> str:
        """Key under which an answer holds a definition."""
        return f"{self.thing}Definition"

    @property
    def code(self) -> str:
        """Parameter for the code of a definition."""
        return f"{self.thing}DefinitionCode"

    @property
    def filter(self) -> str:
        """Parameter by which the list of instances is cut down to those of one definition."""
        return self.code if self.thing == "workflow" else "processDefineCode"

    @property
    def instance(self) -> str:
        """Parameter for the id of an instance."""
        return f"{self.thing}InstanceId"

    @property
    def priority(self) -> str:
        """Parameter for the priority of an instance."""
        return f"{self.thing}InstancePriority"

    @property
    def relations(self) -> str:
        """Key under which an answer holds which task follows which."""
        return f"{self.thing}TaskRelationList"


GENERATIONS = (Words("workflow"), Words("process"))
"""From 3.3 on, and before."""


class Refused(CheckFailed):
    """The API answered, and said no. `status` is that of HTTP, `code` the server's own, if it gave one."""

    def __init__(self, what: str, status: int, code: int | None, message: str) -> None:
        said = f"code {code}" if code is not None else f"HTTP {status}"
        fix = _FIXES.get(code if code is not None else status, "see the log of the API server")
        super().__init__("DolphinScheduler refused", f"{what}: {said} {' '.join(message.split())[:300]}".strip(), fix)
        self.status, self.code = status, code

    @property
    def unknown_endpoint(self) -> bool:
        """True when the server has no such endpoint, as one of another generation."""
        return self.code is None and self.status in {404, 405}


class Scheduler:
    """The API of a DolphinScheduler. Each method raises CheckFailed with what the server says when it refuses."""

    def __init__(self, http: "httpx2.AsyncClient") -> None:
        self._http = http
        self._words: Words | None = None

    async def health(self) -> tuple[int, dict[str, Any]]:
        """The status of HTTP and the body of the health endpoint, which needs no login."""
        response = await self._send("GET", "/actuator/health")
        body = _json(response)
        if body is None or "status" not in body:
            raise Refused("GET /actuator/health", response.status_code, None, response.text)
        return response.status_code, body

    async def login(self, user: str, password: str) -> None:
        """Open a session; what is called from then on is called as this user."""
        data = await self.call("POST", "/login", {"userName": user, "userPassword": password})
        self._http.headers["sessionId"] = str(data["sessionId"])

    async def call(
        self, method: str, path: str, form: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer's data. An answer is a success when its own code is 0, whatever the status of HTTP is."""
        response = await self._send(method, path, form, query)
        body, what = _json(response), f"{method} {path}"
        if body is None or not isinstance(body.get("code"), int):
            raise Refused(what, response.status_code, None, response.text)
        if body["code"] != 0:
            raise Refused(what, response.status_code, body["code"], str(body.get("msg")))
        return body.get("data")

    async def entries(self, path: str, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All entries of a list that is given in pages."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            data = await self.call("GET", path, query={**(query or {}), "pageNo": page, "pageSize": PAGE})
            found += data["totalList"]
            if len(found) >= int(data["total"]) or not data["totalList"]:
                return found
            page += 1

    async def project(self, name: str) -> int | None:
        """Code of the project with this name, or None."""
        codes = [int(one["code"]) for one in await self.call("GET", "/projects/list") if one["name"] == name]
        return max(codes, default=None)

    async def words(self, project: int) -> Words:
        """What this server's generation calls things; found out by asking it, in any project."""
        if self._words is None:
            self._words = await self._find_words(project)
        return self._words

    async def _find_words(self, project: int) -> Words:
        for words in GENERATIONS:
            try:
                path = f"/projects/{project}/{words.definitions}"
                await self.call("GET", path, query={"pageNo": 1, "pageSize": 1})
            except Refused as refused:
                if not refused.unknown_endpoint:
                    raise
            else:
                return words
        names = " nor ".join(words.definitions for words in GENERATIONS)
        raise CheckFailed(
            "DolphinScheduler speaks no known generation of its API",
            f"it has neither {names}",
            "see its version; 3.0 to 3.4 are known",
        )

    async def _send(
        self, method: str, path: str, form: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> "httpx2.Response":
        import httpx2

        try:
            return await self._http.request(method, BASE + path, data=form, params=query)
        except httpx2.HTTPError as error:
            raise CheckFailed(
                "DolphinScheduler does not answer",
                f"{method} {path}: {str(error) or type(error).__name__}",
                "see the pod of the API server and its log",
            ) from error


def _json(response: "httpx2.Response") -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


@contextlib.asynccontextmanager
async def scheduler(reach: Reach, service: str, port: int, namespace: str | None) -> AsyncIterator[Scheduler]:
    """A conversation with the API behind a Service, as nobody yet."""
    import httpx2

    host, bound = await reach.service(service, port, namespace)
    async with httpx2.AsyncClient(base_url=f"http://{host}:{bound}", timeout=30, trust_env=False) as http:
        yield Scheduler(http)


def milliseconds(since: float) -> float:
    """Since a reading of time.perf_counter()."""
    return round((time.perf_counter() - since) * 1000, 1)


class DolphinSchedulerCheck(Check):
    """What every DolphinScheduler check needs to know: the API's Service, and as whom it asks."""

    service: str = Field("dolphinscheduler-api", description="Service of the API server.")
    port: int = Field(12345, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    user: str = Field("admin", min_length=1)
    secret: str = Field("dolphinscheduler-admin", description="Secret with this user's password.")
    key: str = "password"

    @contextlib.asynccontextmanager
    async def scheduler(self, reach: Reach) -> AsyncIterator[Scheduler]:
        """The API, logged in."""
        password = await reach.secret(self.secret, self.key, self.service_namespace)
        async with scheduler(reach, self.service, self.port, self.service_namespace) as found:
            await found.login(self.user, password)
            yield found
