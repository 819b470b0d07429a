"""What is broken, on one screen: each root with its cause and fix, what follows, what waits for images. Pure."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.text import Text

from carbon_platform.cli.overview import cut
from carbon_platform.cli.present import wrapped
from carbon_platform.healing.doctor import Finding
from carbon_platform.healing.symptoms import DIFFERS, Symptom, told_cause
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.state import State, fine
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.spec import graph
from carbon_platform.wording import counted

_UNREACHED = re.compile(r'"https?://(?P<host>[\w.-]+)[^"]*": .*?(?P<why>[^:"]+)$')
"""The last clause of what a runtime says of a registry that it could not ask."""
_INDENT = "    "


@dataclasses.dataclass(frozen=True)
class Root:
    """One fault, told once: of one component, or of several that have it in common."""

    components: tuple[str, ...]
    symptom: Symptom
    """The one that says why."""
    more: int = 0
    """Other things that are wrong with the component, where it is one."""
    follows: tuple[str, ...] = ()
    """What is broken because of it."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What is broken, sorted by what a person has to do about it."""

    findings: tuple[Finding, ...]
    """Every component that is broken or waits."""
    roots: tuple[Root, ...]
    of_nodes: Mapping[str, tuple[str, ...]]
    """What is broken because a node is, by the node's name as its symptom has it."""
    waiting: tuple[Finding, ...]
    """What is blocked where that is no failure: it waits for images that no registry gave, or needs what does."""
    unverified: tuple[str, ...]
    """What is not broken, and not verified: not installed, or changed since."""

    @classmethod
    def of(
        cls,
        found: Iterable[Finding],
        nodes: Iterable[Symptom],
        states: Mapping[str, ComponentStatus],
        excused: Collection[str],
        needs: graph.Needs,
    ) -> "Diagnosis":
        """`states`: of every component that was looked at, in the platform's order, as `carbon status` tells them."""
        off = {key for key, one in states.items() if one.state is State.OFF}
        told = [one for one in found if one.component not in off or any(s.sign in DIFFERS for s in one.symptoms)]
        blocked = [key for key, one in states.items() if one.state is State.BLOCKED]
        known = {one.component for one in told}
        told += [Finding(key, (), _lowest(key, [*known, *blocked], needs)) for key in blocked if key not in known]
        waiting = [one for one in told if one.component in excused and one.component in blocked]
        broken = [one for one in told if one not in waiting]
        silent = {node.object: _by_node(broken, node) for node in nodes}
        apart = {key for keys in silent.values() for key in keys}
        roots = _roots([one for one in broken if not one.root and one.component not in apart])
        known = {one.component for one in told}
        unverified = [key for key, one in states.items() if key not in known and not fine(one.state, excused=False)]
        return cls(
            tuple(told),
            tuple(dataclasses.replace(root, follows=_follow(root.components, broken)) for root in roots),
            {node: (*keys, *_follow(keys, broken)) for node, keys in silent.items()},
            tuple(waiting),
            tuple(unverified),
        )

    @property
    def broken(self) -> int:
        """How many components do not work that should."""
        return len(self.findings) - len(self.waiting)


def _lowest(key: str, broken: Collection[str], needs: graph.Needs) -> str:
    below = graph.closure(needs, [key]) - {key}
    return next((other for other in graph.in_order(needs) if other in below and other in broken), "")


def _by_node(broken: Iterable[Finding], node: Symptom) -> tuple[str, ...]:
    """Of what is its own root, that which is not ready only because the node is silent."""
    causes = {one.component: told_cause(one.symptoms).cause for one in broken if not one.root}
    return tuple(key for key, cause in causes.items() if cause and _of(cause, node))


def _of(cause: Cause, node: Symptom) -> bool:
    return cause.kind is Kind.NODE and str(cause.object) == node.object


def _follow(roots: Collection[str], broken: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(one.component for one in broken if one.root in roots)


def _roots(findings: Sequence[Finding]) -> list[Root]:
    """Each fault once: one that several components have in common is told of all of them."""
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        alike.setdefault(_fault(one), []).append(one)
    return [
        Root(tuple(one.component for one in those), told_cause(those[0].symptoms), _more(those))
        for those in alike.values()
    ]


def _fault(finding: Finding) -> tuple[str, ...]:
    """The same for components that lack the same thing; what nobody told a cause of is the component's own."""
    cause = told_cause(finding.symptoms).cause
    if cause is None:
        return (finding.component,)
    if cause.kind is Kind.IMAGE:
        return (cause.kind, cause.subject)
    return (cause.kind, cause.object.namespace, cause.subject or cause.why)


def _more(those: Sequence[Finding]) -> int:
    """Other things that are wrong, where it is one component's fault."""
    return len({(s.cause.why if s.cause else s.text) for s in those[0].symptoms}) - 1 if len(those) == 1 else 0


def _images(finding: Finding) -> list[str]:
    """The images that its pods can't have."""
    causes = [symptom.cause for symptom in finding.symptoms if symptom.cause]
    return list(dict.fromkeys(cause.subject for cause in causes if cause.kind is Kind.IMAGE and cause.subject))


def lines(
    told: Diagnosis, nodes: Sequence[Symptom], total: int, healing: Mapping[str, str], width: int | None
) -> list[Text]:
    """The whole of it, no line longer than `width` columns; None: each thing told is one line.

    `total`: of components that were looked at. `healing`: what is done about a component now, by its key.
    """
    if not (told.findings or nodes):
        return [Text("nothing is broken", style="green"), *_unverified(told)]
    made = [_headline(told, total)]
    for node in nodes:
        made += _node(node, told.of_nodes[node.object])
    for root in told.roots:
        made += _root(root, healing)
    if told.waiting:
        made += _waiting(told.waiting)
    made += _unverified(told)
    made.append(Text("details: carbon doctor NAME", style="dim"))
    return [part for line in made for part in _fitted(line, width)]


def _fitted(line: Text, width: int | None) -> Iterable[Text]:
    """What is to be done is never cut; of what is said besides, a line is enough."""
    if width is None:
        return [line]
    return [cut(line, width)] if line.no_wrap else wrapped(line, width)


def _headline(told: Diagnosis, total: int) -> Text:
    broken, waiting, unverified = told.broken, len(told.waiting), len(told.unverified)
    parts = [
        (broken, "broken", "red"),
        (waiting, "waiting for images", "yellow"),
        (unverified, "not verified", "yellow"),
        (total - broken - waiting - unverified, "fine", "green"),
    ]
    return Text(" · ").join(Text(f"{number} {what}", style=style) for number, what, style in parts if number)


def _unverified(told: Diagnosis) -> list[Text]:
    those = ", ".join(told.unverified)
    return [Text(f"not verified: {those} (carbon status says why)", style="yellow")] if those else []


def _node(node: Symptom, follows: Sequence[str]) -> list[Text]:
    return [Text.assemble((node.object, "bold red"), f"  {node.text}"), *_fix(node.fix), *_consequences(follows)]


def _root(root: Root, healing: Mapping[str, str]) -> list[Text]:
    made = [Text.assemble((", ".join(root.components), "bold red"), f"  {_what(root)}")]
    cause = root.symptom.cause
    evidence = [line for line in cause.evidence if line.strip() and line not in cause.why] if cause else []
    made += [Text(f"{_INDENT}| {line}", style="dim", no_wrap=True) for line in evidence[:1]]
    if root.more > 0:
        made.append(Text(f"{_INDENT}and {root.more} more: carbon doctor {root.components[0]}", style="dim"))
    made += _fix(root.symptom.fix)
    done = [f"{key}: {healing[key]}" for key in root.components if key in healing]
    if done:
        one = len(root.components) == 1
        told = healing[root.components[0]] if one else "; ".join(done)
        made.append(Text.assemble((f"{_INDENT}healing: ", "bold"), told))
    return made + _consequences(root.follows)


def _what(root: Root) -> str:
    cause = root.symptom.cause
    if cause is None:
        return f"{root.symptom.object}: {root.symptom.text}"
    if len(root.components) > 1 and cause.subject:
        return f"{cause.kind}: {cause.subject}"
    return f"{cause.object}: {cause.why}"


def _fix(fix: str) -> list[Text]:
    return [Text.assemble((f"{_INDENT}fix: ", "bold green"), fix)] if fix else []


def _consequences(follows: Sequence[str]) -> list[Text]:
    return [Text.assemble((f"{_INDENT}follows: ", "bold"), ", ".join(follows))] if follows else []


def _waiting(waiting: Sequence[Finding]) -> list[Text]:
    said = [line for one in waiting for symptom in one.symptoms if symptom.cause for line in symptom.cause.evidence]
    match = next((match for line in said if (match := _UNREACHED.search(line))), None)
    why = f" ({match['host']}: {match['why'].strip()})" if match else ""
    made = [Text(f"waiting for images{why}", style="yellow")]
    size = max(len(one.component) for one in waiting)
    for one in waiting:
        images = _images(one)
        count = f"{counted(len(images), 'image')}: {', '.join(images)}"
        what = count if images else f"needs {one.root}" if one.root else told_cause(one.symptoms).text
        made.append(Text(f"{_INDENT}{one.component.ljust(size)}  {what}".rstrip(), no_wrap=True))
    made.append(Text(f"{_INDENT}once they can be pulled: carbon up {' '.join(one.component for one in waiting)}"))
    return made
