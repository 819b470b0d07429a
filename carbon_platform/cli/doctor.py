"""`carbon doctor`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from carbon_platform.cli.present import console, print_json
from carbon_platform.healing.doctor import Finding, examination
from carbon_platform.healing.symptoms import Symptom
from carbon_platform.materialization.redact import redactor
from carbon_platform.release.wait import last_words
from carbon_platform.session import open_session
from carbon_platform.settings import settings
from carbon_platform.spec import graph
from carbon_platform.spec.load import load_platform


def run(names: Sequence[str], *, json: bool) -> int:
    """0 when nothing is broken, else 1."""
    found, nodes, logs = asyncio.run(_examine(names))
    if json:
        print_json(
            {
                "nodes": [_as_json(symptom, ()) for symptom in nodes],
                "components": [
                    {
                        "key": finding.component,
                        "root": finding.root or None,
                        "causes": [_as_json(s, logs.get(s.object, ())) for s in finding.symptoms],
                    }
                    for finding in found
                ],
            }
        )
    else:
        _show(found, nodes, logs)
    return 1 if found or nodes else 0


async def _examine(names: Sequence[str]) -> tuple[list[Finding], list[Symptom], dict[str, list[str]]]:
    platform = load_platform(settings())
    keys = graph.select(platform.needs, names)
    async with open_session(settings()) as session:
        found, nodes = await examination(platform, keys, session)
        logs = {}
        for finding in found:
            clean = await redactor(platform.components[finding.component], session)
            for symptom in finding.symptoms:
                if symptom.cause:
                    lines = await last_words(symptom.cause.object, session.api)
                    logs[symptom.object] = [clean(line) for line in lines]
    return found, nodes, logs


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


def _show(found: Sequence[Finding], nodes: Sequence[Symptom], logs: dict[str, list[str]]) -> None:
    for symptom in nodes:
        console.print(Text.assemble((symptom.object, "bold red"), f"  {symptom.text}"))
    for finding in found:
        if finding.root:
            because = Text(f"  follows from {finding.root}", style="yellow")
            console.print(Text.assemble((finding.component, "bold"), because))
        else:
            console.print(Text(finding.component, style="bold red"))
        for symptom in finding.symptoms:
            told = _as_json(symptom, logs.get(symptom.object, ()))
            console.print(Text.assemble(f"  {told['object']}: ", (told["cause"], "red" if not finding.root else "")))
            for line in told["evidence"]:
                console.print(Text(f"    | {line}", style="dim"))
            if symptom.fix:
                console.print(Text.assemble(("    fix: ", "bold green"), symptom.fix))
    if not found and not nodes:
        console.print("nothing is broken", style="green")
