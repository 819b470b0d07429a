"""Who writes a release: telling writers apart, and the dead from the living."""

import dataclasses
import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.release.lease import (
    WRITER_VARIABLE,
    Writer,
    abandoned,
    dead,
    expired,
    left_behind,
    process,
    this_process,
    told,
)

WRITERS = st.builds(
    Writer,
    host=st.text("abc-._0", min_size=1, max_size=10),
    boot=st.text("0123456789abcdef", min_size=8, max_size=8),
    pid=st.integers(1, 2**22),
    started=st.integers(0, 2**40).map(str),
)


@given(WRITERS)
def test_a_writer_is_read_as_it_was_written(writer: Writer) -> None:
    assert Writer.parse(str(writer)) == writer


@given(st.text(max_size=30))
def test_whatever_stands_in_a_lease_is_read_or_refused(text: str) -> None:
    writer = Writer.parse(text)
    assert writer is None or str(writer) == text


@pytest.mark.parametrize("text", ["", "kube-controller-manager", "a_b_c_d", "host_boot_12", "host_boot_-1_2"])
def test_a_holder_that_is_no_writer_of_ours_is_nobody_we_know(text: str) -> None:
    assert Writer.parse(text) is None


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input ends, marked as left behind by a writer."""
    environment = {**os.environ, WRITER_VARIABLE: str(BEFORE)}
    program = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-S", "-c", program, "upgrade", "app", "--namespace", "here"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # Popen returns in the middle of exec, a moment before /proc shows the new program's words.
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


BEFORE = dataclasses.replace(this_process(), pid=4_000_000, started=str(os.getpid()))
"""A writer of this machine that is no more; of this process of tests alone."""


def test_a_process_that_runs_is_alive_and_dead_when_it_has_ended(child: subprocess.Popen[bytes]) -> None:
    writer, me = process(child.pid), this_process()
    assert not dead(writer, me)
    child.kill()
    child.wait()
    assert dead(writer, me)


def test_this_process_is_not_dead() -> None:
    assert not dead(this_process(), this_process())


def test_another_process_that_got_the_same_number_is_not_the_writer() -> None:
    me = this_process()
    assert dead(dataclasses.replace(me, started="1"), me)


def test_a_writer_is_named_as_a_person_knows_it(tmp_path: Path) -> None:
    program = tmp_path / "carbon"
    program.write_text("read line\n", encoding="utf-8")
    with subprocess.Popen(["/bin/sh", program, "--env", "local", "up"], stdin=subprocess.PIPE) as started:
        assert told(str(process(started.pid))) == f"carbon up, process {started.pid}"
    assert told(str(this_process())) == f"a run of carbon ui, process {os.getpid()}"
    assert told(str(Writer("node-7", "abcdef12", 9, "1"))) == "process 9 on node-7"
    assert told("some-other-program") == "some-other-program"


@given(WRITERS)
def test_nobody_can_tell_whether_a_process_of_another_machine_lives(writer: Writer) -> None:
    assert not dead(writer, dataclasses.replace(writer, host=f"not-{writer.host}"))
    assert not dead(writer, dataclasses.replace(writer, boot="00000000x"))
    assert not dead(None, writer)


def test_what_a_dead_writer_left_behind_is_found_by_its_mark(child: subprocess.Popen[bytes]) -> None:
    assert left_behind("here", "app") == [child.pid]
    assert left_behind("here", "ap") == []
    assert left_behind("there", "app") == []


NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("spec", "over"),
    [
        ({"renewTime": "2026-01-01T12:00:00.000000Z"}, False),
        ({"renewTime": "2026-01-01T11:59:31.000000Z", "leaseDurationSeconds": 30}, False),
        ({"renewTime": "2026-01-01T11:59:29.000000Z", "leaseDurationSeconds": 30}, True),
        ({"renewTime": "2026-01-01T11:59:29.000000Z", "leaseDurationSeconds": 60}, False),
        ({}, True),
    ],
)
def test_a_lease_is_over_when_it_was_not_renewed_for_its_duration(spec: dict[str, object], over: bool) -> None:
    assert expired({"spec": spec}, NOW) is over


def held_by(holder: str) -> dict[str, object]:
    return {"spec": {"holderIdentity": holder, "renewTime": "2026-01-01T12:00:00.000000Z", "leaseDurationSeconds": 30}}


@given(st.integers(-(10**6), 10**6))
def test_a_writer_of_this_machine_is_asked_by_its_process_alone_whatever_the_clock_says(seconds: int) -> None:
    """It may have been set by an hour, or the machine have slept."""
    now, me = NOW + datetime.timedelta(seconds=seconds), this_process()
    assert not abandoned(held_by(str(me)), me, now)
    assert abandoned(held_by(str(BEFORE)), me, now)


@pytest.mark.parametrize("holder", ["elsewhere_abcdef12_7_1", "some-other-program", ""])
@pytest.mark.parametrize(("seconds", "over"), [(-3600, False), (0, False), (30, False), (31, True)])
def test_a_writer_elsewhere_is_known_by_its_silence_alone(holder: str, seconds: int, over: bool) -> None:
    now = NOW + datetime.timedelta(seconds=seconds)
    assert abandoned(held_by(holder), this_process(), now) is over
