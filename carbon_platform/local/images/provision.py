"""Getting the images that charts name: into the cache, and from there onto the local node."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.local import packages
from carbon_platform.local.images.archives import Archives
from carbon_platform.local.images.engine import Buildah
from carbon_platform.local.images.making import Making
from carbon_platform.local.images.node import ContainerdNode, Node
from carbon_platform.local.images.programs import program_digest, program_folder
from carbon_platform.local.images.progress import Progress, Steps
from carbon_platform.local.images.recipes import Recipes, default_folder, load_recipes
from carbon_platform.local.images.registries import Registries
from carbon_platform.local.images.resolution import Image, ImagesUnavailable, on_node, wanted
from carbon_platform.local.images.workplace import workplace
from carbon_platform.local.layout import Layout
from carbon_platform.settings import settings

PROGRAMS = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""For each program and file that making images takes, the Debian package that has it."""


async def ensure(
    references: Sequence[str],
    progress: Progress,
    node: Node | None = None,
    cache: Path | None = None,
    folder: Path | None = None,
) -> None:
    """Have every image on the local node, made from its recipe as it is now; `folder` holds the recipes.

    Each comes from the first of: the node itself, the cache of archives, its registry, its recipe. Safe to run
    again and at the same time as others. Raises the reason when one can't be had, ImagesUnavailable when several
    can't; all others are on the node then all the same. Raises Unreachable when the node does not answer.
    """
    target = node or ContainerdNode(Layout(settings().local_cluster).containerd_socket)
    recipes = load_recipes(folder or default_folder())
    images = _wanted(references, recipes)
    there = await target.images()
    missing = [image for image in images if not on_node(image, there)]
    await _provide(missing, recipes, progress, cache or settings().cache, target)


async def prepare(references: Sequence[str], progress: Progress, cache: Path | None = None) -> None:
    """Have an archive of every image in the cache; needs no cluster. Raises as `ensure` does."""
    recipes = load_recipes(default_folder())
    await _provide(_wanted(references, recipes), recipes, progress, cache or settings().cache, None)


def _wanted(references: Sequence[str], recipes: Recipes) -> list[Image]:
    return [wanted(reference, recipes, program_digest) for reference in dict.fromkeys(references)]


async def _provide(
    images: Sequence[Image], recipes: Recipes, progress: Progress, cache: Path, node: Node | None
) -> None:
    delivery = _Delivery(Archives(cache / "images"), node, Steps(progress))
    cached = [image for image in images if delivery.archives.find(image.reference, image.digest)]
    absent = [image for image in images if image not in cached]
    await asyncio.gather(*(delivery.bring(image) for image in cached))
    if absent:
        async with _making(recipes, delivery.archives, delivery.steps, cache) as making:
            await asyncio.gather(*(delivery.make(image, making) for image in absent))
    failures = delivery.failures
    if len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise ImagesUnavailable(failures)


class _Delivery:
    """Brings archives onto a node, or nowhere if there is none; what fails does not keep the others."""

    def __init__(self, archives: Archives, node: Node | None, steps: Steps) -> None:
        self.archives = archives
        self.steps = steps
        self.failures: dict[str, CarbonError] = {}
        self._node = node

    async def make(self, image: Image, making: Making) -> None:
        """Make the archive of an image, and bring it."""
        try:
            await making.archive(image)
        except CarbonError as error:
            self.failures[image.reference] = error
        else:
            await self.bring(image)

    async def bring(self, image: Image) -> None:
        """Bring an archive that is there. One that turns out to be damaged is not kept."""
        if self._node is None:
            return
        archive = self.archives.path(image.reference, image.digest)
        self.steps.tell(image.reference, "importing")
        try:
            await self._node.load(archive, image.reference, image.digest)
        except CarbonError as error:
            damaged = await asyncio.to_thread(self.archives.discard_if_damaged, archive)
            self.failures[image.reference] = CarbonError(
                f"image {image.reference} can't be brought onto the node",
                f"its archive {archive} is damaged" if damaged else error.cause or error.summary,
                "run it again: the archive was removed and will be made anew" if damaged else error.fix,
                error.evidence,
            )
        else:
            self.steps.tell(image.reference, "on the node")


@contextlib.asynccontextmanager
async def _making(recipes: Recipes, archives: Archives, steps: Steps, cache: Path) -> AsyncIterator[Making]:
    """A session of making archives, with the cache claimed and a workplace that is gone afterwards."""
    if os.geteuid() != 0:
        raise Blocked("images can't be made", "making them takes root", "run it as root, or put archives in the cache")
    await asyncio.to_thread(packages.ensure, PROGRAMS, steps.tell_all)
    async with (
        archives.claim(lambda: steps.tell_all("waiting for another process that makes images")),
        workplace(archives.folder / "work") as work,
    ):
        making = Making(
            recipes,
            archives,
            await Buildah.start(work, archives.folder / "logs"),
            Registries(archives.folder / "registries.json"),
            program_digest,
            lambda names: program_folder(names, cache, work, steps.tell_all),
            steps,
        )
        try:
            yield making
        finally:
            await making.stop()
