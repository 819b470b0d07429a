"""An engine that keeps images in memory: what was asked of it is in `done`, what shall fail in `failing`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.engine import OnStep
from carbon_platform.local.images.making import CONCURRENCY
from carbon_platform.local.images.process import ProgramFailed


class FakeEngine:
    def __init__(self) -> None:
        self.images: set[str] = set()
        self.done: list[str] = []
        self.failing: dict[str, CarbonError] = {}
        self.arguments: dict[str, Mapping[str, str]] = {}
        self.contexts: dict[str, Mapping[str, Path]] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.most_at_once = 0
        self._at_once = 0

    async def pull(self, reference: str, as_reference: str) -> None:
        await self._do(f"pull {reference}")
        self.images.add(as_reference)

    async def load(self, archive: Path) -> None:
        await self._do(f"load {archive.name.split('.')[0]}")
        self.images.add(_read(archive))

    async def bootstrap(self, release: str, as_reference: str) -> None:
        await self._do(f"bootstrap {release}")
        self.images.add(as_reference)

    async def build(
        self,
        folder: Path,
        as_reference: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        contexts: Mapping[str, Path],
        on_step: OnStep,
    ) -> None:
        on_step("step 1/1: RUN")
        missing = set(arguments.values()) - self.images
        assert not missing, f"{as_reference} is built before {missing}"
        await self._do(f"build {folder.name}")
        self.arguments[as_reference], self.contexts[as_reference] = arguments, contexts
        self.labels[as_reference] = labels
        self.images.add(as_reference)

    async def save(self, reference: str, archive: Path) -> None:
        await self._do(f"save {reference}")
        _write(archive, reference)

    async def _do(self, what: str) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        for _ in range(CONCURRENCY * 5):
            await asyncio.sleep(0)
        self._at_once -= 1
        self.done.append(what)
        if what in self.failing:
            raise self.failing[what]


def _write(archive: Path, reference: str) -> None:
    archive.write_text(f"image {reference}")


def _read(archive: Path) -> str:
    content = archive.read_text()
    if not content.startswith("image "):
        raise ProgramFailed("buildah failed", "not an archive")
    return content.removeprefix("image ")
