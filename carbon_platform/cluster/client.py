"""The client: plain objects over HTTP, with every failure a named error, and patience while the API server is away."""

import asyncio
import contextlib
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal

import httpx2
import tenacity
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from carbon_platform.cluster.errors import RequestFailed, error_for
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, ObjectName, Resource
from carbon_platform.cluster.target import Target
from carbon_platform.errors import CarbonError, ConfigurationError, Unreachable

FIELD_MANAGER = "carbon"
_AT_ONCE = 10
"""Requests at the same time. The HTTP client looks at all connections and all that wait for one on each request: with
hundreds of either, that costs more than the request."""
_ANSWER_SECONDS = 30.0
_WELL_SECONDS = 5.0
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class MissingKind(CarbonError):
    """The API server has no such kind: its CRD is not installed."""


class NotSent(Unreachable):
    """No connection came about: the request was not even begun."""


class Api:
    """The API server of one cluster.

    Every call raises PermissionDenied, Conflict, Rejected, RequestFailed or Unreachable. A call that finds the server
    away is tried again for `patience` seconds before Unreachable is raised; where it may have been carried out before
    the connection broke, that holds for reads and server-side applies only, so that nothing is done twice. What only
    this one request meets (RequestFailed: a webhook that is away, a kind that can't be served) is raised at once.
    """

    def __init__(self, target: Target, patience: float) -> None:
        self.target = target
        self.patience = patience
        self.config = configuration(target)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        tls = self.ssl_context()
        self._http, self._watches = self._client(tls), self._client(tls)
        self._kinds: dict[tuple[str, str], Resource] = dict(BUILT_IN)
        self._capabilities: str | None = None
        self._answered_at = self._lost_since = self._lost_at = -math.inf

    def _client(self, tls: ssl.SSLContext) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=_AT_ONCE)
        return httpx2.AsyncClient(
            base_url=self.server,
            auth=user_auth(self.config.user),
            timeout=httpx2.Timeout(min(_ANSWER_SECONDS, max(5.0, self.patience)), connect=5),
            transport=httpx2.AsyncHTTPTransport(verify=tls, limits=limits),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._watches.aclose()

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS settings of the context, for connections that are not plain requests."""
        user = self.config.user
        if user is None:
            raise ConfigurationError(f"context {self.target} has no user", "its kubeconfig names none")
        return verify_cluster(self.config.cluster, user, self.config.abs_file)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.config.cluster.server)

    async def authorization(self) -> str | None:
        """The Authorization header this context uses, for connections that are not plain requests."""
        request = self._http.build_request("GET", "/version")
        auth = self._http.auth
        if auth is None:
            return None
        flow = auth.async_auth_flow(request)
        with contextlib.suppress(StopAsyncIteration):
            request = await anext(flow)
        await flow.aclose()
        return request.headers.get("Authorization")

    async def request(
        self,
        method: str,
        path: str,
        *,
        what: str = "",
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        patience: float | None = None,
        repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One call; the decoded JSON answer (text when it is none). `repeatable`: doing it twice does no harm."""
        what = what or f"{method} {path}"
        content = None if body is None else json.dumps(body).encode()
        sent = {**(headers or {}), **({"Content-Type": content_type} if content else {})}

        async def once() -> httpx2.Response:
            try:
                async with self._turn:
                    response = await self._http.request(method, path, params=params, content=content, headers=sent)
            except httpx2.ReadTimeout as error:
                if method != "GET" and await self._is_well():
                    raise _too_slow(what) from error
                raise self._unreachable(what, error) from error
            except httpx2.TransportError as error:
                raise self._unreachable(what, error) from error
            self._answered_at = time.monotonic()
            if response.is_error:
                raise error_for(response.status_code, _status(response), what)
            return response

        safe = method == "GET" or "apply-patch" in content_type if repeatable is None else repeatable
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Unreachable if safe else NotSent),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
            stop=tenacity.stop_after_delay(self.patience if patience is None else patience),
            reraise=True,
        ):
            with attempt:
                response = await once()
        return response.json() if "json" in response.headers.get("content-type", "") else response.text

    async def _is_well(self) -> bool:
        """Whether the server says that it, and its etcd, work: then a write that it did not finish is no outage."""
        try:
            return (await self._http.get("/readyz", timeout=_WELL_SECONDS)).is_success
        except httpx2.TransportError:
            return False

    async def was_away(self, since: float) -> bool:
        """Whether the server did not answer at some time after `since` (`time.monotonic`); returns when it does again.

        Raises Unreachable when it stays away.
        """
        await self.request("GET", "/version")
        return self._lost_at >= since

    @property
    def outage(self) -> tuple[float, float]:
        """When the server last began not to answer, and when it last did not (`time.monotonic`)."""
        return self._lost_since, self._lost_at

    def _unreachable(self, what: str, error: Exception) -> Unreachable:
        now = time.monotonic()
        if self._answered_at >= self._lost_at:
            self._lost_since = now
        self._lost_at = now
        fix = "run 'carbon cluster up'" if self.target.local else "see whether it runs and the network reaches it"
        reason = str(error) or type(error).__name__
        kind = NotSent if isinstance(error, _NEVER_SENT) else Unreachable
        return kind(f"the API server of {self.target} can't be reached", f"{what}: {reason}", fix)

    async def capabilities(self) -> str:
        """Changes when the cluster's version does, or the groups of kinds that it has. Asked once."""
        if self._capabilities is None:
            version, found = await asyncio.gather(
                self.request("GET", "/version", what="ask for the cluster's version"),
                self.request("GET", "/apis", what="ask for the cluster's groups of kinds"),
            )
            groups = [one["groupVersion"] for group in found["groups"] for one in group["versions"]]
            self._capabilities = " ".join([f"{version['major']}.{version['minor']}", *sorted(groups)])
        return self._capabilities

    def forget_capabilities(self) -> None:
        """Ask anew: kinds were added."""
        self._capabilities = None

    async def kinds(self) -> tuple[str, list[str]]:
        """The cluster's version, and all its kinds as Helm knows them: `group/version` and `group/version/Kind`."""
        accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        version, *pages = await asyncio.gather(
            self.request("GET", "/version", what="ask for the cluster's version"),
            *(
                self.request("GET", root, what="ask for the cluster's kinds", headers=accept)
                for root in ("/api", "/apis")
            ),
        )
        return str(version["gitVersion"]), known_kinds(pages)

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Where a kind lives. Raises MissingKind when the API server does not have it."""
        key = (api_version, kind)
        if key not in self._kinds:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            try:
                answer = await self.request("GET", path, what=f"discover {api_version}")
            except CarbonError as error:
                if getattr(error, "code", None) != 404:
                    raise
                answer = {"resources": []}
            names = {found["name"] for found in answer["resources"]}
            for found in answer["resources"]:
                if "/" not in found["name"]:
                    reports = f"{found['name']}/status" in names
                    resource = Resource(api_version, found["kind"], found["name"], found["namespaced"], reports)
                    self._kinds[(api_version, found["kind"])] = resource
        if key not in self._kinds:
            raise MissingKind(
                f"the cluster has no kind {kind} of {api_version}",
                "its CRD is not installed",
                "deploy the component that brings it",
            )
        return self._kinds[key]

    async def get(self, name: ObjectName) -> Object | None:
        """A live object, or None."""
        resource = await self.resource(name.api_version, name.kind)
        try:
            found: Object = await self.request("GET", resource.path(name.namespace, name.name), what=f"get {name}")
        except CarbonError as error:
            if getattr(error, "code", None) == 404:
                return None
            raise
        return found

    async def find(self, name: ObjectName) -> Object | None:
        """A live object; None also when the API server does not have its kind."""
        try:
            return await self.get(name)
        except MissingKind:
            return None

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Live objects of a kind, in one namespace or in all."""
        return (await self.list_page(api_version, kind, namespace, labels, fields))["items"]  # type: ignore[no-any-return]

    async def list_page(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> dict[str, Any]:
        """The whole List object: its items (with apiVersion and kind set) and its resourceVersion."""
        resource = await self.resource(api_version, kind)
        params = {k: v for k, v in (("labelSelector", labels), ("fieldSelector", fields)) if v}
        where = f" in {namespace}" if namespace else ""
        answer = await self.request("GET", resource.path(namespace), what=f"list {kind}s{where}", params=params)
        for item in answer["items"]:
            item.setdefault("apiVersion", api_version)
            item.setdefault("kind", kind)
        return answer  # type: ignore[no-any-return]

    async def names(self, api_version: str, kind: str, labels: str = "") -> set[tuple[str, str]]:
        """Namespace and name of every live object of a kind: nothing else of them is sent.

        Those that are being deleted are not counted.
        """
        resource = await self.resource(api_version, kind)
        accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        params = {"labelSelector": labels} if labels else {}
        answer = await self.request("GET", resource.path(), what=f"list {kind}s", params=params, headers=accept)
        found = (item["metadata"] for item in answer["items"] or ())
        return {(one.get("namespace", ""), one["name"]) for one in found if not one.get("deletionTimestamp")}

    async def apply(
        self, obj: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False, force: bool = True
    ) -> Object:
        """Server-side apply; what the object is (or, for a dry run, would be) afterwards."""
        name = ObjectName.of(obj)
        resource = await self.resource(name.api_version, name.kind)
        params = {"fieldManager": manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        applied: Object = await self.request(
            "PATCH",
            resource.path(name.namespace, name.name),
            what=f"apply {name}",
            params=params,
            body=obj,
            content_type="application/apply-patch+yaml",
        )
        return applied

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create. Raises Conflict when it exists."""
        name = ObjectName.of(obj)
        resource = await self.resource(name.api_version, name.kind)
        created: Object = await self.request(
            "POST",
            resource.path(name.namespace),
            what=f"create {name}",
            params={"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {}),
            body=obj,
            repeatable=dry_run,
        )
        return created

    async def replace(self, obj: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False) -> Object:
        """Replace; with a resourceVersion in the object, only if it did not change. Raises Conflict otherwise."""
        name = ObjectName.of(obj)
        resource = await self.resource(name.api_version, name.kind)
        path = resource.path(name.namespace, name.name)
        params = {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})
        replaced: Object = await self.request(
            "PUT", path, what=f"update {name}", params=params, body=obj, repeatable=dry_run
        )
        return replaced

    async def patch(self, name: ObjectName, patch: object, *, manager: str = FIELD_MANAGER) -> Object:
        """Merge patch (RFC 7396)."""
        resource = await self.resource(name.api_version, name.kind)
        patched: Object = await self.request(
            "PATCH",
            resource.path(name.namespace, name.name),
            what=f"patch {name}",
            params={"fieldManager": manager},
            body=patch,
            content_type="application/merge-patch+json",
        )
        return patched

    async def delete(
        self,
        name: ObjectName,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        *,
        version: str | None = None,
    ) -> None:
        """Delete; nothing when it is gone already. Raises Conflict when its resource version is not `version`."""
        resource = await self.resource(name.api_version, name.kind)
        path = resource.path(name.namespace, name.name)
        try:
            params = {"propagationPolicy": propagation}
            body = {"preconditions": {"resourceVersion": version}} if version else None
            await self.request("DELETE", path, what=f"delete {name}", params=params, body=body)
        except CarbonError as error:
            if getattr(error, "code", None) != 404:
                raise

    async def logs(self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 10) -> str:
        """The last log lines of a container; empty when there are none (any more)."""
        params = {"container": container, "tailLines": str(lines)} | ({"previous": "true"} if previous else {})
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        try:
            text = str(await self.request("GET", path, what=f"read logs of pod {pod}", params=params, patience=5))
        except CarbonError:
            return ""
        # The kubelet says so with success when it has removed the container meanwhile.
        return "" if text.startswith("unable to retrieve container logs") else text

    async def stream(self, path: str, params: Mapping[str, str], seconds: float) -> AsyncIterator[dict[str, Any]]:
        """The JSON lines of a watch that the server ends after `seconds`. Raises Unreachable or Expired."""
        timeout = httpx2.Timeout(30, read=seconds + 30)
        try:
            async with self._watches.stream("GET", path, params=params, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise error_for(response.status_code, _status(response), f"watch {path}")
                async for line in response.aiter_lines():
                    yield json.loads(line)
        except httpx2.TransportError as error:
            raise self._unreachable(f"watch {path}", error) from error


def known_kinds(pages: Iterable[Mapping[str, Any]]) -> list[str]:
    """What pages of aggregated discovery name, as Helm does: `group/version` and `group/version/Kind`.

    Of an extension API server that does not answer, the version alone is known.
    """
    names: set[str] = set()
    for group in (group for page in pages for group in page.get("items") or ()):
        for one in group.get("versions") or ():
            of = "/".join(part for part in (group["metadata"].get("name", ""), one["version"]) if part)
            found = one.get("resources") or ()
            names |= {of, *(f"{of}/{r['responseKind']['kind']}" for r in found if "responseKind" in r)}
    return sorted(names)


def configuration(target: Target) -> SingleConfig:
    """What a kubeconfig, or the pod that we are in, says of the cluster. Raises ConfigurationError."""
    try:
        if target.kubeconfig is None:
            config = KubeConfig.from_service_account().get()
        else:
            config = KubeConfig.from_file(target.kubeconfig).get(target.context)
    except ConfigError as error:
        raise ConfigurationError(f"no way to reach {target}", str(error), "name a context that exists") from error
    if config is None:
        raise ConfigurationError(f"context {target.context!r} is empty", f"{target.kubeconfig} says nothing of it")
    return config


def _too_slow(what: str) -> RequestFailed:
    return RequestFailed(
        f"{what}: no answer in time",
        "the API server is ready, and did not finish this request: a webhook that it waits for, most often",
        "see the webhooks for this kind, and the pods behind them",
        code=504,
    )


def _status(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {"message": response.text[:500]}
    return found if isinstance(found, dict) else {"message": str(found)}
