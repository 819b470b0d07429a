"""The order that `needs` gives: closures, cycles, topological order. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from carbon_platform.errors import ConfigurationError
from carbon_platform.source import nearest

Needs = Mapping[str, Sequence[str]]
"""For each component, the components it needs directly."""


def find_cycle(needs: Needs) -> list[str] | None:
    """One cycle as `[a, b, a]`, or None."""
    done: set[str] = set()
    for start in sorted(needs):
        path: dict[str, Iterator[str]] = {} if start in done else {start: iter(needs[start])}
        while path:
            key, rest = next(reversed(path.items()))
            need = next((n for n in rest if n in needs and n not in done), None)
            if need is None:
                done.add(key)
                del path[key]
            elif need in path:
                keys = list(path)
                return [*keys[keys.index(need) :], need]
            else:
                path[need] = iter(needs[need])
    return None


def in_order(needs: Needs) -> list[str]:
    """Every component after what it needs; alphabetical among equals. Expects no cycle."""
    ordered: dict[str, None] = {}
    todo = sorted(needs, reverse=True)
    while todo:
        key = todo[-1]
        waited_for = [need for need in needs[key] if need in needs and need not in ordered]
        if waited_for and key not in ordered:
            todo.append(min(waited_for))
        else:
            ordered[todo.pop()] = None
    return list(ordered)


def closure(needs: Needs, keys: Iterable[str]) -> set[str]:
    """`keys` and everything they need, directly or not."""
    found: set[str] = set()
    todo = list(keys)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo.extend(needs.get(key, ()))
    return found


def dependents(needs: Needs, keys: Iterable[str]) -> set[str]:
    """`keys` and everything that needs them, directly or not."""
    reverse: dict[str, list[str]] = {}
    for key, wanted in needs.items():
        for need in wanted:
            reverse.setdefault(need, []).append(key)
    return closure(reverse, keys)


def select(needs: Needs, names: Sequence[str]) -> list[str]:
    """The named components, all if none is named.

    Raises ConfigurationError for a name that is no component, with the nearest one that is.
    """
    unknown = [name for name in names if name.replace("-", "_") not in needs and name not in needs]
    if unknown:
        raise ConfigurationError(
            f"no component is called {', '.join(map(repr, unknown))}",
            " ".join(f"{name!r} is not a folder of the platform{nearest(name, needs)}" for name in unknown),
            f"name one of: {', '.join(sorted(needs))}",
        )
    return [name if name in needs else name.replace("-", "_") for name in names] or in_order(needs)
