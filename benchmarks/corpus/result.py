"""What became of each chart, and the table that tells it."""

import dataclasses
import re
from collections.abc import Iterable

COLUMNS = {
    "planned": "planned",
    "deployed": "deployed",
    "plan_empty": "plan empty",
    "no_drift": "no drift",
    "second_up_idle": "second up does nothing",
    "nothing_healed": "nothing healed",
    "down_clean": "down leaves what it should",
}
"""The steps that a chart goes through, and what the table calls them."""

_MARK = "<!-- corpus: made by python -m benchmarks.corpus FOLDER --page FILE -->"
_END = "<!-- end of corpus -->"


@dataclasses.dataclass
class Row:
    """One chart. A step is None when it was not reached."""

    chart: str
    version: str
    planned: bool | None = None
    """Every object could be planned, and the API server would take each."""
    deployed: bool | None = None
    plan_empty: bool | None = None
    no_drift: bool | None = None
    second_up_idle: bool | None = None
    """It made no revision and replaced or restarted no pod."""
    nothing_healed: bool | None = None
    """Beside `carbon ui` there was no incident, no new revision, and no other pod."""
    down_clean: bool | None = None
    """Nothing of the release is left but what the documentation says."""
    refused: bool = False
    """Nothing of it was made."""
    told: bool = True
    """Why it was not deployed, if it was not."""
    notes: list[str] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        """One line about it; the first of several."""
        self.notes.append(_one_line(text))

    @property
    def right(self) -> bool:
        """It was deployed and came to rest, or was told why not; and nothing is left of it."""
        steps = [getattr(self, step) for step in COLUMNS]
        return all(steps) or (self.deployed is False and self.told and self.down_clean is not False)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    heads = ["chart", "version", *COLUMNS.values(), "note"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        steps = [{True: "yes", False: "no", None: "–"}[getattr(row, step)] for step in COLUMNS]
        lines.append([row.chart, row.version, *steps, _cell("; ".join(row.notes))])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def summary(rows: Iterable[Row]) -> str:
    """One line: how many there are, and what became of them."""
    all_rows = list(rows)
    deployed = [row for row in all_rows if row.deployed]
    rest = sum(all(getattr(row, step) for step in COLUMNS) for row in deployed)
    refused = sum(row.refused for row in all_rows)
    waiting = len(all_rows) - len(deployed) - refused
    ended = f"{len(deployed)} deployed, {rest} of them without a flaw; {refused} refused, {waiting} not ready"
    return f"{len(all_rows)} charts: {ended}"


def renewed(page: str, rows: Iterable[Row], minutes: float) -> str:
    """A page with the table of a run anew between its marks. Raises ValueError when it has none."""
    rows = list(rows)
    before, mark, rest = page.partition(_MARK)
    _, end, after = rest.partition(_END)
    if not mark or not end:
        raise ValueError(f"the page has no place for the table: {_MARK} … {_END}")
    told = f"{summary(rows)}. They rested {minutes:g} minutes beside `carbon ui`."
    return f"{before}{_MARK}\n{told}\n\n{table(rows)}{_END}{after}"
