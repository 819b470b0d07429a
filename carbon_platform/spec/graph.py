"""The order that `needs` gives: closures, cycles, topological order. Pure."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from carbon_platform.errors import ConfigurationError

Needs = Mapping[str, Sequence[str]]
"""For each component, the components it needs directly."""


def find_cycle(needs: Needs) -> list[str] | None:
    """One cycle as `[a, b, a]`, or None."""
    done: set[str] = set()
    path: list[str] = []

    def visit(key: str) -> list[str] | None:
        if key in path:
            return [*path[path.index(key) :], key]
        if key in done or key not in needs:
            return None
        path.append(key)
        for need in needs[key]:
            cycle = visit(need)
            if cycle:
                return cycle
        done.add(path.pop())
        return None

    for key in sorted(needs):
        cycle = visit(key)
        if cycle:
            return cycle
    return None


def in_order(needs: Needs) -> list[str]:
    """Every component after what it needs; alphabetical among equals. Expects no cycle."""
    ordered: dict[str, None] = {}

    def place(key: str) -> None:
        if key in ordered or key not in needs:
            return
        for need in sorted(needs[key]):
            place(need)
        ordered[key] = None

    for key in sorted(needs):
        place(key)
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


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `; did you mean X?` for the known one most like it, or a stop."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."


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
