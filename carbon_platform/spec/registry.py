"""Which check and content types there are, found by name without importing their client libraries."""

import functools
import importlib
import pkgutil
from typing import Any, TypeVar

from pydantic import BaseModel

import carbon_platform.checks
import carbon_platform.content
from carbon_platform.checks.base import Check
from carbon_platform.content.base import Content
from carbon_platform.source import nearest

_Model = TypeVar("_Model", bound=BaseModel)


class UnknownType(ValueError):
    """A `type:` that names nothing; the message says what there is."""


@functools.cache
def _modules(package: str) -> tuple[str, ...]:
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return tuple(m.name for m in found if m.name != "base")


def _table(package: str, module: str, attribute: str) -> dict[str, Any]:
    return getattr(importlib.import_module(f"{package}.{module}"), attribute, {})


def _find(package: str, attribute: str, kind: str, dotted: object) -> Any:
    module, _, name = str(dotted).partition(".")
    if module in _modules(package):
        found = _table(package, module, attribute).get(name)
        if found is not None:
            return found
    known = _all(package, attribute)
    raise UnknownType(f"unknown {kind} {dotted!r}{nearest(str(dotted), known)} There are: {', '.join(sorted(known))}")


def _all(package: str, attribute: str) -> dict[str, Any]:
    return {
        f"{module}.{name}": found
        for module in _modules(package)
        for name, found in _table(package, module, attribute).items()
    }


def check_types() -> dict[str, type[Check]]:
    """Every check class, by the name it is written with."""
    return _all(carbon_platform.checks.__name__, "CHECKS")


def content_types() -> dict[str, type[Content]]:
    """Every content class, by the name it is written with."""
    return _all(carbon_platform.content.__name__, "CONTENT")


def check_type(dotted: object) -> type[Check]:
    """The check class written as `module.name`. Raises UnknownType with what there is."""
    found: type[Check] = _find(carbon_platform.checks.__name__, "CHECKS", "check", dotted)
    return found


def content_type(dotted: object) -> type[Content]:
    """The content class written as `module.name`. Raises UnknownType with what there is."""
    found: type[Content] = _find(carbon_platform.content.__name__, "CONTENT", "content", dotted)
    return found
