"""Images for the local cluster, with progress on the terminal."""

import asyncio
from collections.abc import Sequence

from carbon_platform.cli.present import errors


def provide(references: Sequence[str]) -> None:
    """Make sure that the local node has these images: there already, cached, pulled, or built.

    Raises what `carbon_platform.local.images.provision.ensure` does.
    """
    from carbon_platform.local.images.provision import ensure

    asyncio.run(ensure(references, _tell))


def make() -> None:
    """Make sure that the cache has an archive of every image that has a recipe.

    Raises what `carbon_platform.local.images.provision.prepare` does.
    """
    from carbon_platform.local.images.provision import prepare
    from carbon_platform.local.images.recipes import default_folder, load_recipes

    references = [recipe.reference for recipe in load_recipes(default_folder()).values()]
    asyncio.run(prepare(references, _tell))


def _tell(image: str, step: str, seconds: float) -> None:
    errors.print(f"image {image}: {step} ({seconds:.0f} s)", style="dim")
