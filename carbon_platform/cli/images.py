"""Images for the local cluster, with progress on the terminal."""

import asyncio
from collections.abc import Sequence


def provide(images: Sequence[str], *, quiet: bool) -> None:
    """Make sure that the local node has these images: there already, pulled, or built."""
    from carbon_platform.local.images.ensure import ensure

    asyncio.run(ensure(images, quiet))
