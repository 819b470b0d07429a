"""The overlays of one definition that an environment names, as one."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carbon_platform.spec.component import AnyOverlay, Overlay
from carbon_platform.spec.fields import merge

_WHOLE = ("chart", "needs", "needs_registry")
"""What an overlay replaces as a whole."""


@dataclasses.dataclass(frozen=True)
class Contradiction:
    """Two overlays that replace the same differently: the order alone would decide, and nobody would see it."""

    key: str
    first: str
    second: str


def combine(written: Mapping[str, AnyOverlay], order: Sequence[str]) -> tuple[Overlay, dict[str, str]]:
    """Those of `written` that `order` names, as one; and which of them says each key that is replaced as a whole.

    Values are merged as Helm merges value files: what a later one says wins.
    """
    values: Mapping[str, Any] = {}
    whole: dict[str, Any] = {}
    by: dict[str, str] = {}
    for name in order:
        overlay = written.get(name, AnyOverlay())
        values = merge(values, overlay.values) if isinstance(overlay, Overlay) else values
        for key in overlay.model_fields_set.intersection(_WHOLE):
            whole[key], by[key] = getattr(overlay, key), name
    return Overlay(values=values, **whole), by


def contradictions(written: Mapping[str, AnyOverlay], order: Sequence[str]) -> Iterator[Contradiction]:
    """Every key that two of those that `order` names replace differently."""
    for key in _WHOLE:
        said = {name: getattr(written[name], key) for name in order if key in _said(written, name)}
        first, *others = said or [""]
        yield from (Contradiction(key, first, other) for other in others if said[other] != said[first])


def _said(written: Mapping[str, AnyOverlay], name: str) -> set[str]:
    return written[name].model_fields_set if name in written else set()
