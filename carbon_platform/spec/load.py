"""From a folder of defs.yaml files to a Platform, or to every problem in them with file and line."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from carbon_platform.checks.base import Check
from carbon_platform.content.base import Content
from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import Profile, Settings
from carbon_platform.spec import graph, registry
from carbon_platform.spec.component import (
    ATTRIBUTES,
    AssetAttributes,
    ChartRef,
    ContentAttributes,
    DefsFile,
    Overlay,
    ReleaseAttributes,
)
from carbon_platform.spec.fields import UnknownReference, merge, substitute
from carbon_platform.spec.platform import Chart, Component, Platform, Release
from carbon_platform.spec.source import Problem, Source, read

Path_ = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=BaseModel)


@dataclasses.dataclass(frozen=True)
class _Parsed:
    source: Source
    attributes: AssetAttributes


def load_platform(settings: Settings) -> Platform:
    """The platform of `settings.defs` under `settings.profile`.

    Raises ConfigurationError listing every problem of every file, each with file, line and what is allowed.
    """
    parsed: dict[str, _Parsed] = {}
    problems: list[Problem] = []
    for file in sorted(settings.defs.glob("*/defs.yaml")):
        outcome = _parse(file)
        if isinstance(outcome, _Parsed):
            parsed[file.parent.name] = outcome
        else:
            problems.extend(outcome)
    known = {file.parent.name for file in settings.defs.glob("*/defs.yaml")}
    components: dict[str, Component] = {}
    for key, one in parsed.items():
        problems.extend(_unknown_needs(key, one, known))
        resolved = _resolve(key, one, settings)
        if isinstance(resolved, Component):
            components[key] = resolved
        else:
            problems.extend(resolved)
    problems.extend(_cycles(parsed, components))
    problems.extend(_duplicate_releases(parsed, components))
    if problems:
        raise ConfigurationError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the platform's definitions",
            "see each file and line below",
            "correct them; nothing was changed",
            [str(problem) for problem in sorted(problems, key=lambda p: (str(p.file), p.line))],
        )
    if not components:
        raise ConfigurationError(
            f"no component is defined in {settings.defs}", "there is no */defs.yaml", "set CARBON_DEFS to the folder"
        )
    return Platform(settings.profile, components)


def _parse(file: Path) -> _Parsed | list[Problem]:
    source = read(file)
    if isinstance(source, Problem):
        return [source]
    outline = _validate(DefsFile, source.data, source, ())
    if isinstance(outline, list):
        return outline
    kind = ATTRIBUTES.get(outline.type)
    if kind is None:
        text = f"unknown type {outline.type!r}{graph.nearest(outline.type, ATTRIBUTES)} There are: "
        return [source.problem(("type",), text + ", ".join(ATTRIBUTES))]
    attributes = _validate(kind, outline.attributes, source, ("attributes",))
    return attributes if isinstance(attributes, list) else _Parsed(source, attributes)


def _validate(model: type[_Model], data: object, source: Source, at: Path_) -> _Model | list[Problem]:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        return [source.problem((*at, *e["loc"]), _explain(e, model)) for e in error.errors()]


def _explain(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        name, allowed = str(error["loc"][-1]), _keys_at(model, error["loc"][:-1])
        return f"unknown key {where!r}{graph.nearest(name, allowed)} Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _keys_at(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """The keys that the model nested at `loc` takes."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is not None:
            nested = _model_in(field.annotation)
            model = nested or model
    return sorted(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, get_args(annotation)) if m), None)


def _unknown_needs(key: str, one: _Parsed, known: set[str]) -> list[Problem]:
    """Also those of profiles that are not in use now."""
    written: dict[Path_, Sequence[str]] = {("attributes", "needs"): one.attributes.needs}
    if isinstance(one.attributes, ReleaseAttributes):
        for profile, overlay in one.attributes.profiles.items():
            written["attributes", "profiles", profile, "needs"] = overlay.needs or ()
    return [
        one.source.problem(
            (*path, i),
            f"{key} needs {need!r}, which is no component{graph.nearest(need, known)} There are: "
            + ", ".join(sorted(known)),
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


def _resolve(key: str, one: _Parsed, settings: Settings) -> Component | list[Problem]:
    """One component under the profile: overlay merged, references replaced, checks and chart found."""
    attributes, source = one.attributes, one.source
    problems: list[Problem] = []
    overlay, values = Overlay(), {}
    names: dict[str, Any] = {"domain": settings.domain, "profile": settings.profile, "namespace": attributes.namespace}
    if isinstance(attributes, ReleaseAttributes):
        overlay = attributes.profiles.get(settings.profile, Overlay())
        values = merge(attributes.values, overlay.values)
        try:
            names["values"] = values = substitute(values, names)
        except UnknownReference as error:
            own: Path_ = ("attributes", "profiles", settings.profile, "values", *error.path)
            path = own if source.holds(own) else ("attributes", "values", *error.path)
            problems.append(source.problem(path, str(error)))
    checks = _checks(one, names, problems)
    content = _content(one, names, problems)
    release = None
    if isinstance(attributes, ReleaseAttributes):
        release = _release(key, attributes, settings.profile, values, source, problems)
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


def _checks(one: _Parsed, names: Mapping[str, Any], problems: list[Problem]) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    for i, written in enumerate(one.attributes.checks):
        path: Path_ = ("attributes", "checks", i)
        check = _typed(written, registry.check_type, names, one.source, path, problems)
        if not isinstance(check, Check):
            continue
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
    path: Path_ = ("attributes", "content")
    found = _typed(one.attributes.content, registry.content_type, names, one.source, path, problems)
    return found if isinstance(found, Content) else None


def _typed(
    written: Mapping[str, Any],
    find: Any,
    names: Mapping[str, Any],
    source: Source,
    path: Path_,
    problems: list[Problem],
) -> BaseModel | None:
    """The model that `type:` names, validated with the rest of the mapping; None after noting a problem."""
    if "type" not in written:
        problems.append(source.problem(path, "`type` is missing"))
        return None
    try:
        model = find(written["type"])
        found: BaseModel | list[Problem] = _validate(model, substitute(written, names), source, path)
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


def _release(
    key: str,
    attributes: ReleaseAttributes,
    profile: Profile,
    values: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
) -> Release:
    at: Path_ = ("attributes", "chart", "path")
    ref = attributes.chart
    overlay = attributes.profiles.get(profile)
    if overlay is not None and overlay.chart is not None:
        at, ref = ("attributes", "profiles", profile, "chart", "path"), overlay.chart
    folder = _chart_folder(ref, source.file.parent)
    if ref.path is not None and folder is None:
        problems.append(
            source.problem(
                at, f"there is no chart at {ref.path!r} (no {ref.path}/Chart.yaml here or in a folder above)"
            )
        )
    return Release(
        name=attributes.release or key.replace("_", "-"),
        namespace=attributes.namespace,
        namespaces=_unique([attributes.namespace, *attributes.namespaces, *_secret_namespaces(attributes)]),
        chart=Chart(ref, folder),
        values=values,
        stateful=attributes.stateful,
        needs_registry=bool(overlay and overlay.needs_registry),
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
