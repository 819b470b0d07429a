"""From a folder of defs.yaml files to a Platform, or to every problem in them with file and line."""

import dataclasses
import functools
import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from carbon_platform.checks.base import Check
from carbon_platform.content.base import Content
from carbon_platform.environment import FILE, Environment
from carbon_platform.errors import ConfigurationError
from carbon_platform.project import project_of, project_with
from carbon_platform.settings import Settings
from carbon_platform.source import Place, Problem, Source, every_document, nearest, read, refused, validate
from carbon_platform.spec import graph, registry
from carbon_platform.spec.component import (
    ATTRIBUTES,
    AnyOverlay,
    AssetAttributes,
    ChartRef,
    ContentAttributes,
    DefsFile,
    InstalledAttributes,
    ManifestsAttributes,
    ReleaseAttributes,
)
from carbon_platform.spec.fields import (
    TemplateVarsUnknown,
    UnknownReference,
    evaluate,
    from_environment,
    heads,
    merge,
    substitute,
)
from carbon_platform.spec.manifests import CHART, documents
from carbon_platform.spec.overlay import combine, contradictions
from carbon_platform.spec.platform import Chart, Component, Platform, Release
from carbon_platform.spec.rules import Rules


@dataclasses.dataclass(frozen=True)
class _Parsed:
    source: Source
    attributes: AssetAttributes


def definition_files(settings: Settings) -> list[Path]:
    """The defs.yaml files of all folders that the platform is in; Dagster takes defs.yml as well."""
    return [
        file for folder in settings.definitions for file in sorted(folder.rglob("defs.y*ml")) if file.name in _NAMES
    ]


_NAMES = ("defs.yaml", "defs.yml")


def load_platform(settings: Settings) -> Platform:
    """The platform of `settings.definitions` in `settings.environment`.

    Raises ConfigurationError listing every problem of every file, each with file, line and what is allowed.
    """
    environment = settings.environment
    for folder in settings.definitions:
        if project := project_with(folder):
            project.make_importable()  # its component types are looked up by their names
    outcomes = {file: outcome for file in definition_files(settings) if (outcome := _parse(file)) is not None}
    files, problems = _by_key(list(outcomes), settings)
    parsed: dict[str, _Parsed] = {}
    for key, file in files.items():
        outcome = outcomes[file]
        if isinstance(outcome, _Parsed):
            parsed[key] = outcome
        else:
            problems.extend(outcome)
    if len(parsed) == len(files):
        problems.extend(_unknown_overlays(parsed.values(), environment))
    components: dict[str, Component] = {}
    for key, one in parsed.items():
        problems.extend(_unknown_needs(key, one, set(files)))
        resolved = _resolve(key, one, environment)
        if isinstance(resolved, Component):
            components[key] = resolved
        else:
            problems.extend(resolved)
    problems.extend(_cycles(parsed, components))
    problems.extend(_duplicate_releases(parsed, components))
    if problems:
        raise refused(problems, "in the platform's definitions")
    return Platform(environment.name, components)


def _by_key(found: Sequence[Path], settings: Settings) -> tuple[dict[str, Path], list[Problem]]:
    """The file of each component, alphabetically; and those that define one a second time.

    Raises ConfigurationError for a folder without any, but for a dg project's own, which may hold data assets alone
    that need the components of other folders.
    """
    for folder in settings.definitions:
        if not any(file.is_relative_to(folder) for file in found) and not (found and project_with(folder)):
            raise ConfigurationError(
                f"no component is defined in {folder}",
                "there is no defs.yaml with a type of Carbon's in it",
                "set CARBON_DEFS to the folder" if settings.defs else f"correct `definitions` in {FILE}",
            )
    files: dict[str, Path] = {}
    problems = []
    for file in found:
        key = file.parent.name
        if key in files:
            problems.append(Problem(file, 1, f"component {key!r} is defined by {files[key]} already"))
        files.setdefault(key, file)
    return dict(sorted(files.items())), problems


def _unknown_overlays(parsed: Iterable[_Parsed], environment: Environment) -> list[Problem]:
    """Overlays that the environment names and no component has."""
    known = {name for one in parsed for name in _overlays(one)}
    there = ", ".join(sorted(known)) or "none"
    source, at = environment.source, ("environments", environment.name, "overlays")
    if source is None or not source.holds(at):
        return []
    return [
        source.problem((*at, i), f"no component has an overlay {name!r}{nearest(name, known)} There are: {there}")
        for i, name in enumerate(environment.overlays)
        if name not in known
    ]


def _overlays(one: _Parsed) -> Mapping[str, AnyOverlay]:
    return one.attributes.overlays if isinstance(one.attributes, ReleaseAttributes | ManifestsAttributes) else {}


def _parse(file: Path) -> _Parsed | list[Problem] | None:
    """What a file says, or what is wrong with it; None for one that is a component of something else than Carbon."""
    source = read(file)
    if isinstance(source, Problem):
        return None if _several_of_others(file) else [source]
    written_type = source.data.get("type") if isinstance(source.data, Mapping) else None
    try:
        # Something that is no name is told by the outline.
        kind = _attributes_of(written_type) if isinstance(written_type, str) else AssetAttributes
    except _UnknownType as error:
        return [source.problem(("type",), str(error))]
    if kind is None:
        return None
    outline = validate(DefsFile, source.data, source, ())
    if isinstance(outline, list):
        return outline
    try:
        written = from_environment(outline.attributes, os.environ)
        written = _with_template_vars(written, outline, source)
    except UnknownReference as error:
        return [source.problem(("attributes", *error.path), str(error))]
    except TemplateVarsUnknown as error:
        return [source.problem(("template_vars_module",), str(error))]
    attributes = validate(kind, written, source, ("attributes",))
    return attributes if isinstance(attributes, list) else _Parsed(source, attributes)


def _several_of_others(file: Path) -> bool:
    """True for what Dagster allows in a file, and has nothing to do with Carbon: components one below the other."""
    found = every_document(file)
    return len(found) > 1 and not any(_is_ours(document) for document in found)


def _is_ours(document: object) -> bool:
    named = document.get("type") if isinstance(document, Mapping) else None
    try:
        return isinstance(named, str) and _attributes_of(named) is not None
    except _UnknownType:
        return True


def _with_template_vars(attributes: Mapping[str, Any], outline: DefsFile, source: Source) -> Any:
    """The attributes, with Dagster's template variables evaluated as Dagster does.

    Dagster is imported for that where there may be such variables, and else it is not.
    """
    module = outline.template_vars_module
    anywhere = outline.type not in ATTRIBUTES or _folder_with_variables(source.file)
    if heads(attributes) <= _OWN_NAMES or not (module or (anywhere and project_of(source.file.absolute()))):
        return attributes
    where, _, name = outline.type.rpartition(".")
    component = getattr(importlib.import_module(where), name)
    variables = component.template_variables(source.file, module)
    return evaluate(attributes, variables.names, variables.result)


_OWN_NAMES = {"env", "domain", "environment", "namespace", "values"}


def _folder_with_variables(file: Path) -> bool:
    """Whether a folder above may have template variables for all that is in it."""
    above = [folder / name for folder in file.parent.parents for name in _NAMES]
    found = [read(one) for one in above if one.is_file()]
    return any(isinstance(one, Source) and "template_vars_module" in (one.data or ()) for one in found)


class _UnknownType(ValueError):
    """A `type:` that must be meant for Carbon, and names nothing."""


@functools.cache
def _attributes_of(dotted: str) -> type[AssetAttributes] | None:
    """What a component type takes, of ours or a subclass of one; None for a type that has nothing to do with Carbon.

    Raises _UnknownType for one that is likely to be misspelt.
    """
    if dotted in ATTRIBUTES:
        return ATTRIBUTES[dotted]
    module, _, name = dotted.rpartition(".")
    if dotted.startswith((".", "dagster")):
        return None  # a relative one is a name for Dagster alone
    try:
        found = getattr(importlib.import_module(module), name, None) if module else None
    except Exception:  # a module of somebody else's: Dagster tells what is wrong with it
        found = None
    if found is not None:
        takes = getattr(found, "attributes_model", None)
        return takes if isinstance(takes, type) and issubclass(takes, AssetAttributes) else None
    near = nearest(dotted, ATTRIBUTES)
    if near != _NOTHING_NEAR or dotted.startswith(_OURS):
        raise _UnknownType(f"unknown type {dotted!r}{near} There are: {', '.join(ATTRIBUTES)}")
    return None  # Dagster tells of it, whose component it is


_OURS = "carbon_platform."
_NOTHING_NEAR = "."


def _unknown_needs(key: str, one: _Parsed, known: set[str]) -> list[Problem]:
    """Also those of overlays that are not in use now."""
    written: dict[Place, Sequence[str]] = {("attributes", "needs"): one.attributes.needs}
    for name, overlay in _overlays(one).items():
        written["attributes", "overlays", name, "needs"] = overlay.needs or ()
    return [
        one.source.problem(
            (*path, i),
            f"{key} needs {need!r}, which is no component{nearest(need, known)} There are: " + ", ".join(sorted(known)),
        )
        for path, needs in written.items()
        for i, need in enumerate(needs)
        if need not in known
    ]


def _cycles(parsed: Mapping[str, _Parsed], components: Mapping[str, Component]) -> list[Problem]:
    cycle = graph.find_cycle({key: c.needs for key, c in components.items()})
    if not cycle:
        return []
    path = ("attributes", "needs")
    return [parsed[cycle[0]].source.problem(path, f"components need each other in a circle: {' → '.join(cycle)}")]


def _duplicate_releases(parsed: Mapping[str, _Parsed], components: Mapping[str, Component]) -> list[Problem]:
    owner: dict[tuple[str, str], str] = {}
    problems = []
    for key, component in components.items():
        if component.release:
            name = (component.release.namespace, component.release.name)
            if name in owner:
                text = f"release {name[1]!r} in namespace {name[0]!r} is already that of {owner[name]}"
                problems.append(parsed[key].source.problem(("attributes", "release"), text))
            owner[name] = key
    return problems


def _resolve(key: str, one: _Parsed, environment: Environment) -> Component | list[Problem]:
    """One component in the environment: overlays merged, references replaced, checks and chart found."""
    attributes, source = one.attributes, one.source
    problems = _contradictions(one, environment)
    overlay, by = combine(_overlays(one), environment.overlays)
    names: dict[str, Any] = {
        "domain": environment.domain,
        "environment": environment.name,
        "namespace": attributes.namespace,
    }
    values = {}
    if isinstance(attributes, ReleaseAttributes):
        values = merge(attributes.values, overlay.values)
        try:
            names["values"] = values = substitute(values, names)
        except UnknownReference as error:
            overlaid = [("attributes", "overlays", name, "values", *error.path) for name in environment.overlays]
            path = next(filter(source.holds, reversed(overlaid)), ("attributes", "values", *error.path))
            problems.append(source.problem(path, str(error)))
    checks = _checks(one, names, problems)
    content = _content(one, names, problems)
    release = None
    if isinstance(attributes, ReleaseAttributes):
        at: Place = ("attributes", "overlays", by["chart"]) if overlay.chart else ("attributes",)
        chart = _chart(overlay.chart or attributes.chart, (*at, "chart", "path"), source, problems)
        release = _release(key, attributes, chart, values, needs_registry=overlay.needs_registry)
    elif isinstance(attributes, ManifestsAttributes):
        texts, files = documents(attributes, environment.overlays, names, source, problems)
        release = _release(key, attributes, CHART, {"documents": texts}, files=files)
    endpoints = []
    for i, endpoint in enumerate(attributes.endpoints):
        try:
            endpoints.append(endpoint.model_copy(update={"host": substitute(endpoint.host, names)}))
        except UnknownReference as error:
            problems.append(source.problem(("attributes", "endpoints", i, "host"), str(error)))
    if problems:
        return problems
    return Component(
        key=key,
        file=source.file,
        title=attributes.title,
        description=attributes.description,
        group=attributes.group,
        owners=tuple(attributes.owners),
        kinds=tuple(attributes.kinds),
        critical=attributes.critical,
        namespace=attributes.namespace,
        needs=tuple(overlay.needs if overlay.needs is not None else attributes.needs),
        secrets=tuple(attributes.secrets),
        endpoints=tuple(endpoints),
        checks=checks,
        heal=attributes.heal,
        drift=attributes.drift,
        cron=attributes.verify.cron,
        deadline=attributes.deadline,
        release=release,
        content=content,
    )


def _contradictions(one: _Parsed, environment: Environment) -> list[Problem]:
    return [
        one.source.problem(
            ("attributes", "overlays", found.second, found.key),
            f"overlays {found.first!r} and {found.second!r} of environment {environment.name!r} contradict each other:"
            f" each says another `{found.key}`",
        )
        for found in contradictions(_overlays(one), environment.overlays)
    ]


def _checks(one: _Parsed, names: Mapping[str, Any], problems: list[Problem]) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    for i, written in enumerate(one.attributes.checks):
        path: Place = ("attributes", "checks", i)
        check = _typed(written, registry.check_type, names, one.source, path, problems)
        if not isinstance(check, Check):
            continue
        endpoints = [endpoint.name for endpoint in one.attributes.endpoints]
        problems.extend(one.source.problem((*path, *at), text) for at, text in check.mistakes(endpoints))
        name = check.name or check.type.replace(".", "_")
        if name in checks or name in RESERVED_CHECKS:
            problems.append(one.source.problem(path, f"a check is already called {name!r}; give this one a `name`"))
        checks[name] = check
    return checks


RESERVED_CHECKS = ("ready", "in_sync", "healthy")
"""Names of the checks that every component has."""


def _content(one: _Parsed, names: Mapping[str, Any], problems: list[Problem]) -> Content | None:
    if not isinstance(one.attributes, ContentAttributes):
        return None
    path: Place = ("attributes", "content")
    found = _typed(one.attributes.content, registry.content_type, names, one.source, path, problems)
    return found if isinstance(found, Content) else None


def _typed(
    written: Mapping[str, Any],
    find: Any,
    names: Mapping[str, Any],
    source: Source,
    path: Place,
    problems: list[Problem],
) -> BaseModel | None:
    """The model that `type:` names, validated with the rest of the mapping; None after noting a problem."""
    if "type" not in written:
        problems.append(source.problem(path, "`type` is missing"))
        return None
    try:
        model = find(written["type"])
        found: BaseModel | list[Problem] = validate(model, substitute(written, names), source, path)
    except registry.UnknownType as error:
        problems.append(source.problem((*path, "type"), str(error)))
        return None
    except UnknownReference as error:
        problems.append(source.problem((*path, *error.path), str(error)))
        return None
    if isinstance(found, list):
        problems.extend(found)
        return None
    return found


def _chart(ref: ChartRef, at: Place, source: Source, problems: list[Problem]) -> Chart:
    folder = _chart_folder(ref, source.file.parent)
    if ref.path is not None and folder is None:
        problems.append(
            source.problem(
                at, f"there is no chart at {ref.path!r} (no {ref.path}/Chart.yaml here or in a folder above)"
            )
        )
    return Chart(ref, folder)


def _release(
    key: str,
    attributes: InstalledAttributes,
    chart: Chart,
    values: Mapping[str, Any],
    *,
    needs_registry: bool = False,
    files: tuple[Path, ...] = (),
) -> Release:
    return Release(
        name=attributes.release or key.replace("_", "-"),
        namespace=attributes.namespace,
        namespaces=_unique([attributes.namespace, *attributes.namespaces, *_secret_namespaces(attributes)]),
        chart=chart,
        values=values,
        stateful=attributes.stateful,
        needs_registry=needs_registry,
        files=files,
        rules=Rules(
            ready=attributes.ready,
            left=attributes.leave,
            replaced_by=attributes.replaces_pods,
            idempotent=tuple(attributes.idempotent_jobs),
        ),
    )


def _secret_namespaces(attributes: AssetAttributes) -> Sequence[str]:
    return [secret.namespace for secret in attributes.secrets if secret.namespace]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _chart_folder(ref: ChartRef, start: Path) -> Path | None:
    if ref.path is None:
        return None
    for folder in [start, *start.parents]:
        if (folder / ref.path / "Chart.yaml").is_file():
            return (folder / ref.path).resolve()
    return None
