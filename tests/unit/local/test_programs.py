import fcntl
import threading
from pathlib import Path

import pytest

from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.local import build, download, programs
from carbon_platform.local.catalogue import SOURCES, Source

PAUSE = SOURCES["pause"]


class Builder:
    """Builds in no time, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[str] = []
        self.fails = False
        monkeypatch.setattr(build, "build", self.build)
        monkeypatch.setattr(download, "fetch", lambda *_: False)

    def build(self, source: Source, target: Path, cache: Path, report: object, position: str) -> None:
        self.built.append(f"{source.name} {position}")
        target.write_text("half a pro", encoding="ascii")
        if self.fails:
            raise CarbonError("it can't be built")
        target.write_text("a program", encoding="ascii")


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    return Builder(monkeypatch)


def quiet(_: str) -> None:
    pass


def test_a_program_is_built_once(tmp_path: Path, builder: Builder) -> None:
    for _ in range(2):
        found = programs.ensure(["pause"], tmp_path, quiet)
        assert found["pause"].read_text(encoding="ascii") == "a program"
        assert found["pause"].stat().st_mode & 0o111
    assert builder.built == ["pause 1 of 1"]


def test_what_shares_most_is_built_together(tmp_path: Path, builder: Builder) -> None:
    programs.ensure(["pause", "kubelet", "kube-apiserver"], tmp_path, quiet)
    assert builder.built == ["kube-apiserver 1 of 3", "kubelet 2 of 3", "pause 3 of 3"]


@pytest.mark.parametrize("spoiled", ["shorter", "as long", "origin gone", "origin garbled", "other recipe"])
def test_what_is_not_what_was_put_there_is_built_again(tmp_path: Path, builder: Builder, spoiled: str) -> None:
    program = programs.ensure(["pause"], tmp_path, quiet)["pause"]
    origin = program.with_suffix(".origin")
    if spoiled == "origin gone":
        origin.unlink()
    elif spoiled == "origin garbled":
        origin.write_text("?", encoding="ascii")
    elif spoiled == "other recipe":
        origin.write_text("0" + origin.read_text(encoding="ascii")[1:], encoding="ascii")
    else:
        program.write_text("a pr0gram" if spoiled == "as long" else "", encoding="ascii")
    assert programs.ensure(["pause"], tmp_path, quiet)["pause"].read_text(encoding="ascii") == "a program"
    assert len(builder.built) == 2


def test_a_copied_cache_is_trusted_by_its_checksums(tmp_path: Path, builder: Builder) -> None:
    program = programs.ensure(["pause"], tmp_path, quiet)["pause"]
    program.touch()
    assert programs.cached(PAUSE, tmp_path)
    assert str(program.stat().st_mtime_ns) in program.with_suffix(".origin").read_text(encoding="ascii")


def test_a_build_that_fails_leaves_nothing_and_spoils_nothing(tmp_path: Path, builder: Builder) -> None:
    builder.fails = True
    with pytest.raises(CarbonError, match="it can't be built"):
        programs.ensure(["pause"], tmp_path, quiet)
    assert [file for file in (tmp_path / "programs").rglob("*") if file.is_file()] == []
    assert not programs.cached(PAUSE, tmp_path)


def test_what_a_killed_build_left_is_cleared_away(tmp_path: Path, builder: Builder) -> None:
    left = programs.path(PAUSE, tmp_path).parent / "unfinished-abc"
    left.mkdir(parents=True)
    (left / "pause").touch()
    programs.ensure(["pause"], tmp_path, quiet)
    assert not left.exists()


def test_one_works_and_the_others_wait_and_say_so(tmp_path: Path, builder: Builder) -> None:
    told: list[str] = []
    waits = threading.Event()

    def report(text: str) -> None:
        told.append(text)
        waits.set()

    with (tmp_path / "programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=programs.ensure, args=(["pause"], tmp_path, report))
        other.start()
        assert waits.wait(10)
        assert builder.built == []
    other.join(10)
    assert told == ["waiting for another process that brings programs"]
    assert builder.built == ["pause 1 of 1"]


def test_a_program_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no program kubelt"):
        programs.ensure(["kubelt"], tmp_path, quiet)
