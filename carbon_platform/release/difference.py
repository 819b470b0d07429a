"""The difference of two objects, field by field. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object

ABSENT = object()
_SERVER_FIELDS = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}


@dataclasses.dataclass(frozen=True)
class FieldChange:
    """One field: where it is, what is live, what would be."""

    path: str
    live: str
    desired: str

    def __str__(self) -> str:
        return f"{self.path}: {self.live} → {self.desired}"


def difference(live: Object, desired: Object) -> tuple[FieldChange, ...]:
    """Fields in which the two differ; what the server writes by itself is left out, Secret values are hidden."""
    hide = desired.get("kind") == "Secret"
    return tuple(
        FieldChange(path, _show(a, hide and _is_value(path)), _show(b, hide and _is_value(path)))
        for path, a, b in _walk("", _comparable(live), _comparable(desired))
    )


def _is_value(path: str) -> bool:
    # kubectl leaves a copy of what it applied in an annotation.
    return path.startswith(("data", "stringData", "metadata.annotations"))


def _comparable(obj: Object) -> Object:
    kept = {k: v for k, v in obj.items() if k != "status"}
    kept["metadata"] = {k: v for k, v in obj.get("metadata", {}).items() if k not in _SERVER_FIELDS}
    return kept


def _walk(path: str, live: Any, desired: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        for key in sorted({*live, *desired}):
            inner = f"{path}.{key}" if path else str(key)
            yield from _walk(inner, live.get(key, ABSENT), desired.get(key, ABSENT))
    elif isinstance(live, list) and isinstance(desired, list) and len(live) == len(desired):
        for i, (a, b) in enumerate(zip(live, desired, strict=True)):
            yield from _walk(f"{path}[{_item(a, b, i)}]", a, b)
    elif live != desired:
        yield path, live, desired


def _item(live: Any, desired: Any, index: int) -> str:
    """List items are told by their name where both have the same one: that is how people find them."""
    if isinstance(live, Mapping) and isinstance(desired, Mapping) and live.get("name") == desired.get("name", ABSENT):
        return str(live["name"])
    return str(index)


def _show(value: Any, hidden: bool) -> str:
    if value is ABSENT:
        return "(absent)"
    if hidden:
        return "(hidden)"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"
