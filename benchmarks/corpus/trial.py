"""The steps that each chart goes through."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpus import cluster as simulated
from benchmarks.corpus.carbon import Carbon, Done
from benchmarks.corpus.charts import Chart, write_definitions
from benchmarks.corpus.result import Row
from carbon_platform.errors import CarbonError
from carbon_platform.local.cluster import LocalCluster

_NEVER = frozenset({"invalid", "refused"})
"""What a plan calls an object that the API server would not take."""
_NOTHING = "not installed"
"""What is said of a component of which nothing is there: no reason why that is so."""
_LOOK_SECONDS = 5.0


class Trial:
    """All charts of a run, on one cluster."""

    def __init__(self, cluster: LocalCluster, carbon: Carbon, folder: Path) -> None:
        self._cluster, self._carbon, self._folder = cluster, carbon, folder

    def _alone(self, chart: Chart) -> Path:
        """Definitions of this chart and no other: what is wrong with one must not hide the rest."""
        return write_definitions([chart], self._folder / "alone" / chart.key)

    def deploy(self, chart: Chart) -> Row:
        """Plan and deploy a chart, and do it again; how far it came. Never raises for what is the chart's own."""
        row = Row(chart.name, chart.version)
        try:
            self._plan(chart, row)
            self._up(chart, row)
            if row.deployed:
                self._again(chart, row)
        except CarbonError as error:
            row.note(error.told)
        return row

    def _run(self, chart: Chart, *arguments: str) -> Done:
        return self._carbon.run(*arguments, definitions=self._alone(chart))

    def _plan(self, chart: Chart, row: Row) -> None:
        done = self._run(chart, "plan", chart.key)
        told = done.component(chart.key)
        never = [change for change in told.get("changes", ()) if change["action"] in _NEVER]
        row.planned = bool(told) and not told["error"] and not never and not done.crashed
        if not row.planned:
            row.note(f"plan: {done.why or _error(told) or _changes(never)}")

    def _up(self, chart: Chart, row: Row) -> None:
        done = self._run(chart, "up", chart.key)
        told = done.component(chart.key)
        row.deployed = told.get("state") == "verified" and not done.crashed
        if row.deployed:
            return
        row.refused = not simulated.trace(self._cluster, chart).revisions
        reason = str(told.get("reason", ""))
        why = done.why or ("" if reason == _NOTHING else reason) or done.errors
        row.told = bool(why.strip())
        row.note(f"{'refused' if row.refused else 'not ready'}: {_first_lines(why) or 'nobody said why'}")

    def _again(self, chart: Chart, row: Row) -> None:
        planned = self._run(chart, "plan", chart.key)
        told = planned.component(chart.key)
        row.plan_empty = bool(told) and not told["error"] and not told["changes"] and not told["reason"]
        if not row.plan_empty:
            row.note(f"plan after up: {planned.why or _error(told) or _changes(told['changes']) or told['reason']}")
        drifted = self._run(chart, "drift", chart.key)
        told = drifted.component(chart.key)
        row.no_drift = drifted.code == 0 and told.get("state") == "in_sync"
        if not row.no_drift:
            row.note(f"drift: {drifted.why or _error(told) or _changes(told.get('objects', ())) or told}")
        before = simulated.trace(self._cluster, chart)
        again = self._run(chart, "up", chart.key)
        changed = before.changes(simulated.trace(self._cluster, chart))
        if again.code:
            changed.append(again.why or _first_lines(str(again.component(chart.key).get("reason"))))
        row.second_up_idle = not changed
        if changed:
            row.note(f"second up: {', '.join(changed)}")

    def rest(self, charts: Mapping[str, Chart], rows: Sequence[Row], minutes: float) -> None:
        """Leave what was deployed alone beside `carbon ui`: nothing may be healed."""
        resting = [row for row in rows if row.deployed]
        if not resting:
            return
        definitions = write_definitions([charts[row.chart] for row in resting], self._folder / "together")
        before = {row.chart: simulated.trace(self._cluster, charts[row.chart]) for row in resting}
        with self._carbon.ui(definitions) as ui:
            ends = time.monotonic() + minutes * 60
            while time.monotonic() < ends and ui.poll() is None:
                time.sleep(_LOOK_SECONDS)
            if ui.poll() is not None:
                raise CarbonError("carbon ui ended by itself", f"exit code {ui.returncode}", "see its logs")
            incidents = self._carbon.run("incidents", definitions=definitions).told.get("incidents", ())
            after = {row.chart: simulated.trace(self._cluster, charts[row.chart]) for row in resting}
        for row in resting:
            mine = [one for one in incidents if one["component"] == charts[row.chart].key]
            changed = [*map(_incident, mine), *before[row.chart].changes(after[row.chart])]
            row.nothing_healed = not changed
            if changed:
                row.note(f"beside carbon ui: {_few(changed)}")

    def down(self, charts: Mapping[str, Chart], rows: Sequence[Row]) -> None:
        """Uninstall everything, the last first, and see what is left of it."""
        for row in reversed(rows):
            chart = charts[row.chart]
            done = self._run(chart, "down", "--yes", chart.key)
            if done.code and "would be deleted with it" in done.why:
                row.note("down takes --delete-data: the chart itself declares CRDs or claims")
                done = self._run(chart, "down", "--yes", "--delete-data", chart.key, chart.key)
            row.down_clean = done.code == 0
            if done.code:
                row.note(f"down: {done.why}")
        for name, found in simulated.left(self._cluster, list(charts.values())).items():
            row = next(row for row in rows if row.chart == name)
            if found.unexpected:
                row.down_clean = False
                row.note(f"left after down: {_few([str(one) for one in found.unexpected])}")
            if found.hooks:
                row.note(f"its hooks leave: {_few([str(one) for one in found.hooks])}")


def _error(told: Mapping[str, Any]) -> str:
    error = told.get("error")
    return ": ".join(part for part in (error["summary"], error["cause"]) if part) if error else ""


def _changes(changes: Sequence[Mapping[str, Any]]) -> str:
    """The changes of a plan, or the objects that drifted, in one line."""
    return _few([_change(change) for change in changes])


def _change(change: Mapping[str, Any]) -> str:
    paths = _few([str(field["path"]) for field in change["fields"]])
    detail = paths or str(change["reason"])
    return f"{change['action']} {change['object']}" + (f" ({detail})" if detail else "")


def _incident(told: Mapping[str, Any]) -> str:
    counted = Counter(attempt["remedy"] for attempt in told["attempts"])
    remedies = ", ".join(f"{remedy} {count} ×" for remedy, count in counted.items()) or "no attempt"
    return f"{told['object'] or told['component']}: {told['sign']}: {told['cause']} ({remedies})"


def _few(texts: Sequence[str], most: int = 3) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _first_lines(text: str, most: int = 3) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines()[:most])
