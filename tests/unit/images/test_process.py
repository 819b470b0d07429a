import errno
import sys
import time
from pathlib import Path

import pytest

from carbon_platform.local.images.process import DiskFull, ProgramFailed, full_disk_told, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_output_goes_to_the_log_line_by_line_without_colours(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import sys; print('one\\rtwo'); sys.stdout.flush(); print('\\x1b[1mthree\\x1b[m', file=sys.stderr, end='')"
    await run(python(code), tmp_path / "log", 30, on_line=lines.append)
    assert lines == ["one", "two", "three"]
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"


async def test_a_failure_carries_the_last_lines_and_where_the_others_are(tmp_path: Path) -> None:
    code = "import sys; [print(n) for n in range(100)]; print('it broke'); sys.exit(3)"
    with pytest.raises(ProgramFailed) as caught:
        await run(python(code), tmp_path / "log", 30)
    assert caught.value.cause == "it broke"
    assert caught.value.evidence[-2:] == ("99", "it broke")
    assert caught.value.fix == f"see {tmp_path / 'log'}"


async def test_a_program_that_says_the_disk_is_full_is_believed(tmp_path: Path) -> None:
    code = "import sys; print('write /x: no space left on device'); print('exit status 1'); sys.exit(1)"
    with pytest.raises(DiskFull) as caught:
        await run(python(code), tmp_path / "log", 30)
    assert "no space left on device" in caught.value.cause


async def test_at_its_deadline_a_program_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    code = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"pathlib.Path({str(mark)!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    with pytest.raises(ProgramFailed, match="was stopped"):
        await run(python(code), tmp_path / "log", 2)
    _wait_for_end(int(mark.read_text()))


def _wait_for_end(process: int) -> None:
    state = Path(f"/proc/{process}/stat")
    deadline = time.monotonic() + 5
    # A dead process whose new parent has not collected it yet is a zombie.
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the child lives on"


def test_the_systems_own_word_for_a_full_disk_becomes_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="no room left in"), full_disk_told(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_faults_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), full_disk_told(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
