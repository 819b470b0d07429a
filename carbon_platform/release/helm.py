"""Helm through pyhelm3: render, upgrade, uninstall; as many processes at once as the settings allow."""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbon_platform.cluster.client import Api, configuration
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.target import Target
from carbon_platform.errors import Blocked, CarbonError, ConfigurationError, Unreachable
from carbon_platform.release.documents import documents
from carbon_platform.release.exactly import exactly
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Release

if TYPE_CHECKING:
    from pyhelm3 import Client

_ERROR = re.compile(r"^Error: ", re.MULTILINE)
"""Where Helm's own error begins; before it are warnings of the libraries it uses."""
_WEBHOOK = re.compile(
    r'(?:failed calling webhook|conversion webhook for|admission webhook "[^"]*" denied).*?(?= && |$)', re.MULTILINE
)
"""What the API server tells of an attempt to reach somebody else. Several errors come in a line each, or joined."""
_AWAY = re.compile(
    r"kubernetes cluster unreachable"
    # client-go, where the connection broke in the middle of an answer.
    r"|when reading response body"
    # The API server, or its etcd: starting, stopping, or too late.
    r"|the server is currently unable to handle the request"
    r"|the server was unable to return a response in the time allotted"
    r"|request did not complete within requested timeout"
    r"|apiserver is shutting down|apiserver not ready|storage is \(re\)initializing"
    # Not all that etcd says: "request is too large" is for ever.
    r"|etcdserver: (?:no leader|not leader|leader changed|server stopped|request timed out|unhealthy cluster)"
    r"|rpc error: code = Unavailable",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r'failed calling webhook|conversion webhook for|\b(?:Get|Head|Post) "[^"]+": ')
"""A webhook that fails, or a URL that gave no answer (as Go tells of it)."""


_CANT_ASK = re.compile(r"no matches for kind|ensure CRDs are installed first|is forbidden", re.IGNORECASE)
"""Helm looks up every object it has rendered, though all that is wanted is the render."""
_CANT_COUNT = re.compile(r"another operation .*is in progress|has no deployed releases", re.IGNORECASE)
"""Helm upgrades nothing that is in the middle of something."""
_KINDS_IN_ONE = 100
_HISTORY = 10


class _CantAsk(Exception):
    """Helm can't render with the cluster's help."""


# It logs every command and failure; what matters of them comes back as errors.
logging.getLogger("pyhelm3").setLevel(logging.CRITICAL)


class HelmFailed(CarbonError):
    """Helm refused: bad values, a template error, an object the API server rejected, a chart that can't be had."""


class Helm:
    """Helm for one cluster.

    Raises HelmFailed with Helm's own words, Unreachable when the API server went away under it (not when only a
    webhook or a chart repository did), and Blocked when there is no Helm program. Values go in by standard input,
    never on the command line.
    """

    def __init__(self, settings: Settings, api: Api) -> None:
        self._settings, self._api, self._target = settings, api, api.target
        self._slots = asyncio.Semaphore(settings.helm_processes)
        self._client: Client | None = None
        self._server = ""
        self._starting = asyncio.Lock()

    def program(self) -> Path:
        """The Helm program. Raises Blocked when there is none."""
        if self._settings.helm is not None:
            return self._settings.helm
        own = sorted((self._settings.cache / "programs" / "helm").glob("*/helm"))
        found = own[-1] if own else shutil.which("helm")
        if found is None:
            raise Blocked(
                "there is no Helm program", "neither in Carbon's cache nor on PATH", "run 'carbon cluster up'"
            )
        return Path(found)

    async def _helm(self) -> "Client":
        async with self._starting:
            if self._client is None:
                # pyhelm3 takes a moment to import and asks the program for its version when constructed.
                from pyhelm3 import Client

                from carbon_platform.release.helm_command import Replacing

                tune_environment()
                # Now: 'carbon cluster down' takes the kubeconfig away.
                self._server = _server(self._target)
                client: Client = await asyncio.to_thread(Client, executable=str(self.program()))
                client._command = Replacing(self.program(), self._target.kubeconfig, self._target.context)
                self._client = client
        return self._client

    @contextlib.asynccontextmanager
    async def _run(self, release: Release, verb: str) -> AsyncIterator["Client"]:
        from pyhelm3.errors import Error

        client = await self._helm()
        async with self._slots:
            try:
                yield client
            except Error as error:
                text = str(error).strip()
                if api_server_away(text, self._server):
                    raise Unreachable(f"helm {verb} {release.name}: the API server can't be reached", text) from error
                raise HelmFailed(f"helm {verb} {release.namespace}/{release.name} failed", text, _fix(text)) from error

    def identity(self) -> str:
        """Differs between two Helm programs."""
        program = self.program().stat()
        return f"{program.st_size} {program.st_mtime_ns}"

    async def template(self, release: Release, *, upgrade: bool, server: bool, counted: bool = False) -> str:
        """Every document the chart makes, CRDs included, hooks too, as Helm writes them.

        `server`: as it would on this cluster, which answers `lookup` and tells what it can. Where the chart uses kinds
        that are not there yet, or this user may not look, Helm can't: then the cluster's kinds are handed to it.
        `counted`: with the number of the revision that an upgrade would make, in place of 1.
        """
        text = await self._rendered(release, upgrade=upgrade, server=server)
        return await self._counted(release, text) if counted else text

    async def _counted(self, release: Release, text: str) -> str:
        """The templates as an upgrade renders them; what no revision holds (crds/) as it is in `text`."""
        command: list[object] = ["upgrade", release.name, _chart(release), "--dry-run=server", "--output", "json"]
        command += ["--namespace", release.namespace, "--reset-values", "--skip-crds", "--take-ownership"]
        command += ["--disable-openapi-validation", *_found(release), "--values", "-"]
        try:
            async with self._run(release, "upgrade") as client:
                told = await client._command.run(command, json.dumps(dict(release.values)).encode())
        except HelmFailed as error:
            if _CANT_ASK.search(error.cause) or _CANT_COUNT.search(error.cause):
                return text
            raise
        made = json.loads(told[told.index(b"{") :])
        kinds = [f"# Source: {one.source}\n{one.text}" for one in documents(text) if one.beside_templates]
        hooks = [f"# Source: {hook['path']}\n{hook['manifest']}" for hook in made.get("hooks") or ()]
        return "\n---\n".join([*kinds, made.get("manifest") or "", *hooks])

    async def _rendered(self, release: Release, *, upgrade: bool, server: bool) -> str:
        command = ["template", release.name, _chart(release), "--include-crds", "--namespace", release.namespace]
        command += ["--is-upgrade"] * upgrade
        if server:
            # What is there already is told by the plan, object by object, and not by the first that Helm meets.
            asking = ["--dry-run=server", "--take-ownership", "--disable-openapi-validation"]
            with contextlib.suppress(_CantAsk):
                return await self._template(release, [*command, *asking], asking=True)
            kube_version, kinds = await self._api.kinds()
            told = [
                f"--api-versions={','.join(kinds[i : i + _KINDS_IN_ONE])}" for i in range(0, len(kinds), _KINDS_IN_ONE)
            ]
            command += [f"--kube-version={kube_version}", *told]
        return await self._template(release, command)

    async def _template(self, release: Release, command: list[str], *, asking: bool = False) -> str:
        command = [*command, "--values", "-", *_found(release)]
        try:
            async with self._run(release, "template") as client:
                # Not the method of that name: it parses in pure Python, which takes seconds for a large chart.
                rendered: bytes = await client._command.run(command, json.dumps(dict(release.values)).encode())
                return rendered.decode()
        except HelmFailed as error:
            if asking and _CANT_ASK.search(error.cause):
                raise _CantAsk from error
            raise

    async def upgrade(self, release: Release, manifest: str, labels: str, description: str, seconds: float) -> int:
        """Install or upgrade to exactly this manifest, without waiting for anything but hooks; the new revision.

        `labels`: of the revision, as `name=value`. `seconds`: for each hook.
        """
        command: list[object] = ["upgrade", release.name, _chart(release), "--install", "--output", "json"]
        command += ["--values", "-", "--namespace", release.namespace, "--description", description]
        command += ["--labels", labels, "--history-max", _HISTORY, "--timeout", f"{seconds:.0f}s"]
        command += _found(release)
        # Given no values at all, Helm would silently take those of the revision before. Carbon applies CRDs itself.
        command += ["--reset-values", "--skip-crds"]
        async with self._run(release, "upgrade") as client:
            # What a person edited by hand would refuse the upgrade otherwise; Helm 3 has no such conflicts.
            command += ["--force-conflicts"] if client.version.major >= 4 else []
            with exactly(manifest, self._settings.cache) as arguments:
                told = await client._command.run([*command, *arguments], json.dumps(dict(release.values)).encode())
            # A registry's greeting may come before.
            return int(json.loads(told[told.index(b"{") :])["version"])

    async def rollback(self, release: Release, revision: int) -> int:
        """Go back to an older revision without waiting for anything to get ready; the number this makes."""
        async with self._run(release, "rollback") as client:
            # pyhelm3's own call can't say what becomes of fields that somebody else holds: as for an upgrade.
            forced = ["--force-conflicts"] if client.version.major >= 4 else []
            await client._command.run(["rollback", release.name, revision, "--namespace", release.namespace, *forced])
            return int((await client.get_current_revision(release.name, namespace=release.namespace)).revision)

    async def uninstall(self, release: Release) -> None:
        """Uninstall; nothing when there is no such release."""
        async with self._run(release, "uninstall") as client:
            await client.uninstall_release(release.name, namespace=release.namespace)


def api_server_away(told: str, server: str) -> bool:
    """True when what Helm told is that the API server itself, at the URL `server`, could not answer."""
    begin = _ERROR.search(told)
    own = _WEBHOOK.sub("", told[begin.start() :] if begin else told)
    address = server.rpartition("://")[2].rstrip("/")
    # Helm names the URL of a request only where it got no answer that it could read.
    asked = address and re.search(rf'://{re.escape(address)}[/?"]', own, re.IGNORECASE)
    return bool(asked or _AWAY.search(own))


def _server(target: Target) -> str:
    """URL of the API server that Helm will ask; empty where it can't be known, and Helm says so itself."""
    try:
        return str(configuration(target).cluster.server)
    except ConfigurationError:
        return ""


def _fix(told: str) -> str:
    if _ELSEWHERE.search(told):
        return "start the chart repository or webhook that it names, or correct its address"
    return "correct the chart or its values"


def tune_environment() -> None:
    """Helm lives for a third of a second: collecting its garbage costs more than it frees."""
    os.environ.setdefault("GOGC", "400")


def _chart(release: Release) -> str:
    """Where Helm finds the chart."""
    ref = release.chart.ref
    return str(release.chart.folder or ref.oci or ref.name or "")


def _found(release: Release) -> list[str]:
    """What else tells Helm which chart it is."""
    ref = release.chart.ref
    return [*(["--repo", ref.repo] if ref.repo else []), *(["--version", ref.version] if ref.version else [])]


def chart_metadata(folder: Path) -> Mapping[str, Any]:
    """The Chart.yaml of a chart folder."""
    import yaml

    loaded: Mapping[str, Any] = yaml.safe_load((folder / "Chart.yaml").read_text(encoding="utf-8"))
    return loaded


def decode_release(secret: Object) -> dict[str, Any]:
    """The release that a Helm storage Secret holds (base64 of base64 of gzipped JSON)."""
    import base64
    import gzip

    raw = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    decoded: dict[str, Any] = json.loads(gzip.decompress(raw))
    return decoded


def encode_release(release: Mapping[str, Any]) -> str:
    """The inverse of decode_release: what belongs in the Secret's `data.release`."""
    import base64
    import gzip

    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
