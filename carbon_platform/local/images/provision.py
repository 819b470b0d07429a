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
from carbon_platform.local.images.making import Making, Progress
from carbon_platform.local.images.node import ContainerdNode, Node
from carbon_platform.local.images.programs import program_digest, program_folder
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

ALL = "images"
"""Stands for the image where progress is about all of them."""


async def ensure(
    references: Sequence[str], progress: Progress, node: Node | None = None, cache: Path | None = None
) -> None:
    """Have every image on the local node, made from its recipe as it is now.

    Each comes from the first of: the node itself, the cache of archives, its registry, its recipe. Safe to run
    again and at the same time as others. Raises the reason when one can't be had, ImagesUnavailable when several
    can't; all others are on the node then all the same. Raises Unreachable when the node does not answer.
    """
    target = node or ContainerdNode(Layout(settings().local_cluster).containerd_socket)
    images = _wanted(references, load_recipes(default_folder()))
    there = await target.images()
    missing = [image for image in images if not on_node(image, there)]
    await _provide(missing, progress, cache or settings().cache, target)


async def prepare(references: Sequence[str], progress: Progress, cache: Path | None = None) -> None:
    """Have an archive of every image in the cache; needs no cluster. Raises as `ensure` does."""
    images = _wanted(references, load_recipes(default_folder()))
    await _provide(images, progress, cache or settings().cache, None)


def _wanted(references: Sequence[str], recipes: Recipes) -> list[Image]:
    return [wanted(reference, recipes, program_digest) for reference in dict.fromkeys(references)]


async def _provide(images: Sequence[Image], progress: Progress, cache: Path, node: Node | None) -> None:
    archives = Archives(cache / "images")
    cached = [image for image in images if archives.find(image.reference, image.digest)]
    absent = [image for image in images if image not in cached]
    failures: dict[str, CarbonError] = {}
    await asyncio.gather(*(_deliver(image, archives, progress, node, failures) for image in cached))
    if absent:
        async with _making(archives, progress, cache) as making:
            made = [_make_and_deliver(image, making, archives, progress, node, failures) for image in absent]
            await asyncio.gather(*made)
    if len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise ImagesUnavailable(failures)


async def _make_and_deliver(
    image: Image,
    making: Making,
    archives: Archives,
    progress: Progress,
    node: Node | None,
    failures: dict[str, CarbonError],
) -> None:
    try:
        await making.archive(image)
    except CarbonError as error:
        failures[image.reference] = error
    else:
        await _deliver(image, archives, progress, node, failures)


async def _deliver(
    image: Image, archives: Archives, progress: Progress, node: Node | None, failures: dict[str, CarbonError]
) -> None:
    """Bring an archive onto the node, if there is one. An archive that can't be imported is not kept."""
    if node is None:
        return
    archive = archives.path(image.reference, image.digest)
    progress(image.reference, "importing", 0.0)
    try:
        await node.load(archive, image.reference, image.digest)
    except CarbonError as error:
        archives.discard(archive)
        failures[image.reference] = CarbonError(
            f"image {image.reference} can't be brought onto the node",
            error.cause or error.summary,
            "run it again: its archive was removed, and will be made anew",
            error.evidence,
        )


@contextlib.asynccontextmanager
async def _making(archives: Archives, progress: Progress, cache: Path) -> AsyncIterator[Making]:
    """A session of making archives, with the cache claimed and a workplace that is gone afterwards."""
    if os.geteuid() != 0:
        raise Blocked("images can't be made", "making them takes root", "run it as root, or put archives in the cache")
    await asyncio.to_thread(packages.ensure, PROGRAMS, lambda text: progress(ALL, text, 0.0))
    waiting = "waiting for another process that makes images"
    async with (
        archives.claim(lambda: progress(ALL, waiting, 0.0)),
        workplace(archives.folder / "work") as work,
    ):
        making = Making(
            load_recipes(default_folder()),
            archives,
            await Buildah.start(work, archives.folder / "logs"),
            Registries(archives.folder / "registries.json"),
            program_digest,
            lambda name: program_folder(name, cache, work, lambda text: progress(ALL, text, 0.0)),
            progress,
        )
        try:
            yield making
        finally:
            await making.stop()
