"""What a shell completes: names of components and environments. Quick, and never an error on the command line."""

from collections.abc import Callable, Iterable

import typer


def environments(incomplete: str) -> list[str]:
    """Names of environments; none where their file is wrong."""

    def known() -> Iterable[str]:
        from carbon_platform.settings import settings

        return settings().all_environments.by_name

    return _matching(incomplete, known)


def components(incomplete: str) -> list[str]:
    """Names of components: folders with a definition, whatever is in it."""

    def known() -> Iterable[str]:
        from carbon_platform.settings import settings
        from carbon_platform.spec.load import definition_files

        return {file.parent.name for file in definition_files(settings())}

    return _matching(incomplete, known)


def more_components(context: typer.Context, incomplete: str) -> list[str]:
    """The same, but those that the command line names already."""
    named = context.params.get("components") or ()
    return [name for name in components(incomplete) if name not in named]


def checks(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the checks of the component that the command line names."""

    def known() -> Iterable[str]:
        from carbon_platform.settings import settings
        from carbon_platform.spec.load import load_platform

        return load_platform(settings()).components[context.params["component"]].checks

    named = context.params.get("checks") or ()
    return [name for name in _matching(incomplete, known) if name not in named]


def _matching(incomplete: str, known: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return sorted(name for name in known() if name.startswith(incomplete))
    except Exception:  # whatever is wrong is told by the command itself, not between its words
        return []
