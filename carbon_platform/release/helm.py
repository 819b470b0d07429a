"""Helm through pyhelm3: render, upgrade, uninstall; as many processes at once as there are cores."""

import asyncio
import json
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.target import Target
from carbon_platform.errors import Blocked, CarbonError, Unreachable
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Release

if TYPE_CHECKING:
    from pyhelm3 import Chart as HelmChart
    from pyhelm3 import Client

_AWAY = re.compile(
    r"connection refused|cluster unreachable|connection reset|unexpected EOF|i/o timeout|TLS handshake|no route to host"
    r"|http2: client connection lost|server is currently unable",
    re.IGNORECASE,
)


# It logs every command and failure; what matters of them comes back as errors.
logging.getLogger("pyhelm3").setLevel(logging.CRITICAL)


class HelmFailed(CarbonError):
    """Helm refused: bad values, a template error, an object the API server rejected."""


class Helm:
    """Helm for one cluster.

    Raises HelmFailed with Helm's own words, Unreachable when the API server went away under it, and Blocked when
    there is no Helm program. Values go in by standard input, never on the command line.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        self._settings, self._target = settings, target
        self._slots = asyncio.Semaphore(settings.helm_processes)
        self._client: Client | None = None
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

                tune_environment()
                client: Client = await asyncio.to_thread(
                    Client,
                    executable=str(self.program()),
                    kubeconfig=self._target.kubeconfig,
                    kubecontext=self._target.context,
                    history_max_revisions=10,
                )
                self._client = client
        return self._client

    @asynccontextmanager
    async def _run(self, release: Release, verb: str) -> AsyncIterator["Client"]:
        from pyhelm3.errors import Error

        client = await self._helm()
        async with self._slots:
            try:
                yield client
            except Error as error:
                text = str(error).strip()
                if _AWAY.search(text):
                    raise Unreachable(f"helm {verb} {release.name}: the API server can't be reached", text) from error
                fix = "correct the chart or its values"
                raise HelmFailed(f"helm {verb} {release.namespace}/{release.name} failed", text, fix) from error

    def _chart(self, client: "Client", release: Release) -> "HelmChart":
        """The chart as pyhelm3 wants it, without asking Helm for metadata that a folder already tells."""
        from pyhelm3 import Chart as HelmChart
        from pyhelm3.models import ChartMetadata

        ref = release.chart.ref
        if release.chart.folder is not None:
            metadata = chart_metadata(release.chart.folder)
            where: str | Path = release.chart.folder
        else:
            where = ref.oci or ref.name or ""
            metadata = {"apiVersion": "v2", "name": str(where).rpartition("/")[2], "version": ref.version}
        chart: HelmChart = HelmChart(
            client._command, ref=where, repo=ref.repo, metadata=ChartMetadata.model_validate(metadata)
        )
        return chart

    async def template(self, release: Release) -> list[Object]:
        """Every object the chart makes, CRDs included, hooks too, as Helm writes them."""
        async with self._run(release, "template") as client:
            rendered = await client.template_resources(
                self._chart(client, release),
                release.name,
                dict(release.values),
                include_crds=True,
                namespace=release.namespace,
            )
            return [obj for obj in rendered if obj]

    async def upgrade(self, release: Release, description: str) -> int:
        """Install or upgrade without waiting for anything to get ready; the new revision's number."""
        async with self._run(release, "upgrade") as client:
            revision = await client.install_or_upgrade_release(
                release.name,
                self._chart(client, release),
                dict(release.values),
                namespace=release.namespace,
                create_namespace=False,
                description=description,
                # Given no values at all, Helm would silently take those of the revision before.
                reset_values=True,
                # What a person edited by hand would refuse the upgrade otherwise; Helm 3 has no such conflicts.
                force_conflicts=client.version.major >= 4,
                # Carbon applies CRDs itself: Helm never upgrades them.
                skip_crds=True,
                wait=False,
            )
            return int(revision.revision)

    async def uninstall(self, release: Release) -> None:
        """Uninstall; nothing when there is no such release."""
        async with self._run(release, "uninstall") as client:
            await client.uninstall_release(release.name, namespace=release.namespace)


def tune_environment() -> None:
    """Helm lives for a third of a second: collecting its garbage costs more than it frees."""
    os.environ.setdefault("GOGC", "400")


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
