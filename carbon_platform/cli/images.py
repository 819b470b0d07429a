"""Images for the local cluster, with progress on the terminal."""

import asyncio
from collections.abc import Sequence

from carbon_platform.cli.present import errors


def provide(references: Sequence[str]) -> None:
    """Make sure that the local node has these images: there already, cached, pulled, or built.

    Raises what `carbon_platform.local.images.provision.ensure` does.
    """
    from carbon_platform.local.images.provision import ensure

    def tell(image: str, step: str, seconds: float) -> None:
        errors.print(f"image {image}: {step} ({seconds:.0f} s)", style="dim")

    asyncio.run(ensure(references, tell))
