"""Images that are made for real: as root, with the packages of a Debian mirror."""

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon_platform.local.images.archives import intact
from carbon_platform.local.images.process import DiskFull
from carbon_platform.local.images.provision import prepare
from carbon_platform.local.images.resolution import ImageUnavailable
from carbon_platform.local.images.workplace import dismantle, mounts_below
from tests.unit.images.registry import registry

pytestmark = [pytest.mark.real, pytest.mark.rare]
REDIS = "localhost/carbon/redis:7.0"


def quiet(*_: object) -> None:
    pass


def leftovers(cache: Path) -> list[str]:
    """What a run must not leave behind: unfinished files, its workplace, mounts."""
    files = [path.name for path in (cache / "images").iterdir() if path.suffix == ".part" or path.name == "work"]
    return files + mounts_below(cache / "images", Path("/proc/self/mountinfo").read_text())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a base image's archive, but not for making one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    dismantle(tmp_path)


async def test_redis_is_made_of_packages_and_its_archive_says_what_it_is(tmp_path: Path) -> None:
    await prepare([REDIS], quiet, tmp_path)
    (archive,) = (tmp_path / "images").glob("redis_7.0.*.tar")
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index
        assert REDIS.encode() in index.read()
    assert leftovers(tmp_path) == []


async def test_an_image_of_a_registry_is_pulled_past_a_ca_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path, "acme/gateway", "1") as (reference, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await prepare([reference], quiet, tmp_path)
    (archive,) = (tmp_path / "images").glob("*.tar")
    assert intact(archive)
    assert leftovers(tmp_path) == []


async def test_an_image_that_a_registry_does_not_have_is_told_in_the_registrys_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path, "acme/gateway", "1") as (reference, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(ImageUnavailable, match="acme/other:1 can't be had") as caught:
            await prepare([reference.replace("gateway", "other")], quiet, tmp_path)
    assert "the registry: " in caught.value.cause
    assert "404" in caught.value.cause or "unknown" in caught.value.cause
    assert leftovers(tmp_path) == []


async def test_a_full_disk_ends_in_a_plain_error_and_leaves_nothing_half_done(small_disk: Path) -> None:
    with pytest.raises(DiskFull, match=r"no room left while making image localhost/carbon/base-bookworm:12"):
        await prepare([REDIS], quiet, small_disk)
    assert leftovers(small_disk) == []
    assert list((small_disk / "images").glob("*.tar")) == []
