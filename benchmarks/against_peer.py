"""What the benchmarks against a peer have in common: rounds, their medians, and a command line."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import Timing
from carbon_platform.errors import CarbonError
from carbon_platform.local.catalogue import KUBERNETES, SOURCES

Timings = dict[str, dict[str, list[Timing]]]
"""Side (`ours`, `peer`) → phase → one for each round."""
Result = Mapping[str, Any]
"""What `--json` prints."""


def no_timings(phases: Sequence[str]) -> Timings:
    """Of both sides, before the first round."""
    return {name: {phase: [] for phase in phases} for name in ("ours", "peer")}


def report(text: str) -> None:
    """Progress, beside the result."""
    print(text, file=sys.stderr, flush=True)


def report_timing(what: str, timing: Timing) -> None:
    """One side's, in one phase of one round."""
    report(f"{what}: {timing.seconds:.2f} s ({timing.cpu:.2f} s of processor)")


def medians(found: Timings) -> dict[str, dict[str, float]]:
    """Side → phase → seconds."""
    return {n: {p: round(statistics.median(t.seconds for t in of[p]), 2) for p in of} for n, of in found.items()}


def ratios(found: Timings) -> dict[str, float]:
    """Phase → our median by the peer's."""
    median = medians(found)
    return {phase: round(median["ours"][phase] / median["peer"][phase], 3) for phase in median["ours"]}


def circumstances(found: Timings, releases: int, tools: Sequence[str]) -> dict[str, Any]:
    """How far rounds were apart, what they cost, and what they were made of."""
    seconds = {n: {p: sorted(t.seconds for t in of[p]) for p in of} for n, of in found.items()}
    return {
        "spread": {n: {p: [round(of[p][0], 2), round(of[p][-1], 2)] for p in of} for n, of in seconds.items()},
        "cpu": {n: {p: round(statistics.median(t.cpu for t in of[p]), 2) for p in of} for n, of in found.items()},
        "releases": releases,
        "rounds": min(len(timings) for of in found.values() for timings in of.values()),
        "versions": {
            "carbon": version("carbon-platform"),
            **{tool: SOURCES[tool].version for tool in tools},
            "kubernetes": KUBERNETES,
        },
    }


def command(
    description: str,
    rounds: int,
    fewest_releases: int,
    compare: Callable[[int, int, Path], dict[str, Any]],
    show: Callable[[Result], None],
) -> Result | None:
    """Run a benchmark as its command line says and tell the result; None when a side did not do its work."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"rounds of both sides; the median counts (default {rounds})"
    )
    parser.add_argument("--releases", type=int, default=25, help="releases to work on (default 25)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.rounds < 1 or given.releases < fewest_releases:
        parser.error(f"--rounds begins at 1, --releases at {fewest_releases}")
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="carbon-benchmark-") as folder:
        try:
            result = compare(given.rounds, given.releases, Path(folder))
        except CarbonError as error:
            report(str(error))
            return None
    result["load"] = {"before": round(before, 1), "after": round(os.getloadavg()[0], 1), "cores": os.cpu_count()}
    if given.json:
        print(json.dumps(result))
    else:
        show(result)
    return result
