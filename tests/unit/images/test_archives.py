import contextlib
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from carbon_platform.errors import Conflict
from carbon_platform.local.images.archives import Archives, intact

REDIS = "localhost/carbon/redis:7.0"
DIGEST = "ab" * 32
OTHER = "cd" * 32


def place(archives: Archives, reference: str, digest: str) -> Path:
    with archives.place(reference, digest) as path:
        path.write_bytes(b"archive")
    return archives.path(reference, digest)


def oci_archive(path: Path, blob: bytes, name: str | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for member, content in (
            (f"blobs/sha256/{name or hashlib.sha256(blob).hexdigest()}", blob),
            ("index.json", b"{}"),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_is_found_by_what_it_was_made_from(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    made = place(archives, REDIS, DIGEST)
    assert archives.find(REDIS, DIGEST) == made
    assert archives.find(REDIS, OTHER) is None
    assert archives.find("localhost/carbon/redis:7.2", DIGEST) is None


def test_an_archive_of_a_new_recipe_takes_the_place_of_the_old_one_and_of_no_other(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    place(archives, REDIS, DIGEST)
    longer = place(archives, "localhost/carbon/redis:7.0.1", DIGEST)
    new = place(archives, REDIS, OTHER)
    assert sorted(tmp_path.iterdir()) == sorted([longer, new])


def test_an_archive_that_was_not_finished_leaves_nothing_and_keeps_the_old_one(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    old = place(archives, REDIS, OTHER)
    with contextlib.suppress(RuntimeError), archives.place(REDIS, DIGEST) as path:
        path.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [old]


async def test_claiming_removes_what_a_killed_process_left_half_done(tmp_path: Path) -> None:
    (tmp_path / "redis.part").write_bytes(b"half")
    async with Archives(tmp_path).claim(lambda: None):
        assert not (tmp_path / "redis.part").exists()


async def test_a_second_claim_waits_says_so_and_gives_up_at_its_deadline(tmp_path: Path) -> None:
    told = []
    async with Archives(tmp_path).claim(lambda: None):
        with pytest.raises(Conflict, match="images can't be made"):
            async with Archives(tmp_path).claim(lambda: told.append("waiting"), seconds=0.01):
                pytest.fail("two processes hold the folder")
    assert told == ["waiting"]
    async with Archives(tmp_path).claim(lambda: told.append("again")):
        assert told == ["waiting"]


def test_an_archive_whose_blobs_are_what_their_names_say_is_intact(tmp_path: Path) -> None:
    assert intact(oci_archive(tmp_path / "a.tar", b"layer"))


def test_a_changed_blob_a_cut_end_and_no_archive_at_all_are_damage(tmp_path: Path) -> None:
    changed = oci_archive(tmp_path / "changed.tar", b"layer", name=hashlib.sha256(b"other").hexdigest())
    cut = oci_archive(tmp_path / "cut.tar", b"layer" * 5000)
    cut.write_bytes(cut.read_bytes()[:9000])
    (tmp_path / "none.tar").write_bytes(b"no archive")
    assert not intact(changed)
    assert not intact(cut)
    assert not intact(tmp_path / "none.tar")


def test_only_a_damaged_archive_is_discarded(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    good, bad = oci_archive(tmp_path / "good.tar", b"layer"), tmp_path / "bad.tar"
    bad.write_bytes(b"no archive")
    assert not archives.discard_if_damaged(good)
    assert archives.discard_if_damaged(bad)
    assert list(tmp_path.iterdir()) == [good]
