"""`carbon up` against `helmfile sync`: the same releases, the same Helm, the same cluster, in one run.

Every round deploys 25 small releases in five levels of needs with the one and then with the other, each once from
nothing and once more with nothing changed, and removes them in between. Both end with every pod ready, which is
looked at afterwards, outside the measured time. A time is that of the whole process, from its start to its end.

    python benchmarks/up_vs_helmfile.py [--rounds 3] [--json]
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.against_peer import (
    Result,
    Timings,
    circumstances,
    command,
    medians,
    no_timings,
    ratios,
    report,
    report_timing,
)
from benchmarks.measure import Failed, Timing, measure
from benchmarks.simulated import (
    Release,
    environment,
    not_as_wanted,
    releases,
    remove,
    revisions,
    simulated_cluster,
    write_definitions,
    write_helmfile,
)
from carbon_platform.local import programs
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.settings import settings

PHASES = ("fresh", "unchanged")


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
    side.environment = environment(folder, write_definitions(folder, chosen), cluster, helm)
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


def run(rounds: int, count: int, folder: Path) -> Timings:
    """All measurements: side → phase → one for each round."""
    found = no_timings(PHASES)
    have = programs.ensure(["helm", "helmfile"], settings().cache, report)
    with simulated_cluster(folder / "cluster", 2, report) as cluster:
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
                    report_timing(f"round {number} {name} {phase}", timing)
    return found


def summary(found: Timings, count: int) -> dict[str, Any]:
    """The medians, their ratios, and how far the rounds were apart."""
    return {
        **medians(found),
        "ratio": ratios(found),
        **circumstances(found, count, ["helmfile", "helm"]),
    }


def _show(result: Result) -> None:
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


def _compare(rounds: int, count: int, folder: Path) -> dict[str, Any]:
    return summary(run(rounds, count, folder), count)


def main() -> int:
    """0 when both sides did the work in every round."""
    return 0 if command("carbon up against helmfile sync, on simulated nodes", 3, 1, _compare, _show) else 1


if __name__ == "__main__":
    sys.exit(main())
