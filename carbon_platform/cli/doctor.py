"""`carbon doctor`."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.diagnosis import Diagnosis, lines
from carbon_platform.cli.present import (
    console,
    looking,
    print_json,
    print_lines,
    print_wrapped,
    terminal_width,
)
from carbon_platform.errors import ExitCode
from carbon_platform.healing.doctor import Finding, examination
from carbon_platform.healing.incident import Came, Incident
from carbon_platform.healing.incidents import book_of
from carbon_platform.healing.symptoms import Symptom
from carbon_platform.inspect.status import ComponentStatus, statuses_in
from carbon_platform.materialization.redact import redactor
from carbon_platform.release.wait import last_words
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when nothing is broken, else 1. What waits for images of a public registry counts only when it was named."""
    platform = load_platform(settings())
    keys = graph.select(platform.needs, names)
    with looking(len(keys)):
        seen = asyncio.run(_examine(platform, keys))
    found, nodes, logs = seen.found, seen.nodes, seen.logs
    told = Diagnosis.of(found, nodes, seen.states, platform.excused(names), platform.needs)
    if json:
        print_json(
            {
                "nodes": [_as_json(symptom, ()) for symptom in nodes],
                "components": [
                    {
                        "key": finding.component,
                        "root": finding.root or None,
                        "waiting": finding in told.waiting,
                        "causes": [_as_json(s, logs.get(s.object, ())) for s in finding.symptoms],
                    }
                    for finding in told.findings
                ],
            }
        )
    elif names:
        _show(told.findings, nodes, logs)
    else:
        print_lines(lines(told, nodes, len(keys), seen.healing, terminal_width()))
    return ExitCode.FAILED if told.broken or nodes else ExitCode.DONE


@dataclasses.dataclass(frozen=True)
class _Seen:
    found: list[Finding]
    nodes: list[Symptom]
    logs: Mapping[str, list[str]]
    """The last lines of what is broken, by object."""
    healing: Mapping[str, str]
    """What is done about a component now."""
    states: Mapping[str, ComponentStatus]
    """Each component that was looked at, as `carbon status` tells it."""


async def _examine(platform: Platform, keys: Sequence[str]) -> _Seen:
    async with open_session(settings()) as session:
        chosen = [key for key in platform.order if key in graph.closure(platform.needs, keys)]
        (found, nodes), states = await asyncio.gather(
            examination(platform, keys, session), statuses_in(session, platform, chosen)
        )
        incidents = book_of(settings(), session.cluster_id).incidents(only_open=True)
        healing = {one.component: _healing(one) for one in incidents}
        logs = {}
        for finding in found:
            clean = await redactor(platform.components[finding.component], session)
            for symptom in finding.symptoms:
                if symptom.cause:
                    lines = await last_words(symptom.cause.object, session.api)
                    logs[symptom.object] = [clean(line) for line in lines]
    return _Seen(found, nodes, logs, healing, {one.component.key: one for one in states})


def _healing(incident: Incident) -> str:
    if not incident.attempts:
        return "noticed, and nothing begun yet"
    last = incident.attempts[-1]
    how = "running" if last.came is Came.RUNS else last.came.value
    told = f"{last.remedy}, {how}" if last.number == 1 else f"{last.remedy}, {how}; attempt {last.number}"
    return f"{told}; lost: {'; '.join(incident.lost)}" if incident.lost else told


def _as_json(symptom: Symptom, log: Sequence[str]) -> dict[str, Any]:
    cause = symptom.cause
    return {
        "sign": symptom.sign.value,
        "object": str(cause.object) if cause else symptom.object,
        "kind": cause.kind.value if cause else symptom.sign.value,
        "cause": cause.why if cause else symptom.text,
        "fix": symptom.fix,
        "evidence": [*(cause.evidence if cause else ()), *log],
    }


def _show(found: Sequence[Finding], nodes: Sequence[Symptom], logs: Mapping[str, list[str]]) -> None:
    for symptom in nodes:
        print_wrapped(Text.assemble((symptom.object, "bold red"), f"  {symptom.text}"))
    for finding in found:
        if finding.root:
            because = Text(f"  follows from {finding.root}", style="yellow")
            print_wrapped(Text.assemble((finding.component, "bold"), because))
        else:
            print_wrapped(Text(finding.component, style="bold red"))
        for symptom in finding.symptoms:
            told = _as_json(symptom, logs.get(symptom.object, ()))
            print_wrapped(Text.assemble(f"{told['object']}: ", (told["cause"], "red" if not finding.root else "")), 2)
            for line in told["evidence"]:
                print_wrapped(Text(f"| {line}", style="dim"), 4)
            if symptom.fix:
                print_wrapped(Text.assemble(("fix: ", "bold green"), symptom.fix), 4)
    if not found and not nodes:
        console.print("nothing is broken", style="green")
