"""What Carbon costs while nothing happens: processor time and memory of web server, daemon and code server together.

`carbon ui` must run. The code server's fork server counts as a part. The processes that runs are made of (a sweep a
minute) come and go, and are told apart.

    python -m benchmarks.at_rest [--minutes 10] [--json]
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from carbon_platform.settings import settings

_TICKS = os.sysconf("SC_CLK_TCK")
_PARTS = {b"dagster_webserver": "web server", b"carbon_platform.daemon": "daemon", b"grpc": "code server"}
_LOOK_SECONDS = 10.0
_PARTS_OF_TIME = 6
"""Whether memory is flat shows in its medians over so many equal parts of the time."""


@dataclasses.dataclass(frozen=True)
class Used:
    """Of one process: processor seconds so far, its ended children's too, and its share of memory in bytes."""

    own: float
    children: float
    memory: int


def parts() -> dict[str, int]:
    """The processes of `carbon ui` on Carbon's own state, by what they are."""
    home = f"DAGSTER_HOME={settings().dagster_home}".encode()
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if home in (entry / "environ").read_bytes().split(b"\0"):
                    found |= {name: int(entry.name) for word, name in _PARTS.items() if word in words}
    return found


def fork_server(code_server: int) -> dict[str, int]:
    """The code server's child that runs are forked from; they look like it, but are its children."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                child = _fields(int(entry.name))[1] == str(code_server)
                if child and b"multiprocessing.forkserver" in (entry / "cmdline").read_bytes():
                    return {"fork server": int(entry.name)}
    return {}


def _fields(pid: int) -> list[str]:
    """What /proc tells of a process in one line, from its state on; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


def used(pid: int) -> Used:
    """What a process has used."""
    fields = _fields(pid)
    own, children = (int(fields[11]) + int(fields[12])) / _TICKS, (int(fields[13]) + int(fields[14])) / _TICKS
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    pss = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return Used(own, children, int(pss) * 1024)


def measure(minutes: float) -> dict[str, object]:
    """Shares of one core, and memory: the median of each sixth of the time, and at its peak."""
    pids = parts()
    missing = set(_PARTS.values()) - set(pids)
    if missing:
        raise SystemExit(f"carbon ui does not run: there is no {', '.join(sorted(missing))}")
    pids |= fork_server(pids["code server"])
    first, began = {name: used(pid) for name, pid in pids.items()}, time.monotonic()
    memory = [sum(one.memory for one in first.values())]
    while time.monotonic() - began < minutes * 60:
        time.sleep(_LOOK_SECONDS)
        memory.append(sum(used(pid).memory for pid in pids.values()))
    last, seconds = {name: used(pid) for name, pid in pids.items()}, time.monotonic() - began
    share = {name: round((last[name].own - first[name].own) / seconds, 4) for name in pids}
    return {
        "minutes": round(seconds / 60, 1),
        "cores": {**share, "together": round(sum(share.values()), 4)},
        "cores_of_runs": round(sum(last[n].children - first[n].children for n in pids) / seconds, 4),
        "memory_mib": {
            **{name: round(one.memory / 2**20) for name, one in last.items()},
            "together_over_time": [round(statistics.median(part) / 2**20) for part in _in_parts(memory)],
            "together_most": round(max(memory) / 2**20),
        },
    }


def _in_parts(values: Sequence[int]) -> list[Sequence[int]]:
    size = -(-len(values) // _PARTS_OF_TIME)
    return [values[at : at + size] for at in range(0, len(values), size)]


def main() -> int:
    """0 when it could be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="as always; for the sake of likeness")
    print(json.dumps(measure(parser.parse_args().minutes), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
