"""Expressions in CEL, the language of Kubernetes' own rules: read when a definition is loaded, evaluated later.

The library is Google's own implementation. It is imported by whoever has an expression, not at start.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel_expr_python import cel

_REFUSED = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<text>.*)")
_CONTAINER = " (in container '')"
_INSERTED = re.compile(r"\$\{(?P<expression>[^{}]*)\}")


class WrongExpression(ValueError):
    """No CEL, or about a name that there is not; the message says what and where."""


class NoValue(ValueError):
    """The expression is right, and has no value for what it was given; the message says why."""


def check(source: str, names: Iterable[str], *, condition: bool = False) -> None:
    """See that `source` is an expression over these names (`a` or `a.b`); a `condition` is true or false.

    Raises WrongExpression.
    """
    kind = _compiled(source, frozenset(names)).return_type().name()
    if condition and kind not in {"BOOL", "DYN"}:
        raise WrongExpression(f"{source!r} is {kind.lower()}, and must be true or false")


def evaluate(source: str, values: Mapping[str, Any]) -> Any:
    """What `source` comes to, as plain Python. Raises WrongExpression, or NoValue."""
    found = _compiled(source, frozenset(values)).eval(data=dict(values))
    if found.type().name() == "ERROR":
        raise NoValue(str(found.value()).partition(": ")[2] or str(found.value()))
    return found.plain_value()


def holds(source: str, values: Mapping[str, Any]) -> bool:
    """True when the condition is met. Raises WrongExpression, or NoValue, also for what is neither true nor false."""
    found = evaluate(source, values)
    if not isinstance(found, bool):
        raise NoValue(f"it is {found!r}, neither true nor false")
    return found


def inserted(text: str) -> Iterator[str]:
    """The expressions in a text that stand as `${…}`."""
    for found in _INSERTED.finditer(text):
        yield found["expression"]


def fill(text: str, values: Mapping[str, Any], shown: Callable[[str], str] = str) -> str:
    """The text with each `${expression}` replaced by what it comes to, as `shown`. Raises as `evaluate`."""
    return _INSERTED.sub(lambda found: shown(_text(evaluate(found["expression"], values))), text)


def fill_all(value: Any, values: Mapping[str, Any]) -> Any:
    """The value with all its texts filled; a text that is one `${expression}` alone becomes its value, with its type.

    Raises as `evaluate`.
    """
    if isinstance(value, str):
        alone = _INSERTED.fullmatch(value)
        return evaluate(alone["expression"], values) if alone else fill(value, values)
    if isinstance(value, Mapping):
        return {key: fill_all(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [fill_all(one, values) for one in value]
    return value


def texts(value: Any) -> Iterator[str]:
    """Every text inside a value of mappings and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@functools.cache
def _compiled(source: str, names: frozenset[str]) -> "cel.Expression":
    try:
        return _environment(names).compile(source)
    except RuntimeError as error:  # what the library has for every refusal
        raise WrongExpression(_refusal(source, str(error))) from None


@functools.cache
def _environment(names: frozenset[str]) -> "cel.Env":
    from cel_expr_python import cel

    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))


def _refusal(source: str, told: str) -> str:
    found = _REFUSED.search(told)
    if not found:
        return f"{source!r} is no expression: {told.splitlines()[0]}"
    return f"{source!r}: {found['text'].replace(_CONTAINER, '')} (character {found['column']})"
