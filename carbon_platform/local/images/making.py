"""Making the archives of images: each once, what it is built on first, a few at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.archives import Archives
from carbon_platform.local.images.engine import Engine
from carbon_platform.local.images.process import DiskFull, ProgramFailed
from carbon_platform.local.images.progress import Steps
from carbon_platform.local.images.recipes import Recipe, Recipes
from carbon_platform.local.images.registries import Registries
from carbon_platform.local.images.resolution import (
    Attempt,
    Image,
    ImageUnavailable,
    Way,
    attempt_failed,
    wanted,
    ways_to_make,
)

CONCURRENCY = 2
"""Builds mostly wait for the network; two keep two cores busy."""

RECIPE_LABEL = "carbon.recipe"

ProgramFolder = Callable[[Sequence[str]], Awaitable[Path]]
"""A folder that holds Go programs as go/bin/NAME and their files in go/share/NAME, built if need be."""


class Making:
    """One session of making archives in one workplace. Ask for as many images at the same time as wanted."""

    def __init__(
        self,
        recipes: Recipes,
        archives: Archives,
        engine: Engine,
        registries: Registries,
        program_digest: Callable[[str], str],
        program_folder: ProgramFolder,
        steps: Steps,
    ) -> None:
        self._recipes = recipes
        self._archives = archives
        self._engine = engine
        self._registries = registries
        self._program_digest = program_digest
        self._program_folder = program_folder
        self._steps = steps
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def archive(self, image: Image) -> Path:
        """The archive of an image, made if there is none.

        Raises ImageUnavailable with all that was tried, or DiskFull.
        """
        found = self._archives.find(image.reference, image.digest)
        if found:
            return found
        await self._once("archive", image, self._make)
        return self._archives.path(image.reference, image.digest)

    async def _make(self, image: Image) -> None:
        await self._obtain(image)
        async with self._step(image, "saving"):
            with self._archives.place(image.reference, image.digest) as path:
                await self._engine.save(image.reference, path)
        self._steps.tell(image.reference, "made")

    async def _store(self, image: Image) -> None:
        """Have an image that others are built on in the engine's store, and an archive of it."""
        if ("archive", image.reference) not in self._tasks:
            found = self._archives.find(image.reference, image.digest)
            if found and await self._load(image, found):
                return
        await self._once("archive", image, self._make)

    async def _load(self, image: Image, archive: Path) -> bool:
        try:
            async with self._step(image, "unpacking"):
                await self._engine.load(archive)
        except ProgramFailed:
            if not await asyncio.to_thread(self._archives.discard_if_damaged, archive):
                raise
            return False
        return True

    async def _obtain(self, image: Image) -> None:
        """Have an image in the engine's store by the first way that works."""
        attempts: list[Attempt] = []
        root: ImageUnavailable | None = None
        for way in ways_to_make(image):
            try:
                await self._try(way, image)
            except DiskFull:
                raise
            except CarbonError as error:
                attempts.append(attempt_failed(way, image, error))
                root = error if isinstance(error, ImageUnavailable) else root
            else:
                return
        raise ImageUnavailable(image, attempts, root)

    async def _try(self, way: Way, image: Image) -> None:
        if way is Way.PULL and image.upstream:
            unreachable = await self._registries.unreachable(image.upstream)
            if unreachable:
                raise CarbonError(f"{image.upstream} can't be pulled", unreachable)
            async with self._step(image, f"pulling {image.upstream}"):
                await self._engine.pull(image.upstream, image.reference)
        elif way is Way.BUILD and image.recipe:
            await self._build(image, image.recipe)
        else:
            raise CarbonError(f"{image.reference} is not cached", "there is no archive of it")

    async def _build(self, image: Image, recipe: Recipe) -> None:
        if recipe.distribution:
            async with self._step(image, f"made of the packages of {recipe.distribution}"):
                await self._engine.bootstrap(recipe.distribution, recipe.reference)
            return
        needed = [self._wanted(self._recipes[name]) for name in dict.fromkeys(recipe.needs)]
        await asyncio.gather(*(self._once("store", one, self._store) for one in needed))
        contexts = {"program": await self._program_folder(recipe.program)} if recipe.program else {}
        async with self._step(image, "building"):
            await self._engine.build(
                recipe.folder,
                recipe.reference,
                self._arguments(recipe),
                {RECIPE_LABEL: image.digest},
                contexts,
                lambda step: self._steps.tell(image.reference, step),
            )

    def _arguments(self, recipe: Recipe) -> dict[str, str]:
        named = {"BASE": recipe.base, "BUILDER": recipe.builder}
        return {argument: self._recipes[name].reference for argument, name in named.items() if name}

    def _wanted(self, recipe: Recipe) -> Image:
        return wanted(recipe.reference, self._recipes, self._program_digest)

    async def _once(self, what: str, image: Image, work: Callable[[Image], Coroutine[Any, Any, None]]) -> None:
        """Do a piece of work for the first caller; later callers wait for the same outcome."""
        key = (what, image.reference)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(work(image))
        # A caller that gives up must not end what another waits for.
        await asyncio.shield(self._tasks[key])

    async def stop(self) -> None:
        """End all work that is still going on."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _step(self, image: Image, step: str) -> AsyncIterator[None]:
        async with self._places:
            self._steps.tell(image.reference, step)
            try:
                yield
            except DiskFull as error:
                raise _disk_full(image, error) from error


def _disk_full(image: Image, error: DiskFull) -> DiskFull:
    return DiskFull(
        f"no room left while making image {image.reference}",
        error.cause,
        "free some space, or set CARBON_CACHE to a folder on a larger disk",
        error.evidence,
    )
