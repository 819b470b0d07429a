"""An image of nothing but files, made without an engine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon_platform.local.containerd import scratch_archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tarfile.TarFile]:
    program = tmp_path / "program"
    program.write_bytes(b"#!binary")
    target = tmp_path / "image.tar"
    files, links = {"/bin/tool": program}, {"/bin/sh": "tool"}
    scratch_archive(target, "localhost/carbon/tool:1", files, links, ["/bin/tool", "-x"], "65532:65532")
    with tarfile.open(target) as opened:
        yield opened


def member(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


def test_the_archive_names_its_image_and_what_it_is_made_of(archive: tarfile.TarFile) -> None:
    (manifest,) = json.loads(member(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["localhost/carbon/tool:1"]
    config = member(archive, manifest["Config"])
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    told = json.loads(config)
    assert (told["config"]["Entrypoint"], told["config"]["User"]) == (["/bin/tool", "-x"], "65532:65532")
    (layer,) = manifest["Layers"]
    assert told["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(member(archive, layer)).hexdigest()}"]


def test_the_layer_has_the_files_the_links_and_a_place_for_temporary_files(archive: tarfile.TarFile) -> None:
    (manifest,) = json.loads(member(archive, "manifest.json"))
    with tarfile.open(fileobj=io.BytesIO(member(archive, manifest["Layers"][0]))) as layer:
        found = {info.name: info for info in layer.getmembers()}
        assert member(layer, "bin/tool") == b"#!binary"
    assert found["bin/tool"].mode == 0o755
    assert found["bin/sh"].linkname == "tool"
    assert found["tmp"].mode == 0o1777


def test_the_same_files_make_the_same_image(archive: tarfile.TarFile, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    files, links = {"/bin/tool": tmp_path / "program"}, {"/bin/sh": "tool"}
    scratch_archive(again, "localhost/carbon/tool:1", files, links, ["/bin/tool", "-x"], "65532:65532")
    with tarfile.open(again) as other:
        assert member(other, "manifest.json") == member(archive, "manifest.json")
