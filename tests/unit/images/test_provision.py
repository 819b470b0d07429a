import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.archives import Archives
from carbon_platform.local.images.programs import program_digest
from carbon_platform.local.images.provision import ensure
from carbon_platform.local.images.recipes import default_folder, load_recipes
from carbon_platform.local.images.resolution import Image, ImagesUnavailable, wanted
from tests.unit.images.folders import small_platform
from tests.unit.images.test_archives import oci_archive

REDIS, POSTGRES = "localhost/carbon/redis:7.0", "localhost/carbon/postgres:15"


class FakeNode:
    """A node in memory; `full` is a disk without room."""

    def __init__(self, there: Mapping[str, str] | None = None, full: bool = False) -> None:
        self.there = dict(there or {})
        self.full = full
        self.loads = 0

    async def images(self) -> Mapping[str, str]:
        return self.there

    async def load(self, archive: Path, reference: str, digest: str) -> None:
        self.loads += 1
        if self.full or not tarfile.is_tarfile(archive):
            raise CarbonError(
                "containerd: ctr images import failed", "no space left" if self.full else "unexpected EOF"
            )
        self.there[reference] = digest


def image(reference: str) -> Image:
    return wanted(reference, load_recipes(default_folder()), program_digest)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that holds archives of Redis and PostgreSQL."""
    archives = Archives(tmp_path / "images")
    archives.folder.mkdir()
    for reference in (REDIS, POSTGRES):
        oci_archive(archives.path(reference, image(reference).digest), b"layer")
    return tmp_path


def quiet(*_: object) -> None:
    pass


async def test_a_cached_archive_is_brought_onto_the_node_with_its_digest(cache: Path) -> None:
    node = FakeNode()
    await ensure([REDIS, POSTGRES, REDIS], quiet, node, cache)
    assert node.there == {REDIS: image(REDIS).digest, POSTGRES: image(POSTGRES).digest}
    assert node.loads == 2


async def test_what_is_on_the_node_already_is_left_alone(cache: Path) -> None:
    node = FakeNode({REDIS: image(REDIS).digest})
    await ensure([REDIS], quiet, node, cache)
    assert node.loads == 0


async def test_an_image_of_another_recipe_on_the_node_is_replaced(cache: Path) -> None:
    node = FakeNode({REDIS: "another"})
    await ensure([REDIS], quiet, node, cache)
    assert node.there[REDIS] == image(REDIS).digest


async def test_a_damaged_archive_is_told_and_removed_so_that_the_next_run_makes_it_anew(cache: Path) -> None:
    archive = Archives(cache / "images").path(REDIS, image(REDIS).digest)
    archive.write_bytes(b"damaged")
    with pytest.raises(CarbonError, match="can't be brought onto the node") as caught:
        await ensure([REDIS, POSTGRES], quiet, node := FakeNode(), cache)
    assert "is damaged" in caught.value.cause
    assert not archive.exists()
    assert POSTGRES in node.there


async def test_archives_stay_when_it_is_the_node_that_has_no_room(cache: Path) -> None:
    with pytest.raises(ImagesUnavailable) as caught:
        await ensure([REDIS, POSTGRES], quiet, FakeNode(full=True), cache)
    assert set(caught.value.failures) == {REDIS, POSTGRES}
    assert "no space left" in caught.value.cause
    assert len(list((cache / "images").glob("*.tar"))) == 2


async def test_recipes_of_another_folder_are_used_when_one_is_given(tmp_path: Path) -> None:
    recipes = small_platform(tmp_path / "recipes")
    server = recipes["server"].reference
    digest = wanted(server, recipes, program_digest).digest
    archives = Archives(tmp_path / "images")
    archives.folder.mkdir()
    oci_archive(archives.path(server, digest), b"layer")
    node = FakeNode()
    await ensure([server], quiet, node, tmp_path, tmp_path / "recipes")
    assert node.there == {server: digest}
