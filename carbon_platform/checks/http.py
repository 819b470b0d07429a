"""Declared checks of whatever speaks HTTP."""

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from carbon_platform import expressions
from carbon_platform.checks.step import Answer, SecretValue, Session, Step, shortened
from carbon_platform.checks.steps import ServerSteps
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.source import Place, Strict

if TYPE_CHECKING:
    import httpx2

_METHODS = ("get", "post", "put", "patch", "delete", "head")
_PAUSE = 0.5
"""Seconds between two requests that are the same."""
_LONGEST = 4000
"""Bytes of an answer that are looked at to tell it."""
_LARGEST = 1 << 20
"""Bytes of an answer that are read: what a check asks for is small."""


class HttpStep(Step):
    """A request by HTTP. `answer` has `status`, `headers` (names in lower case), `text`, `json` if it is JSON."""

    get: str | None = Field(None, pattern="^/", description="The path to GET; what `${…}` inserts is quoted.")
    post: str | None = Field(None, pattern="^/")
    put: str | None = Field(None, pattern="^/")
    patch: str | None = Field(None, pattern="^/")
    delete: str | None = Field(None, pattern="^/")
    head: str | None = Field(None, pattern="^/")
    query: dict[str, str] = Field(default_factory=dict, description="Parameters of the query.")
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = Field(None, description="Sent as JSON; a text that is one `${…}` alone keeps its type.")
    form: dict[str, str] = Field(default_factory=dict, description="Sent as a form.")
    content: str | None = Field(None, description="Sent as it is.")
    status: list[int] | Literal["any"] = Field(
        default_factory=list, description="The statuses that are as expected; 200 to 299 if unsaid."
    )
    anonymous: bool = Field(False, description="Without the check's headers, credentials and cookies.")
    timeout: float = Field(10.0, gt=0, description="Seconds for the whole answer.")

    @model_validator(mode="after")
    def _one_request(self) -> "HttpStep":
        if sum(getattr(self, method) is not None for method in _METHODS) != 1:
            raise ValueError(f"say one of {', '.join(_METHODS)}")
        if sum((self.body is not None, bool(self.form), self.content is not None)) > 1:
            raise ValueError("say one of body, form, content")
        return self

    @property
    def method(self) -> str:
        """The HTTP method."""
        return next(method for method in _METHODS if getattr(self, method) is not None).upper()

    @property
    def path(self) -> str:
        """The path as it is written."""
        return str(getattr(self, self.method.lower()))

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    def takes(self, status: int) -> bool:
        """True for a status that is as expected."""
        return self.status == "any" or (status in self.status if self.status else 200 <= status < 300)

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """Path, query, headers and body."""
        yield (self.method.lower(),), self.path
        for name in ("query", "headers", "body", "form", "content"):
            yield (name,), getattr(self, name)


class Basic(Strict):
    """User and password, as HTTP has them."""

    user: str
    password: str = Field(description="Such as `${secret.password}`.")


class Tls(Strict):
    """How the server is told from another one."""

    ca: SecretValue | None = Field(
        None, description="Where the certificate of its authority is; the system's if unsaid."
    )
    name: str | None = Field(None, description="The name that its certificate must be for; the Service's if unsaid.")
    verify: bool = Field(True, description="False: any certificate will do.")


class HttpSteps(ServerSteps[HttpStep]):
    """Requests by HTTP one after the other, what is expected of each answer, and what is always done at the end."""

    summary: ClassVar[str] = "The server answers each request as expected."

    host: str | None = Field(None, description="Host header.")
    headers: dict[str, str] = Field(default_factory=dict, description="Sent with every request.")
    basic: Basic | None = None
    tls: Tls | None = Field(None, description="With it, or when the endpoint's scheme is https, TLS is spoken.")
    patience: float = Field(
        0.0, ge=0, description="Seconds in which a step that is answered with 500 or more is asked again."
    )
    fixes: dict[int, str] = Field(default_factory=dict, description="What helps, by the status of a refusal.")

    def said(self) -> Mapping[Place, Any]:
        """Headers and credentials."""
        return {("headers",): self.headers, ("basic",): self.basic.model_dump() if self.basic else {}}

    @contextlib.asynccontextmanager
    async def session(self, reach: Reach, values: Mapping[str, str]) -> AsyncIterator[Session]:
        """Cookies are kept from one step to the next."""
        import httpx2

        host, port = await reach.endpoint(self.endpoint)
        secure = self.tls is not None or reach.scheme(self.endpoint) == "https"
        verify = await self._trust(reach) if secure else False
        base = f"{'https' if secure else 'http'}://{host}:{port}"
        limits = httpx2.Limits(max_connections=4)
        async with (
            httpx2.AsyncClient(base_url=base, verify=verify, trust_env=False, timeout=None, limits=limits) as known,
            httpx2.AsyncClient(base_url=base, verify=verify, trust_env=False, timeout=None, limits=limits) as stranger,
        ):
            yield _Http(self, known, stranger)

    async def _trust(self, reach: Reach) -> ssl.SSLContext:
        tls = self.tls or Tls()
        authority = (
            await reach.secret(tls.ca.secret, tls.ca.key, tls.ca.namespace or reach.namespace) if tls.ca else None
        )
        context = ssl.create_default_context(cadata=authority)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class _Http:
    """A conversation by HTTP: as the check says who it is, and as nobody."""

    def __init__(self, check: HttpSteps, known: "httpx2.AsyncClient", stranger: "httpx2.AsyncClient") -> None:
        self._check, self._known, self._stranger = check, known, stranger

    async def ask(self, step: Step, values: Mapping[str, Any]) -> Answer:
        """One request, and its whole answer."""
        assert isinstance(step, HttpStep)
        began = time.perf_counter()
        path = expressions.fill(step.path, values, lambda text: quote(text, safe=""))
        while True:
            status, headers, content = await self._answer(step, self._request(step, path, values))
            took = time.perf_counter() - began
            if status < 500 or step.takes(status) or took >= self._check.patience:
                break
            await asyncio.sleep(_PAUSE)
        told = _told(status, headers, content)
        if not step.takes(status):
            raise CheckFailed(f"{step.title}: HTTP {status}", told, self._fix(status))
        value: dict[str, Any] = {
            "status": status,
            "headers": headers,
            "text": content.decode(errors="replace"),
            "ms": round(took * 1000, 1),
        }
        with contextlib.suppress(ValueError):
            value["json"] = json.loads(content)
        return Answer(value, told)

    def _fix(self, status: int) -> str:
        return self._check.fixes.get(status) or _FIXES.get(status, "see the server's log")

    def _request(self, step: HttpStep, path: str, values: Mapping[str, Any]) -> "httpx2.Request":
        import httpx2

        check, client = self._check, self._stranger if step.anonymous else self._known
        fill = expressions.fill
        headers = {} if step.anonymous else {name: fill(text, values) for name, text in check.headers.items()}
        if check.host:
            headers["host"] = check.host
        headers |= {name: fill(text, values) for name, text in step.headers.items()}
        request = client.build_request(
            step.method,
            httpx2.URL(path).copy_merge_params({name: fill(text, values) for name, text in step.query.items()}),
            headers=headers,
            json=expressions.fill_all(step.body, values),
            data={name: fill(text, values) for name, text in step.form.items()} or None,
            content=None if step.content is None else fill(step.content, values),
            extensions={"sni_hostname": check.tls.name} if check.tls and check.tls.name else None,
        )
        if check.basic and not step.anonymous:
            auth = httpx2.BasicAuth(fill(check.basic.user, values), fill(check.basic.password, values))
            request = next(auth.auth_flow(request))
        return request

    async def _answer(self, step: HttpStep, request: "httpx2.Request") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, in time."""
        try:
            async with asyncio.timeout(step.timeout):
                return await self._exchange(step, request)
        except TimeoutError:
            raise CheckFailed(
                f"{step.title}: no whole answer within {step.timeout:g} s", "it hangs, or is overloaded", "see its log"
            ) from None

    async def _exchange(self, step: HttpStep, request: "httpx2.Request") -> tuple[int, dict[str, str], bytes]:
        import httpx2

        client = self._stranger if step.anonymous else self._known
        try:
            answer = await client.send(request, stream=True, follow_redirects=False)
            try:
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > _LARGEST:
                        raise CheckFailed(
                            f"{step.title}: the answer has more than {_LARGEST >> 20} MiB",
                            f"HTTP {answer.status_code}, {answer.headers.get('content-type', 'of no type')}",
                            "ask for less",
                        )
            finally:
                await answer.aclose()
        except httpx2.HTTPError as error:
            raise _no_answer(step, error) from error
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, bytes(content)


_FIXES = {
    401: "compare the credentials with those that the server was started with",
    403: "the credentials are known, and may not do this",
    404: "see whether this is the declared version of the server, and the path",
    429: "it is asked more often than it allows",
    502: "a proxy answers for a server that does not: see the pods behind it",
    503: "it is starting, or overloaded: see its log",
}


def _told(status: int, headers: Mapping[str, str], content: bytes) -> str:
    """The answer in one line."""
    if 300 <= status < 400:
        return f"HTTP {status}, to {headers.get('location', 'nowhere')}"
    kind, text = headers.get("content-type", "").partition(";")[0], content[:_LONGEST].decode(errors="replace")
    if "html" in kind:
        text = re.sub(r"<[^>]*>", " ", text)
    elif status >= 400:
        text = _message(text)
    told = ": ".join(part for part in (kind, shortened(text)) if part)
    return f"HTTP {status} {told}".strip()


def _message(body: str) -> str:
    """What an error says in one of the usual fields of a JSON object, which may be in one of its own; else the body."""
    with contextlib.suppress(ValueError):
        error = json.loads(body)
        if isinstance(error, dict):
            within = error["error"] if isinstance(error.get("error"), dict) else error
            said = next((str(within[key]) for key in ("error", "message", "msg", "detail") if within.get(key)), body)
            return f"{within['type']}: {said}" if within.get("type") and said != body else said
    return body


def _no_answer(step: HttpStep, error: "httpx2.HTTPError") -> CheckFailed:
    text = str(error) or type(error).__name__
    if "CERTIFICATE" in text.upper():
        return CheckFailed(
            f"{step.title}: its certificate is not trusted", text, "correct the certificate, or `tls` of the check"
        )
    return CheckFailed(f"{step.title}: no answer", text, "see the pods behind it, and their logs")


CHECKS = {"steps": HttpSteps}
