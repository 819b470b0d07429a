"""`carbon incidents`."""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.present import console, print_json
from carbon_platform.errors import Unreachable
from carbon_platform.healing.incidents import Incident, book_of
from carbon_platform.records import Record
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform


def run(names: Sequence[str], *, only_open: bool, json: bool) -> int:
    """0; 1 when one is open."""
    platform = load_platform(settings())
    keys = set(graph.select(platform.needs, names)) if names else None
    found, records = asyncio.run(_read(only_open))
    chosen = [incident for incident in found if keys is None or incident.component in keys]
    if json:
        print_json({"incidents": [as_json(incident, records) for incident in chosen]})
    else:
        for incident in reversed(chosen):
            _show(incident, records)
        if not chosen:
            console.print("no incidents", style="green")
    return 1 if any(incident.closed_at is None for incident in chosen) else 0


async def _read(only_open: bool) -> tuple[list[Incident], Mapping[str, Record]]:
    try:
        async with open_session(settings()) as session:
            return book_of(settings(), session.cluster_id).incidents(only_open=only_open), session.records.all()
    except Unreachable:
        # The book is here, not in the cluster: what happened can be read when nothing else can.
        return book_of(settings(), None).incidents(only_open=only_open), {}


def _state(incident: Incident, records: Mapping[str, Record]) -> str:
    if incident.outcome:
        return incident.outcome
    return "quarantined" if records.get(incident.component, Record("")).quarantined else "open"


def as_json(incident: Incident, records: Mapping[str, Record]) -> dict[str, Any]:
    """One incident; times are ISO 8601 in UTC, durations seconds since it was detected."""
    first = next((a for a in incident.attempts if a.started_at), None)
    return {
        "id": incident.id,
        "component": incident.component,
        "outcome": _state(incident, records),
        "sign": incident.sign,
        "object": incident.object,
        "cause": incident.cause,
        "fix": incident.fix,
        "detected_at": _iso(incident.opened_at),
        "closed_at": _iso(incident.closed_at),
        "run_started_s": _after(incident, first.started_at if first else None),
        "closed_s": _after(incident, incident.closed_at),
        "waiting": list(incident.waiting),
        "attempts": [
            {
                "number": a.number,
                "remedy": a.remedy.value,
                "components": list(a.of),
                "run_id": a.run_id,
                "requested_s": _after(incident, a.at),
                "started_s": _after(incident, a.started_at),
                "ended_s": _after(incident, a.ended_at),
                "helped": a.helped,
                "result": a.result,
            }
            for a in incident.attempts
        ],
    }


def _after(incident: Incident, at: float | None) -> float | None:
    return None if at is None else round(at - incident.opened_at, 2)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")


_COLOURS = {"healed": "green", "recovered by itself": "green", "open": "yellow", "quarantined": "red"}


def _show(incident: Incident, records: Mapping[str, Record]) -> None:
    state = _state(incident, records)
    when = datetime.datetime.fromtimestamp(incident.opened_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    console.print(
        Text.assemble(
            (when, "dim"), "  ", (incident.component, "bold"), "  ", (state, _COLOURS.get(state, "")),
            (f" after {incident.closed_at - incident.opened_at:.1f} s" if incident.closed_at else "", "dim"),
            (f"  {incident.id}", "dim"),
        )
    )  # fmt: skip
    console.print(Text(f"  {incident.cause}"))
    for attempt in incident.attempts:
        begun = f"+{attempt.started_at - incident.opened_at:.1f} s" if attempt.started_at else "not begun"
        of = "" if attempt.of == (incident.component,) else f" {', '.join(attempt.of)}"
        told = f": {attempt.result}" if attempt.result else ""
        ended = f"{'helped' if attempt.helped else 'did not help'}{told}" if attempt.ended_at else "runs"
        style = "green" if attempt.helped else "yellow"
        console.print(Text.assemble(f"  {attempt.number}. {attempt.remedy.value}{of} ({begun})  ", (ended, style)))
    if incident.waiting:
        console.print(Text(f"  waited for it: {', '.join(incident.waiting)}", style="dim"))
    quarantined = records.get(incident.component, Record("")).quarantined
    if incident.closed_at is None and quarantined:
        console.print(Text(f"  {quarantined}", style="red"))
        console.print(Text.assemble(("  fix: ", "bold green"), incident.fix or f"carbon doctor {incident.component}"))
