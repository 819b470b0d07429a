import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbon_platform.local.images.workplace import dismantle, mounts_below, temporary, workplace

TABLE = """\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 21 254:0 /a /cache/work/storage/overlay rw - ext4 /dev/vda rw
41 40 0:50 / /cache/work/storage/overlay/1/merged rw - overlay overlay rw
42 21 0:51 / /cache/work\\040place rw - tmpfs tmpfs rw
43 21 0:52 / /cache/workshop rw - tmpfs tmpfs rw
"""


def test_only_mounts_below_the_folder_are_its_own() -> None:
    assert mounts_below(Path("/cache/work"), TABLE) == [
        "/cache/work/storage/overlay",
        "/cache/work/storage/overlay/1/merged",
    ]
    assert mounts_below(Path("/cache/work place"), TABLE) == ["/cache/work place"]


async def test_a_workplace_is_empty_at_first_and_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "storage").mkdir(parents=True)
    (folder / "storage" / "left").write_text("by a killed process")
    async with workplace(folder) as work:
        assert [path.name for path in work.iterdir()] == ["tmp"]
    assert not folder.exists()


async def test_it_is_gone_after_a_failure_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        async with workplace(tmp_path / "work"):
            raise RuntimeError
    assert not (tmp_path / "work").exists()


def test_a_process_that_works_there_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"],
        env={**os.environ, "TMPDIR": str(temporary(folder))},
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        dismantle(folder)
        assert process.wait(timeout=60) == -9
    assert not folder.exists()


def test_nothing_to_dismantle_is_no_failure(tmp_path: Path) -> None:
    dismantle(tmp_path / "work")
