import os
import subprocess
import sys

import pytest

from carbon_platform.errors import CarbonError
from carbon_platform.local import processes

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def test_who_does_not_end_when_asked_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout
        stubborn.stdout.readline()
        processes.end(lambda: [] if stubborn.poll() is not None else [stubborn.pid], 0.1)
        assert stubborn.returncode == -9


def test_a_wait_for_a_process_that_can_not_be_ended_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_KILL_SECONDS", 0.2)
    monkeypatch.setattr(processes, "_signal", lambda *_: None)
    with pytest.raises(CarbonError, match=f"process {os.getpid()} .* can't be ended"):
        processes.end(lambda: [os.getpid()], 0.1)


def test_processes_are_found_by_their_command_line_and_never_the_one_that_looks() -> None:
    mark = "a-mark-that-nobody-else-has"
    with subprocess.Popen([sys.executable, "-c", STUBBORN, mark], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        assert processes.with_command(lambda command: mark in command) == [other.pid]
        other.kill()
    assert processes.with_command(lambda command: True).count(os.getpid()) == 0


def test_memory_and_name_of_a_process_that_is_gone_are_no_error() -> None:
    assert processes.resident_bytes(os.getpid()) > 1 << 20
    assert processes.resident_bytes(0) == 0
    assert processes.command_name(0) == "?"
