"""The difference of two objects, field by field. Pure."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import group_kind
from carbon_platform.spec.rules import NO_RULES, Rules

ABSENT = object()
LEFT_TO_OTHERS = "carbon/left-to-others"
"""Annotation of an object: fields that its own controller writes too, as patterns of paths with spaces between."""
ABSENT_TEXT = "(absent)"
_SERVER_FIELDS = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
_SERVED_BY_OTHERS = frozenset(
    {f"{kind}WebhookConfiguration.admissionregistration.k8s.io" for kind in ("Validating", "Mutating")}
    | {"CustomResourceDefinition.apiextensions.k8s.io", "APIService.apiregistration.k8s.io"}
)
"""What the API server asks others about; the CA bundle that it trusts is put in by them, or by cert-manager."""
_NO_BUNDLE = (None, "", "Cg==")
"""Cg== is an empty line in base64, for a CRD that must have some bundle."""

Steps = tuple[str, ...]
"""A path in its parts: keys, and list items as `[name]`, or `[index]` where they have no names."""


_CONTEXT = 2
"""Lines of a text told before and after those that differ."""


@dataclasses.dataclass(frozen=True)
class FieldDifference:
    """One field: where it is, what is live, what would be."""

    path: str
    live: str
    desired: str
    texts: tuple[str | None, str | None] | None = dataclasses.field(
        default=None, kw_only=True, repr=False, compare=False
    )
    """Both in full where one is a text of many lines, and no secret; None for one that is not there."""

    @property
    def note(self) -> str:
        """What else is known of it; empty when nothing is."""
        return ""

    @property
    def head(self) -> str:
        """Both values in one line; of a text of many lines only where it is."""
        values = self.path if self.texts else f"{self.path}: {self.live} → {self.desired}"
        return f"{values}  ({self.note})" if self.note else values

    @property
    def lines(self) -> tuple[str, ...]:
        """How a text of many lines differs: each line with `+`, `-` or a space before it, `@@` before each part."""
        if self.texts is None:
            return ()
        live, desired = (() if text is None else text.split("\n") for text in self.texts)
        told = difflib.unified_diff(live, desired, n=_CONTEXT, lineterm="")
        return tuple(map(_printable, told))[2:]  # without the names of two files

    def __str__(self) -> str:
        return "\n  ".join((self.head, *self.lines))


def _printable(line: str) -> str:
    return "".join(sign if sign.isprintable() or sign == "\t" else repr(sign)[1:-1] for sign in line)


@dataclasses.dataclass(frozen=True)
class FieldChange(FieldDifference):
    """One field of a plan."""

    steps: Steps = dataclasses.field(default=(), repr=False, compare=False)
    drawn: bool = False
    """The chart draws it anew at each render: it changes only because something else does."""

    @property
    def note(self) -> str:
        """That it is drawn, where it is."""
        return "drawn anew at each render" if self.drawn else ""


def mark_drawn(fields: Iterable[FieldChange], drawn: Collection[Steps]) -> tuple[FieldChange, ...]:
    """The fields, with those told that are drawn at each render."""
    return tuple(dataclasses.replace(one, drawn=True) if one.steps in drawn else one for one in fields)


def difference(live: Object, desired: Object, rules: Rules = NO_RULES) -> tuple[FieldChange, ...]:
    """Fields in which the two differ; what the server and controllers write is left out, Secret values are hidden.

    So are fields that the desired object leaves to others, by its annotation or its definition (`rules`): a list is
    applied as a whole, and nothing else says that one field of its items is somebody else's.
    """
    hide = group_kind(desired) == "Secret"
    return tuple(
        _field(at, a, b, hidden=hide and _is_value(at))
        for at, a, b in _walk((), _comparable(live), _comparable(desired))
        if not left_to_others(desired, at, rules) and not _filled_in(desired, at, b)
    )


def _field(at: Steps, live: Any, desired: Any, *, hidden: bool) -> FieldChange:
    long = [value for value in (live, desired) if isinstance(value, str) and "\n" in value.rstrip("\n")]
    only_texts = all(isinstance(value, str) or value is ABSENT for value in (live, desired))
    texts = (_text(live), _text(desired)) if long and only_texts and not hidden else None
    return FieldChange(_path(at), _show(live, hidden), _show(desired, hidden), at, texts=texts)


def _text(value: Any) -> str | None:
    return None if value is ABSENT else str(value)


def _filled_in(desired: Object, at: Steps, value: Any) -> bool:
    """True for a field that a controller fills in, which a chart may have to write down empty."""
    kind = group_kind(desired)
    if kind == "ClusterRole.rbac.authorization.k8s.io" and desired.get("aggregationRule"):
        return at[0] == "rules"
    return at[-1] == "caBundle" and kind in _SERVED_BY_OTHERS and (value is ABSENT or value in _NO_BUNDLE)


def left_to_others(desired: Object, at: Steps, rules: Rules = NO_RULES) -> bool:
    """True when the object says by its annotation that a field is not its own, or its definition does."""
    annotations = desired.get("metadata", {}).get("annotations")
    patterns = str(annotations.get(LEFT_TO_OTHERS, "") if isinstance(annotations, Mapping) else "").split()
    return any(fnmatch.fnmatchcase(_path(at), pattern) for pattern in (*patterns, *rules.left_of(desired)))


def _is_value(at: Steps) -> bool:
    # kubectl leaves a copy of what it applied in an annotation.
    return at[0] in {"data", "stringData"} or at[:2] == ("metadata", "annotations")


def _path(steps: Steps) -> str:
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).removeprefix(".")


def _comparable(obj: Object) -> Object:
    kept = {k: v for k, v in obj.items() if k != "status"}
    kept["metadata"] = {k: v for k, v in obj.get("metadata", {}).items() if k not in _SERVER_FIELDS}
    return kept


def _walk(at: Steps, live: Any, desired: Any) -> Iterator[tuple[Steps, Any, Any]]:
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        for key in sorted({*live, *desired}):
            yield from _walk((*at, str(key)), live.get(key, ABSENT), desired.get(key, ABSENT))
        return
    here, there = _items(live), _items(desired)
    if here is not None and there is not None and _in_one_order(list(here), list(there)):
        for name in dict.fromkeys((*here, *there)):
            yield from _walk((*at, f"[{name}]"), here.get(name, ABSENT), there.get(name, ABSENT))
    elif isinstance(live, list) and isinstance(desired, list) and len(live) == len(desired):
        for i, (a, b) in enumerate(zip(live, desired, strict=True)):
            yield from _walk((*at, f"[{i}]"), a, b)
    elif live != desired:
        yield at, live, desired


def _items(value: Any) -> Mapping[str, Any] | None:
    """The items of a list by their names, which is how people find them; None where not each has a name of its own."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    by_name = {str(item["name"]): item for item in value if "name" in item}
    return by_name if len(by_name) == len(value) else None


def _in_one_order(here: list[str], there: list[str]) -> bool:
    both = {*here} & {*there}
    return [name for name in here if name in both] == [name for name in there if name in both]


def _show(value: Any, hidden: bool) -> str:
    if value is ABSENT:
        return ABSENT_TEXT
    if hidden:
        return "(hidden)"
    text = value if isinstance(value, str) and "\n" not in value else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"
