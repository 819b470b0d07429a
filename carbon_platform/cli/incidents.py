"""`carbon incidents`."""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from carbon_platform.cli.present import console, print_json, print_lines, terminal_width
from carbon_platform.cli.story import lines
from carbon_platform.errors import Unreachable
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import book_of
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
            quarantined = records.get(incident.component, Record("")).quarantined
            print_lines(lines(incident, _state(incident, records), quarantined, terminal_width()))
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
        "kind": incident.kind,
        "cause": incident.cause,
        "edits": [edit.told for edit in incident.edits],
        "fix": incident.mend,
        "detected_at": _iso(incident.opened_at),
        "closed_at": _iso(incident.closed_at),
        "ending": incident.ending,
        "lost": list(incident.lost),
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
                "came": a.came.value,
                "helped": a.helped,
                "changed": a.changed,
                "result": a.result,
                "lost": list(a.lost),
            }
            for a in incident.attempts
        ],
    }


def _after(incident: Incident, at: float | None) -> float | None:
    return None if at is None else round(at - incident.opened_at, 2)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
