"""The images of the local node, with what each was made from."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from carbon_platform.errors import CarbonError, Unreachable
from carbon_platform.local import containerd
from carbon_platform.local.images.making import RECIPE_LABEL


class Node(Protocol):
    """A node whose pods find only the images that it has already."""

    async def images(self) -> Mapping[str, str]:
        """Reference of every image, and the digest it was made from ("" where that is not known)."""

    async def load(self, archive: Path, reference: str, digest: str) -> None:
        """Import an archive, and note what its image was made from. Raises CarbonError."""


class ContainerdNode:
    """The node behind a containerd's socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        # Unpacking is work for processor and disk: one after the other is as fast, and takes half the memory.
        self._importing = asyncio.Lock()

    async def images(self) -> Mapping[str, str]:
        """Reference of every image, and the digest it was made from. Raises Unreachable."""
        try:
            return parse_images(await asyncio.to_thread(containerd.ctr, self._socket, "images", "list", seconds=30))
        except CarbonError as error:
            fix = "start the local cluster: carbon cluster up"
            raise Unreachable("the images of the local node can't be listed", error.cause, fix) from error

    async def load(self, archive: Path, reference: str, digest: str) -> None:
        """Import an archive, and note what its image was made from. Raises CarbonError."""
        async with self._importing:
            await asyncio.to_thread(containerd.load, self._socket, archive)
            label = f"{RECIPE_LABEL}={digest}"
            await asyncio.to_thread(containerd.ctr, self._socket, "images", "label", reference, label)


def parse_images(table: str) -> dict[str, str]:
    """References and the digests they were made from, out of the table that `ctr images list` prints."""
    images = {}
    for line in table.splitlines()[1:]:
        reference, *_, labels = line.split()
        pairs = dict(pair.partition("=")[::2] for pair in labels.split(","))
        images[reference] = pairs.get(RECIPE_LABEL, "")
    return images
