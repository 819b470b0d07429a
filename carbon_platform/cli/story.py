"""An incident as a person reads it: what broke, who edited what, what was tried, how it ended, what is lost. Pure."""

import datetime
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from carbon_platform.healing.ending import HEALED, MENDED, RECOVERED
from carbon_platform.healing.incident import Came, Incident, Tried

_INDENT = "  "
_COLOURS = {HEALED: "green", MENDED: "green", RECOVERED: "green", "open": "yellow", "quarantined": "red"}
_CAME = {Came.HELPED: "green", Came.FOUND_WELL: "green", Came.RUNS: "cyan"}
_MINUTE, _HOUR = 60, 3600
_NARROWEST = 20


def lines(
    incident: Incident, state: str, quarantined: str, width: int | None, zone: datetime.tzinfo | None = None
) -> list[Text]:
    """The whole of it, no line longer than `width` columns; None: lines are whole.

    `state`: in a word or two. `quarantined`: why it is left to people, where it is. `zone`: of the times; the
    machine's when not given.
    """
    made = [_head(incident, state, zone)]
    made += [Text.assemble(_INDENT, part) for part in _parts(incident, quarantined)]
    return made if width is None else [line for one in made for line in _wrapped(one, max(width, _NARROWEST))]


def duration(seconds: float) -> str:
    """As a person says it."""
    if seconds < _MINUTE:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def _head(incident: Incident, state: str, zone: datetime.tzinfo | None) -> Text:
    when = datetime.datetime.fromtimestamp(incident.opened_at, datetime.UTC).astimezone(zone)
    lasted = "" if incident.closed_at is None else f" after {duration(incident.closed_at - incident.opened_at)}"
    return Text.assemble(
        (f"{when:%Y-%m-%d %H:%M:%S}", "dim"),
        "  ",
        (incident.component, "bold"),
        "  ",
        (state, _COLOURS.get(state, "")),
        (f"{lasted}  {incident.id}", "dim"),
    )


def _parts(incident: Incident, quarantined: str) -> Iterator[Text]:
    yield Text(incident.cause)
    for edit in incident.edits:
        if edit.field.head not in incident.cause:  # seen only later, or one of many
            yield Text.assemble(("edited: ", "bold"), f"{edit.object}: {edit.field.head}")
    for attempt in incident.attempts:
        yield _attempt(attempt, incident)
    if incident.ending:
        yield Text.assemble(("ended: ", "bold"), incident.ending)
    if incident.lost:
        yield Text.assemble(("lost: ", "bold red"), "; ".join(incident.lost))
    if incident.waiting:
        yield Text(f"waited for it: {', '.join(incident.waiting)}", style="dim")
    if incident.closed_at is not None:
        return
    if quarantined:
        yield Text(quarantined, style="red")
    fix = incident.mend or f"carbon doctor {incident.component}"
    if fix not in quarantined:
        yield Text.assemble(("fix: ", "bold green"), fix)


def _attempt(attempt: Tried, incident: Incident) -> Text:
    of = "" if attempt.of == (incident.component,) else f" {', '.join(attempt.of)}"
    told = f": {attempt.result}" if attempt.result else ""
    waits = attempt.came is Came.RUNS and attempt.started_at is None
    return Text.assemble(
        f"{attempt.number}. {attempt.remedy.value}{of} ({_times(attempt, incident)})  ",
        (f"{'asked for' if waits else attempt.came}{told}", _CAME.get(attempt.came, "yellow")),
    )


def _times(attempt: Tried, incident: Incident) -> str:
    """When it began, and how long it took."""
    if attempt.started_at is None:
        return "not begun"
    begun = f"+{duration(attempt.started_at - incident.opened_at)}"
    return begun if attempt.ended_at is None else f"{begun}, {duration(attempt.ended_at - attempt.started_at)}"


def _wrapped(line: Text, width: int) -> list[Text]:
    """The line in as many as it needs; all but the first are set in further than it is."""
    indent = len(line.plain) - len(line.plain.lstrip())
    parts = line[indent:].wrap(Console(width=width), width - indent - len(_INDENT))
    for part in parts:
        part.rstrip()
    return [Text.assemble(" " * indent, _INDENT if number else "", part) for number, part in enumerate(parts)]
