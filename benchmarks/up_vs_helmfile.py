"""`carbon up` against `helmfile sync`: the same releases, the same Helm, the same cluster, in one run.

Every round deploys 25 small releases in five levels of needs with the one and then with the other, each once from
nothing and once more with nothing changed, and removes them in between. Both end with every pod ready, which is
looked at afterwards, outside the measured time. A time is that of the whole process, from its start to its end.

    python benchmarks/up_vs_helmfile.py [--rounds 3] [--json]
"""

import argparse
import dataclasses
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.simulated import (
    Release,
    not_as_wanted,
    releases,
    remove,
    revisions,
    simulated_cluster,
    write_definitions,
    write_helmfile,
)
from carbon_platform.errors import CarbonError
from carbon_platform.local import programs
from carbon_platform.local.catalogue import KUBERNETES, SOURCES
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.settings import settings

PHASES = ("fresh", "unchanged")
_DEADLINE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """One process and all that it started."""

    seconds: float
    cpu: float
    """Seconds of processor time; unlike the other, it hardly depends on what else the machine does."""


class Failed(CarbonError):
    """A side did not do the work: there is nothing to compare."""


def measure(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> Timing:
    """Run a command to its end. Raises Failed with its last lines."""
    before, began = _children(), time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, timeout=_DEADLINE_SECONDS, check=False
        )
    took = Timing(time.monotonic() - began, _children() - before)
    if done.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        raise Failed(f"{Path(command[0]).name} failed", f"exit code {done.returncode}", "see its lines below", tail)
    return took


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Side:
    """One of the two: a folder of its own with nothing in it at first, and the command that deploys."""

    def __init__(self, name: str, folder: Path, chosen: Sequence[Release]) -> None:
        self.name, self.folder, self.chosen = name, folder, chosen
        folder.mkdir(parents=True)
        self.command: list[str | Path] = []
        self.environment: dict[str, str] = {}


def ours(folder: Path, chosen: Sequence[Release], cluster: LocalCluster, helm: Path) -> Side:
    """`carbon up`, without records and with no render in its cache."""
    side = Side("ours", folder, chosen)
    side.command = [Path(sys.executable).with_name("carbon"), "up"]
    side.environment = {
        "CARBON_HOME": str(folder / "home"),
        "CARBON_CACHE": str(folder / "cache"),
        "CARBON_DEFS": str(write_definitions(folder, chosen)),
        "CARBON_CONTEXT": cluster.layout.context,
        "CARBON_KUBECONFIG": str(cluster.layout.kubeconfig),
        "CARBON_HELM": str(helm),
        "CARBON_PROFILE": "local",
        "HELM_CACHE_HOME": str(folder / "helm-cache"),
        "HELM_CONFIG_HOME": str(folder / "helm-config"),
        "HELM_DATA_HOME": str(folder / "helm-data"),
    }
    return side


def peer(folder: Path, chosen: Sequence[Release], cluster: LocalCluster, helm: Path, helmfile: Path) -> Side:
    """`helmfile sync` with its default concurrency, waiting for the pods."""
    side = Side("peer", folder, chosen)
    file = write_helmfile(folder, chosen)
    side.command = [helmfile, "--file", file, "--helm-binary", helm, "--no-color", "sync"]
    side.environment = {
        "KUBECONFIG": str(cluster.layout.kubeconfig),
        "HELMFILE_CACHE_HOME": str(folder / "helmfile-cache"),
        # It would ask a server on the Internet for newer versions.
        "HELMFILE_UPGRADE_NOTICE_DISABLED": "1",
        "HELM_CACHE_HOME": str(folder / "helm-cache"),
        "HELM_CONFIG_HOME": str(folder / "helm-config"),
        "HELM_DATA_HOME": str(folder / "helm-data"),
    }
    return side


def both_phases(side: Side, cluster: LocalCluster) -> dict[str, Timing]:
    """Deploy from nothing, then again; remove everything. Raises Failed when not all pods are ready after either."""
    timings = {}
    for phase in PHASES:
        timings[phase] = measure(side.command, side.environment, side.folder / f"{phase}.log")
        wrong = not_as_wanted(cluster, side.chosen)
        if wrong:
            raise Failed(f"{side.name} ended before all pods were ready", ", ".join(wrong), "compare nothing")
        if side.name == "ours" and revisions(cluster, side.chosen) != len(side.chosen):
            raise Failed("nothing had changed, and there is a new revision", "Carbon made one", "mend that first")
    remove(cluster, side.chosen)
    shutil.rmtree(side.folder)
    return timings


Timings = dict[str, dict[str, list[Timing]]]


def run(rounds: int, count: int, folder: Path) -> Timings:
    """All measurements: side → phase → one for each round."""
    found: Timings = {name: {phase: [] for phase in PHASES} for name in ("ours", "peer")}
    have = programs.ensure(["helm", "helmfile"], settings().cache, _report)
    with simulated_cluster(folder / "cluster", 2, _report) as cluster:
        for number in range(1, rounds + 1):
            for name in found:
                chosen = releases(count, f"{name}-{number}")
                at = folder / f"{name}-{number}"
                side = (
                    ours(at, chosen, cluster, have["helm"])
                    if name == "ours"
                    else peer(at, chosen, cluster, have["helm"], have["helmfile"])
                )
                for phase, timing in both_phases(side, cluster).items():
                    found[name][phase].append(timing)
                    _report(f"round {number} {name} {phase}: {timing.seconds:.2f} s ({timing.cpu:.2f} s of processor)")
    return found


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def summary(found: Timings, count: int, load: Sequence[float]) -> dict[str, Any]:
    """The medians, their ratios, and how far the rounds were apart."""
    seconds = {name: {p: [t.seconds for t in found[name][p]] for p in PHASES} for name in found}
    median = {name: {p: round(statistics.median(of[p]), 2) for p in PHASES} for name, of in seconds.items()}
    return {
        **median,
        "ratio": {p: round(median["ours"][p] / median["peer"][p], 3) for p in PHASES},
        "spread": {n: {p: [round(min(of[p]), 2), round(max(of[p]), 2)] for p in PHASES} for n, of in seconds.items()},
        "cpu": {n: {p: round(statistics.median(t.cpu for t in found[n][p]), 2) for p in PHASES} for n in found},
        "releases": count,
        "rounds": len(seconds["ours"]["fresh"]),
        "load": {"before": round(load[0], 1), "after": round(load[1], 1), "cores": os.cpu_count()},
        "versions": {
            "carbon": version("carbon-platform"),
            "helmfile": SOURCES["helmfile"].version,
            "helm": SOURCES["helm"].version,
            "kubernetes": KUBERNETES,
        },
    }


def _show(result: Mapping[str, Any]) -> None:
    shown = Table(title=f"{result['releases']} releases, median of {result['rounds']} rounds", title_justify="left")
    for title in ("", "carbon up", "helmfile sync", "ratio"):
        shown.add_column(title, justify="right" if title else "left")
    for phase in PHASES:
        cells = []
        for name in ("ours", "peer"):
            least, most = result["spread"][name][phase]
            cells.append(f"{result[name][phase]:.2f} s ({least:.2f}–{most:.2f})")
        shown.add_row(phase, *cells, f"{result['ratio'][phase]:.2f} ×")
    Console().print(shown)


def main() -> int:
    """0 when both sides did the work in every round."""
    parser = argparse.ArgumentParser(description="carbon up against helmfile sync, on simulated nodes")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides; the median counts (default 3)")
    parser.add_argument("--releases", type=int, default=25, help="releases to deploy (default 25)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.rounds < 1 or given.releases < 1:
        parser.error("--rounds and --releases begin at 1")
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="carbon-benchmark-") as folder:
        try:
            found = run(given.rounds, given.releases, Path(folder))
        except CarbonError as error:
            _report(str(error))
            return 1
    result = summary(found, given.releases, (before, os.getloadavg()[0]))
    if given.json:
        print(json.dumps(result))
    else:
        _show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
