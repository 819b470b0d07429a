"""Functional checks of DataHub: it is up, it is the version declared, and what is ingested is found by search."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

from pydantic import Field

from carbon_platform.checks.base import Passed
from carbon_platform.checks.datahub_session import DataHubCheck, Gms, dataset_name, probe_urn, stale_probes
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

_PAUSE = 0.25
"""Seconds between two searches for the probe."""

_RESERVE = 10.0
"""Seconds of the deadline that are kept for saying what was found, and for removing the probe."""

_REPOSITORY = "acryldata/datahub"
"""Under which GMS tells its version."""


def _milliseconds(since: float) -> float:
    return round((time.perf_counter() - since) * 1000, 1)


class Health(DataHubCheck):
    """The server says that it has started and takes requests."""

    summary: ClassVar[str] = "The server answers its health endpoint with 200."

    path: str = Field("/health", pattern="^/", description="/health of GMS, /admin of the frontend.")

    async def run(self, reach: Reach) -> Passed:
        async with self.gms(reach, anonymous=True) as session:
            began = time.perf_counter()
            status = await session.status(self.path)
        if status == 503:
            raise CheckFailed(
                f"{self.service} is not ready for requests",
                f"{self.path} answers HTTP 503: it is starting, or waits for the system update",
                "see the system-update job, then this server's log",
            )
        if status != 200:
            raise CheckFailed(
                f"{self.service} is not healthy", f"{self.path} answers HTTP {status}", "see this server's log"
            )
        return Passed(f"{self.service} is up", {"latency_ms": _milliseconds(began)})


class Config(DataHubCheck):
    """GMS is the declared version, and answers nobody whom it does not know."""

    summary: ClassVar[str] = "GMS tells its configuration and version, and refuses requests without credentials."

    version: str | None = Field(None, description="The version it must be, as /config tells it; any if unsaid.")

    async def run(self, reach: Reach) -> Passed:
        async with self.gms(reach) as session:
            config = await session.config()
            version, commit = self._version(config)
            await self._expect_refusal(session)
        if not config.get("statefulIngestionCapable") or not config.get("patchCapable"):
            raise CheckFailed(
                "DataHub's configuration is not that of a current server",
                f"statefulIngestionCapable is {config.get('statefulIngestionCapable')!r}, "
                f"patchCapable is {config.get('patchCapable')!r}; ingestion needs both",
                "see what listens there",
            )
        return Passed(f"DataHub {version}, which refuses strangers", {"version": version, "commit": commit})

    def _version(self, config: dict[str, object]) -> tuple[str, str]:
        versions = config.get("versions")
        told = versions.get(_REPOSITORY) if isinstance(versions, dict) else None
        if not isinstance(told, dict) or not told.get("version"):
            raise CheckFailed(
                "DataHub does not tell its version", f"no `versions.{_REPOSITORY}` in /config", "see what listens"
            )
        version = str(told["version"])
        if self.version is not None and version != self.version:
            raise CheckFailed(
                f"DataHub is {version}, declared is {self.version}",
                "GMS runs another image than the one declared",
                "see the image of GMS's pods, and whether its rollout ended",
            )
        return version, str(told.get("commit") or "")

    @staticmethod
    async def _expect_refusal(session: Gms) -> None:
        path = "/openapi/v3/entity/dataset?count=1"
        status = await session.status(path, anonymous=True)
        if status not in (401, 403):
            raise CheckFailed(
                "DataHub answers requests without credentials",
                f"GET {path} without any was answered with HTTP {status}",
                "set METADATA_SERVICE_AUTH_ENABLED on GMS, as the chart does",
            )
        known = await session.status(path)
        if known in (401, 403):
            raise CheckFailed(
                "DataHub does not know its own system client",
                f"GET {path} with its credentials was answered with HTTP {known}",
                "restart GMS: its Secret is newer than it is",
            )


class Ingest(DataHubCheck):
    """A dataset's aspect is ingested, read back from the store, and found by search; then the dataset is removed."""

    summary: ClassVar[str] = "What is ingested is kept by the store, goes through Kafka, and is found by search."

    async def run(self, reach: Reach) -> Passed:
        loop = asyncio.get_running_loop()
        end = loop.time() + max((self.deadline or 60) - _RESERVE, 1)
        async with self.gms(reach) as session, _probe(session) as urn:
            value = {"name": dataset_name(urn), "customProperties": {"token": secrets.token_hex(8)}}
            began = time.perf_counter()
            await session.write(urn, value)
            stored = _milliseconds(began)
            self._compare(value, await session.read(urn))
            searched = time.perf_counter()
            searches = await self._find(session, urn, end)
            found = _milliseconds(searched)
        return Passed(
            "a dataset was ingested, read back, found by search, and removed",
            {"ingest_ms": stored, "search_ms": found, "searches": searches},
        )

    @staticmethod
    def _compare(written: Mapping[str, object], kept: Mapping[str, object] | None) -> None:
        if kept is None:
            raise CheckFailed(
                "DataHub's store does not keep what it accepts",
                "an aspect that was acknowledged is not there when it is read",
                "see GMS's log, and PostgreSQL's checks",
            )
        if any(kept.get(key) != one for key, one in written.items()):
            raise CheckFailed(
                "DataHub's store gives back another aspect than was written",
                f"of {', '.join(sorted(written))} something differs",
                "see GMS's log: another process may write this dataset",
            )

    async def _find(self, session: Gms, urn: str, end: float) -> int:
        """Searches until the dataset is found; how many it took."""
        loop = asyncio.get_running_loop()
        began, searches = loop.time(), 0
        while True:
            searches += 1
            try:
                if urn in await session.search(dataset_name(urn)):
                    return searches
            except CheckFailed as error:
                raise CheckFailed(
                    "DataHub stores metadata, and can't search",
                    f"the aspect was stored and read back; the search failed: {error.cause}",
                    "see GMS's log, and the search server",
                ) from error
            if loop.time() >= end:
                raise CheckFailed(
                    "DataHub stores metadata, and its search does not follow",
                    f"the aspect was stored and read back, and is not found after {loop.time() - began:.0f} s: "
                    "the change does not get from the store through Kafka into the index",
                    "see the log of the MAE consumer and its lag, then Kafka's checks and the search server",
                )
            await asyncio.sleep(_PAUSE)


@contextlib.asynccontextmanager
async def _probe(session: Gms) -> AsyncIterator[str]:
    """A dataset's name of its own; whatever was stored under it is gone afterwards, and so are killed probes'."""
    urn = probe_urn()
    try:
        yield urn
    except BaseException:
        with contextlib.suppress(CheckFailed):  # what failed first is what is told
            await session.delete(urn)
        raise
    await session.delete(urn)
    if await session.read(urn) is not None:
        raise CheckFailed(
            "DataHub's store keeps what was deleted", f"{urn} is still there", "see GMS's log, and PostgreSQL's checks"
        )
    with contextlib.suppress(CheckFailed):  # another probe may be at it
        for stale in stale_probes(await session.search("carbon_probe"), time.time()):
            await session.delete(stale)


CHECKS = {"health": Health, "config": Config, "ingest": Ingest}
