"""All components at a glance: what is wrong first, one line each, readable on any terminal. Pure."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from carbon_platform.cli.present import COLOURS, one_line
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus

_ORDER = (
    (State.QUARANTINED, State.FAILED, State.DEGRADED),
    (State.DEPLOYING,),
    (State.UNKNOWN, State.ABSENT, State.DEPLOYED, State.READY, State.STALE),
    (State.VERIFIED, State.OFF),
    (State.BLOCKED,),
)
"""What a person looks for first; what waits for something outside comes last."""
_NARROW, _WIDE = 60, 140
"""Columns of a terminal from which there is room for a reason, and for everything."""
_LEAST = 20
"""Columns that a reason has at least; else it has a line of its own."""
_GAP = "  "


def in_order(all_seen: Iterable[ComponentStatus]) -> list[ComponentStatus]:
    """The components, what is wrong first; among equals as they came."""
    rank = {state: number for number, states in enumerate(_ORDER) for state in states}
    return sorted(all_seen, key=lambda seen: rank[seen.state])


def headline(all_seen: Sequence[ComponentStatus]) -> Text:
    """How many are in which state, in the same order."""
    states = [seen.state for seen in all_seen]
    counted = [(state, states.count(state)) for group in _ORDER for state in group if state in states]
    return Text(" · ").join(Text(f"{number} {state.value}", style=COLOURS[state]) for state, number in counted)


def overview(all_seen: Sequence[ComponentStatus], width: int | None) -> list[Text]:
    """The headline, and a line for each component, none longer than `width` columns; None: lines are whole."""
    ordered = in_order(all_seen)
    columns = _columns(ordered, width)
    rows = [[Text(title, style="bold") for title, _ in columns]] if width is None or width >= _NARROW else []
    rows += [[cells[i] for _, cells in columns] for i in range(len(ordered))]
    sizes = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    lines = [headline(ordered)]
    reasons = [Text("REASON", style="bold"), *(_reason(one, wide=len(columns) > 2) for one in ordered)][-len(rows) :]
    for row, reason in zip(rows, reasons, strict=True):
        line = Text(_GAP).join(_padded(cell, size) for cell, size in zip(row, sizes, strict=True))
        lines += _with_reason(line, reason, width)
    return lines


def _columns(ordered: Sequence[ComponentStatus], width: int | None) -> list[tuple[str, list[Text]]]:
    """All columns but the reason."""
    shown = [
        ("COMPONENT", [Text(seen.component.key) for seen in ordered]),
        ("STATE", [Text(seen.state.value, style=COLOURS[seen.state]) for seen in ordered]),
    ]
    if width is None or width >= _WIDE:
        shown += [
            ("PODS", [Text(f"{seen.running}/{seen.total}" if seen.total else "-") for seen in ordered]),
            ("CHECKS", [Text(_checks(seen) or "-") for seen in ordered]),
            ("REV", [Text(str(seen.revision or "-")) for seen in ordered]),
            ("GROUP", [Text(seen.component.group) for seen in ordered]),
            ("ENDPOINT", [Text(_endpoint(seen)) for seen in ordered]),
        ]
    return shown


def _checks(seen: ComponentStatus) -> str:
    return f"{sum(check.passed for check in seen.checks)}/{len(seen.checks)}" if seen.checks else ""


def _endpoint(seen: ComponentStatus) -> str:
    for endpoint in seen.component.endpoints:
        return f"{endpoint.service}.{endpoint.namespace or seen.component.namespace}:{endpoint.port}"
    return "-"


def _reason(seen: ComponentStatus, *, wide: bool) -> Text:
    """Why it is not right, in one line; of what is right, what proves it, unless columns of their own say so."""
    if seen.state is State.VERIFIED:
        if wide:
            return Text()
        pods = f"{seen.running}/{seen.total} pods" if seen.total else ""
        checks = f"{_checks(seen)} checks" if seen.checks else ""
        return Text(", ".join(part for part in (checks, pods) if part), style="dim")
    return Text(one_line(seen.reason))


def _with_reason(line: Text, reason: Text, width: int | None) -> list[Text]:
    if width is None:
        return [_stripped(line + Text(_GAP) + reason)]
    left = width - line.cell_len - len(_GAP)
    if left >= _LEAST:
        return [_stripped(line + Text(_GAP) + cut(reason, left))]
    return [cut(_stripped(line), width), *([cut(Text("    ") + reason, width)] if reason.plain else [])]


def _padded(cell: Text, size: int) -> Text:
    return cell + Text(" " * (size - cell.cell_len))


def _stripped(line: Text) -> Text:
    line.rstrip()
    return line


def cut(text: Text, size: int) -> Text:
    """In one line of so many columns, with a sign that there was more."""
    found = text.copy()
    found.truncate(size, overflow="ellipsis")
    return found
