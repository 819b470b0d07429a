"""The small languages of a defs.yaml: durations, schedules, and `{{ … }}` references."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import durationpy
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from carbon_platform.source import nearest

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(h|m|s|ms))+")
_EXPRESSION = re.compile(r"\{\{\s*([A-Za-z_]\w*)[^{}]*\}\}")
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError("write a duration such as 30s, 5m or 1h30m")  # noqa: TRY004 - pydantic collects ValueError
    if not _DURATION.fullmatch(value):
        # durationpy also knows days, and mm for months: a slip of the finger must not become one.
        raise ValueError(f"{value!r} is no duration; write one such as 30s, 5m or 1h30m")
    try:
        seconds = float(durationpy.from_str(value).total_seconds())
    except (durationpy.DurationError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"{value!r} is no duration; write one such as 30s, 5m or 1h30m") from error
    if seconds <= 0:
        raise ValueError(f"{value!r} is no positive duration; write one such as 30s, 5m or 1h30m")
    return seconds


def _cron(value: str) -> str:
    import datetime

    if len(value.split()) != 5:
        raise ValueError(f"{value!r} is no schedule; write five cron fields, such as '*/15 * * * *'")
    try:
        CronSim(value, datetime.datetime.now(datetime.UTC))
    except CronSimError as error:
        raise ValueError(f"{value!r} is no schedule ({error}); write cron fields, such as '*/15 * * * *'") from error
    return value


Duration = Annotated[
    float,
    PlainValidator(_seconds),
    PlainSerializer(lambda s: f"{s:g}s"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30s", "5m", "1h30m"]}),
]
"""Seconds, written the way Go and Helm write them."""

Cron = Annotated[str, AfterValidator(_cron)]
"""A schedule in five cron fields."""


class UnknownReference(ValueError):
    """A `{{ name }}` that names nothing; `path` is where it stands inside the value."""

    def __init__(self, text: str, path: tuple[str | int, ...]) -> None:
        super().__init__(text)
        self.path = path


class TemplateVarsUnknown(ValueError):
    """The template variables of a file can't be had."""


def substitute(value: Any, names: Mapping[str, Any], path: tuple[str | int, ...] = (), *, only: str = "") -> Any:
    """Replace `{{ a.b }}` by what `names` holds under that dotted path, everywhere inside `value`.

    A string that is one reference and nothing else becomes the referenced value with its type; inside a
    longer string it becomes text. `only`: references that begin so; others are left. Raises UnknownReference with
    what is allowed.
    """
    return _replace(value, _REFERENCE, lambda name: name.startswith(only), lambda m, at: _lookup(m[1], names, at), path)


def heads(value: Any) -> set[str]:
    """The first name of every `{{ … }}` inside `value`, whatever comes after it."""
    found: set[str] = set()

    def note(match: re.Match[str], _: tuple[str | int, ...]) -> str:
        found.add(match[1])
        return match[0]

    _replace(value, _EXPRESSION, lambda _: True, note, ())
    return found


def evaluate(value: Any, names: Collection[str], result: Callable[[str], Any]) -> Any:
    """Replace each `{{ … }}` that begins with one of these names by its `result`, everywhere inside `value`.

    A ValueError of `result` becomes an UnknownReference, which says where that is.
    """

    def one(match: re.Match[str], at: tuple[str | int, ...]) -> Any:
        try:
            return result(match[0])
        except ValueError as error:
            raise UnknownReference(str(error), at) from error

    return _replace(value, _EXPRESSION, lambda name: name in names, one, ())


def _replace(
    value: Any,
    pattern: re.Pattern[str],
    wanted: Callable[[str], bool],
    result: Callable[[re.Match[str], tuple[str | int, ...]], Any],
    path: tuple[str | int, ...],
) -> Any:
    """Each match whose first group is wanted, replaced; one that is all of a text keeps the type of its result."""
    if isinstance(value, str):
        whole = pattern.fullmatch(value.strip())
        if whole and wanted(whole[1]):
            return result(whole, path)
        return pattern.sub(lambda m: str(result(m, path)) if wanted(m[1]) else m[0], value)
    if isinstance(value, Mapping):
        return {k: _replace(v, pattern, wanted, result, (*path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_replace(v, pattern, wanted, result, (*path, i)) for i, v in enumerate(value)]
    return value


_ENVIRONMENT = "env."


def from_environment(value: Any, variables: Mapping[str, str]) -> Any:
    """Replace `{{ env.NAME }}` by the variable, as Dagster does. Raises UnknownReference for one that is not set."""
    return substitute(value, {"env": variables}, only=_ENVIRONMENT)


def _lookup(reference: str, names: Mapping[str, Any], path: tuple[str | int, ...]) -> Any:
    found: Any = names
    for part in reference.split("."):
        if not isinstance(found, Mapping) or part not in found:
            if reference.startswith(_ENVIRONMENT):
                raise UnknownReference(f"environment variable {part} is not set", path)
            near = [key for key in found if isinstance(key, str)] if isinstance(found, Mapping) else []
            known = ", ".join(sorted(names))
            raise UnknownReference(f"{{{{ {reference} }}}} names nothing{nearest(part, near)} There are: {known}", path)
        found = found[part]
    return found


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`overlay` over `base` as Helm merges value files: mappings by key, anything else is replaced.

    A null stays: it tells Helm to remove the key, the chart's own default included.
    """
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged
