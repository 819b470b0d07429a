"""Charts that others made, each deployed on simulated nodes, left alone beside `carbon ui`, and uninstalled.

FOLDER holds chart folders with their dependencies in them, and for each that requires values a `<name>.values.yaml`
beside it. Nothing of them is brought here, and nothing is pulled: no container runs on simulated nodes.

    python -m benchmarks.corpus FOLDER [--only a,b] [--minutes 30] [--page docs/corpus.md] [--json]
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.against_peer import report
from benchmarks.corpus import cluster as room
from benchmarks.corpus.carbon import Carbon
from benchmarks.corpus.charts import Chart, find
from benchmarks.corpus.result import Row, renewed, summary, table
from benchmarks.corpus.trial import Trial
from benchmarks.simulated import environment, simulated_cluster
from carbon_platform.errors import CarbonError
from carbon_platform.local import programs
from carbon_platform.settings import settings

_NODES = 6


def run(charts: Sequence[Chart], minutes: float, folder: Path) -> list[Row]:
    """All charts, one after another; their rows."""
    helm = programs.ensure(["helm"], settings().cache, report)["helm"]
    by_name = {chart.name: chart for chart in charts}
    with simulated_cluster(folder / "cluster", _NODES, report) as cluster:
        room.make_room(cluster)
        carbon = Carbon(environment(folder, folder, cluster, helm), folder / "logs")
        trial = Trial(cluster, carbon, folder)
        rows = []
        for chart in charts:
            rows.append(trial.deploy(chart))
            _tell(rows[-1])
        try:
            if minutes > 0:
                report(f"{minutes:g} minutes beside carbon ui")
                trial.rest(by_name, rows, minutes)
            trial.down(by_name, rows)
        except CarbonError as error:
            report(f"error: {error}")
    return rows


def _tell(row: Row) -> None:
    state = "deployed" if row.deployed else "refused" if row.refused else "not ready"
    report(f"{row.chart} {row.version}: {state}" + "".join(f"\n    {note}" for note in row.notes))


def main() -> int:
    """0 when every chart was deployed and came to rest, or was refused, and left what it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of chart folders")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these charts of it")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to rest beside carbon ui (default 30)")
    parser.add_argument("--page", type=Path, help="a Markdown page whose table is made anew")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where to keep what every command printed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    try:
        charts = find(given.folder, [name for name in given.only.split(",") if name])
        with tempfile.TemporaryDirectory(prefix="carbon-corpus-") as temporary:
            rows = run(charts, given.minutes, given.keep.resolve() if given.keep else Path(temporary))
    except CarbonError as error:
        report(f"error: {error}")
        return error.exit_code
    if given.page:
        page = renewed(given.page.read_text(encoding="utf-8"), rows, given.minutes)
        given.page.write_text(page, encoding="utf-8")
    if given.json:
        told = {"charts": [dataclasses.asdict(row) for row in rows], "minutes": given.minutes}
        print(json.dumps({**told, "summary": summary(rows)}, indent=2))
    else:
        print(table(rows), summary(rows), sep="\n")
    return 0 if all(row.right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
