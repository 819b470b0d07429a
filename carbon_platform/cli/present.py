"""How results look: for people with colours on a terminal, plain when piped, JSON for scripts."""

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from carbon_platform.errors import CarbonError, Interrupted
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.settings import Settings
from carbon_platform.wording import counted

_PIPED_WIDTH = 200
"""Of a table's lines. Nobody sees where a pipe's other lines end: scripts and logs get them whole."""


def _console(*, stderr: bool) -> Console:
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=_PIPED_WIDTH if piped else None, soft_wrap=piped)


console = _console(stderr=False)
errors = _console(stderr=True)

COLOURS: Mapping[State, str] = {
    State.VERIFIED: "green",
    State.READY: "cyan",
    State.DEPLOYED: "cyan",
    State.DEPLOYING: "cyan",
    State.STALE: "yellow",
    State.BLOCKED: "yellow",
    State.UNKNOWN: "yellow",
    State.DEGRADED: "red",
    State.FAILED: "red",
    State.QUARANTINED: "red",
    State.ABSENT: "dim",
    State.OFF: "dim",
}


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_json_line(value: object) -> None:
    """One JSON document on one line of standard output, at once: for who waits for it while this process serves."""
    print(json.dumps(value, default=str), flush=True)


def print_error(error: CarbonError) -> None:
    """An error for a person: what failed, why, what to do."""
    errors.print(Text.assemble(("error: ", "bold red"), error.summary))
    if error.cause:
        errors.print(Text.assemble(("cause: ", "bold"), error.cause))
    for line in error.evidence:
        errors.print(Text(f"  {line}", style="dim"))
    if error.fix:
        errors.print(Text.assemble(("fix:   ", "bold green"), error.fix))


def print_interrupted(error: Interrupted) -> None:
    """What Ctrl-C left, and how to go on."""
    told = f": {error.cause}" if error.cause else ""
    errors.print(Text.assemble((error.summary, "bold yellow"), told))
    for line in error.evidence:
        errors.print(Text(f"  {line}"))
    errors.print(Text.assemble(("go on: ", "bold green"), error.fix))


def again(*words: str) -> str:
    """A command line that does this in the environment of this process."""
    env = os.environ.get("CARBON_ENV", "")
    return shlex.join(["carbon", *(["--env", env] if env else []), *words])


def error_as_json(error: CarbonError) -> dict[str, Any]:
    """An error in the words that all commands share; its evidence where there is any."""
    evidence = {"evidence": list(error.evidence)} if error.evidence else {}
    return {"summary": error.summary, "cause": error.cause, "fix": error.fix, **evidence}


def as_json(seen: ComponentStatus) -> dict[str, Any]:
    """A component in the words that all commands share."""
    component = seen.component
    return {
        "key": component.key,
        "group": component.group,
        "state": seen.state.value,
        "reason": seen.reason,
        "revision": seen.revision,
        "pods": {"running": seen.running, "total": seen.total},
        "checks": [
            {"name": c.name, "passed": c.passed, "detail": c.detail, "at": c.at, "evidence": dict(c.evidence)}
            for c in seen.checks
        ],
        "endpoints": [
            {
                "name": e.name,
                "internal": f"{e.service}.{e.namespace or component.namespace}:{e.port}",
                "external": e.host,
            }
            for e in component.endpoints
        ],
    }


def score(all_seen: Sequence[ComponentStatus]) -> dict[str, Any]:
    """How much of the platform is proven to work, in numbers that a script can compare."""
    critical = [s for s in all_seen if s.component.critical]
    return {
        "verified": sum(s.state is State.VERIFIED for s in all_seen),
        "components": len(all_seen),
        "critical_verified": sum(s.state is State.VERIFIED for s in critical),
        "critical": len(critical),
        "pods_running": sum(s.running for s in all_seen),
        "pods": sum(s.total for s in all_seen),
    }


def report(all_seen: Sequence[ComponentStatus], settings: Settings) -> dict[str, Any]:
    """What `status --json` prints."""
    return {
        "environment": settings.environment.name,
        "cluster": str(settings.environment.cluster),
        "score": score(all_seen),
        "components": [as_json(seen) for seen in all_seen],
    }


def terminal_width() -> int | None:
    """Columns of the terminal; None when standard output is none."""
    return console.width if sys.stdout.isatty() else None


@contextlib.contextmanager
def looking(count: int) -> Iterator[None]:
    """Show on a terminal, while it lasts, that so many components are looked at. Nothing in a pipe."""
    if not errors.is_terminal:
        yield
        return
    with errors.status(f"looking at {counted(count, 'component')}"):
        yield


def one_line(reason: str) -> str:
    """The reason for a state, which may be a whole error, in one line."""
    error = CarbonError.read(reason)
    return error.cause or error.summary


def state_line(seen: ComponentStatus, more: str = "") -> Text:
    """A component with its state and the reason for it, in the words of `carbon status`."""
    reason = one_line(seen.reason) + (f"; {more}" if more else "")
    return Text.assemble((seen.component.key, "bold"), "  ", (seen.state.value, COLOURS[seen.state]), "  ", reason)


def print_wrapped(text: Text, indent: int = 0) -> None:
    """A line for a person. Where a terminal is too narrow it goes on below, further in; in a pipe it is whole."""
    width, at = terminal_width(), " " * indent
    lines = list(text.split("\n", allow_blank=True))
    if width is not None:
        lines = [part for line in lines for part in wrapped(line, max(width - indent, _LEAST))]
    print_lines(Text(at) + line for line in lines)


_LEAST, _HANGING, _TAB = 20, 2, 4


def wrapped(line: Text, width: int) -> Iterable[Text]:
    """The line in as many as it needs to be no wider; those that follow the first are further in."""
    line = line.copy()
    line.expand_tabs(_TAB)
    if line.cell_len <= width:
        yield line
        return
    within = len(line.plain) - len(line.plain.lstrip()) + _HANGING
    first = line.wrap(console, width)[0]
    rest = line[len(first.plain) :]
    first.rstrip()
    yield first
    for part in rest[len(rest.plain) - len(rest.plain.lstrip()) :].wrap(console, max(width - within, _LEAST)):
        part.rstrip()
        yield Text(" " * within) + part


def print_lines(lines: Iterable[Text]) -> None:
    """Lines that are cut to size already."""
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
