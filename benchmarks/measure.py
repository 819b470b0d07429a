"""What one process and all that it started took."""

import dataclasses
import os
import resource
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError

_DEADLINE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """One process and all that it started."""

    seconds: float
    cpu: float
    """Seconds of processor time; unlike the other, it hardly depends on what else the machine does."""


class Failed(CarbonError):
    """A side did not do the work: there is nothing to compare."""


def measure(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, allowed: Collection[int] = (0,)
) -> Timing:
    """Run a command to its end, with what it prints in `log` and its errors beside it.

    Raises Failed with its last lines when its exit code is not an allowed one.
    """
    errors = log.with_suffix(".err")
    before, began = _children(), time.monotonic()
    with log.open("w", encoding="utf-8") as out, errors.open("w", encoding="utf-8") as err:
        done = subprocess.run(
            command, env={**os.environ, **environment}, stdout=out, stderr=err, timeout=_DEADLINE_SECONDS, check=False
        )
    took = Timing(time.monotonic() - began, _children() - before)
    if done.returncode not in allowed:
        tail = [
            line
            for file in (log, errors)
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        ]
        raise Failed(f"{Path(command[0]).name} failed", f"exit code {done.returncode}", "see its lines below", tail)
    return took


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
