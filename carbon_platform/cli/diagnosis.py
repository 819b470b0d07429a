"""What is broken, on one screen: each root with its cause and fix, what follows, what waits for images. Pure."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.overview import cut
from carbon_platform.healing.doctor import Finding
from carbon_platform.healing.symptoms import Symptom, told_cause
from carbon_platform.health.cause import Kind
from carbon_platform.spec import graph

_UNREACHED = re.compile(r'"https?://(?P<host>[\w.-]+)[^"]*": .*?(?P<why>[^:"]+)$')
"""The last clause of what a runtime says of a registry that it could not ask."""
_INDENT = "    "


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What is broken, sorted by what a person has to do about it."""

    roots: tuple[Finding, ...]
    follows: Mapping[str, tuple[str, ...]]
    """What is broken because of a root, by root."""
    waiting: tuple[Finding, ...]
    """What waits for images that no registry gave, and what needs it, where that is no failure."""

    @classmethod
    def of(
        cls, found: Sequence[Finding], excusable: frozenset[str], unverified: Collection[str], needs: graph.Needs
    ) -> "Diagnosis":
        """`excusable`: the components that are blocked, and not broken, where no registry is reached.

        `unverified`: those that never worked; who needs what waits, waits as well.
        """
        waiting = [one for one in found if one.component in excusable and (_images(one) or _waits(one, found))]
        known, below = {one.component for one in found}, [one.component for one in waiting]
        for key in unverified:
            root = next((need for need in below if need in graph.closure(needs, [key])), "")
            waiting += [Finding(key, (), root)] if root and key not in known else []
        others = [one for one in found if one not in waiting]
        roots = tuple(one for one in others if not one.root)
        follows = {
            root.component: tuple(one.component for one in others if one.root == root.component) for root in roots
        }
        return cls(roots, follows, tuple(waiting))

    @property
    def broken(self) -> int:
        """How many components do not work that should."""
        return len(self.roots) + sum(map(len, self.follows.values()))


def _images(finding: Finding) -> list[str]:
    """The images that its pods can't have."""
    causes = [symptom.cause for symptom in finding.symptoms if symptom.cause]
    return list(dict.fromkeys(cause.subject for cause in causes if cause.kind is Kind.IMAGE and cause.subject))


def _waits(finding: Finding, found: Iterable[Finding]) -> bool:
    return any(one.component == finding.root and _images(one) for one in found)


def lines(
    told: Diagnosis, nodes: Sequence[Symptom], total: int, healing: Mapping[str, str], width: int | None
) -> list[Text]:
    """The whole of it, no line longer than `width` columns; None: lines are whole.

    `total`: of components that were looked at. `healing`: what is done about a component now, by its key.
    """
    if not (told.roots or told.waiting or nodes):
        return [Text("nothing is broken", style="green")]
    made = [_headline(told, total)]
    made += [Text.assemble((node.object, "bold red"), f"  {node.text}") for node in nodes]
    for root in told.roots:
        made += _root(root, told.follows[root.component], healing.get(root.component, ""))
    if told.waiting:
        made += _waiting(told.waiting)
    if told.roots or told.waiting:
        made.append(Text("details: carbon doctor NAME", style="dim"))
    return [cut(line, width) if width else line for line in made]


def _headline(told: Diagnosis, total: int) -> Text:
    broken, waiting = told.broken, len(told.waiting)
    parts = [
        (broken, "broken", "red"),
        (waiting, "waiting for images", "yellow"),
        (total - broken - waiting, "fine", "green"),
    ]
    return Text(" · ").join(Text(f"{number} {what}", style=style) for number, what, style in parts if number)


def _root(root: Finding, follows: Sequence[str], healing: str) -> list[Text]:
    first = told_cause(root.symptoms)
    cause = first.cause
    where, why = (str(cause.object), cause.why) if cause else (first.object, first.text)
    made = [Text.assemble((root.component, "bold red"), f"  {where}: {why}")]
    evidence = [line for line in (cause.evidence if cause else ()) if line.strip() and line not in why]
    made += [Text(f"{_INDENT}| {line}", style="dim") for line in evidence[:1]]
    more = len({(s.cause.why if s.cause else s.text) for s in root.symptoms}) - 1
    if more > 0:
        made.append(Text(f"{_INDENT}and {more} more: carbon doctor {root.component}", style="dim"))
    if first.fix:
        made.append(Text.assemble((f"{_INDENT}fix: ", "bold green"), first.fix))
    if healing:
        made.append(Text.assemble((f"{_INDENT}healing: ", "bold"), healing))
    if follows:
        made.append(Text.assemble((f"{_INDENT}follows: ", "bold"), ", ".join(follows)))
    return made


def _waiting(waiting: Sequence[Finding]) -> list[Text]:
    said = [line for one in waiting for symptom in one.symptoms if symptom.cause for line in symptom.cause.evidence]
    match = next((match for line in said if (match := _UNREACHED.search(line))), None)
    why = f" ({match['host']}: {match['why'].strip()})" if match else ""
    made = [Text(f"waiting for images{why}", style="yellow")]
    size = max(len(one.component) for one in waiting)
    for one in waiting:
        images = _images(one)
        count = f"{len(images)} image{'s' if len(images) > 1 else ''}: {', '.join(images)}"
        what = count if images else f"needs {one.root}" if one.root else ""
        made.append(Text(f"{_INDENT}{one.component.ljust(size)}  {what}".rstrip()))
    made.append(Text(f"{_INDENT}when they can be had: carbon up {' '.join(one.component for one in waiting)}"))
    return made
