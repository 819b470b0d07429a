"""Whether a registry can be reached: asked once, briefly, and remembered for a while."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx2

PROBE_SECONDS = 5.0
MEMORY_SECONDS = 3600.0

Probe = Callable[[str], Awaitable[str | None]]
"""Why a registry can't be reached, or None if it can."""


def registry_of(reference: str) -> str:
    """The registry's host (and port) of an image reference; Docker Hub where none is named."""
    first, slash, _ = reference.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named else "docker.io"


def address_of(registry: str) -> str:
    """The URL at which a registry speaks the distribution protocol."""
    # Docker Hub's name in references is not the name of the host that serves them.
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    return f"https://{host}/v2/"


async def probe(registry: str) -> str | None:
    """Ask a registry for its API root; anonymous access may be refused there, which is an answer too."""
    try:
        async with httpx2.AsyncClient(timeout=PROBE_SECONDS) as client, asyncio.timeout(PROBE_SECONDS):
            answer = await client.get(address_of(registry))
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:.0f} s"
    except httpx2.HTTPError as error:
        return str(error) or type(error).__name__
    if answer.status_code in (200, 401):
        return None
    return f"answered HTTP {answer.status_code}, which no registry does"


def remembered(entries: Mapping[str, tuple[float, str]], registry: str, now: float) -> str | None:
    """Why the registry could not be reached, if that was found out no longer ago than MEMORY_SECONDS."""
    at, reason = entries.get(registry, (0.0, ""))
    return reason if reason and 0 <= now - at <= MEMORY_SECONDS else None


class Registries:
    """What is known of registries, kept in a file between processes. Only failures are remembered."""

    def __init__(self, file: Path, ask: Probe = probe, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._ask = ask
        self._clock = clock
        self._entries = _read(file)
        self._asking = asyncio.Lock()

    async def unreachable(self, reference: str) -> str | None:
        """Why the registry of this image can't be reached, or None if it can."""
        registry = registry_of(reference)
        async with self._asking:
            reason = remembered(self._entries, registry, self._clock())
            if reason is None and (reason := await self._ask(registry)):
                self._entries[registry] = (self._clock(), reason)
                # On a full disk the next process asks again, that is all.
                with contextlib.suppress(OSError):
                    self._file.write_text(json.dumps(self._entries, indent=1), encoding="utf-8")
        return f"{registry}: {reason}" if reason else None


def _read(file: Path) -> dict[str, tuple[float, str]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {str(registry): (float(at), str(reason)) for registry, (at, reason) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        # Nothing is lost with it but the time of one question.
        return {}
