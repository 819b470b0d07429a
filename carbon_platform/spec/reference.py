"""What a defs.yaml may say, as tables for people: made from the models that validate it, so that they can't differ.

`python -m carbon_platform.spec.reference FILE…` puts the tables between the marks of a Markdown file.
"""

import enum
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from carbon_platform.checks.base import Check
from carbon_platform.spec import registry

_MARKS = re.compile(r"(<!-- (?P<name>\w+): made by [^>]*-->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)
_NAMES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Any": "anything"}
_BOUNDS = ((Ge, "ge", "from {}"), (Gt, "gt", "over {}"), (Le, "le", "up to {}"), (Lt, "lt", "under {}"))


def renewed(text: str) -> str:
    """The text of a Markdown file with the tables between its marks made anew. Raises KeyError for an unknown mark."""
    made: Mapping[str, Callable[[], str]] = {"checks": checks, "content": content}
    return _MARKS.sub(lambda mark: f"{mark[1]}\n{made[mark['name']]()}\n{mark[3]}", text)


def checks() -> str:
    """Every check type: what a pass proves, how, and its keys."""
    return _sections(registry.check_types())


def content() -> str:
    """Every content type: what it is, and its keys."""
    return _sections(registry.content_types())


def _sections(found: Mapping[str, type[BaseModel]]) -> str:
    parts, modules = [], set[str]()
    for dotted, model in sorted(found.items()):
        module = dotted.partition(".")[0]
        if module not in modules:
            modules.add(module)
            parts.append(f"### {module}\n")
        parts.append("\n".join(_section(dotted, model)))
    return "\n".join(parts)


def _section(dotted: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"#### `{dotted}`\n"
    summary = getattr(model, "summary", "")
    if summary:
        yield f"**A pass proves:** {summary}\n" if issubclass(model, Check) else f"{summary}\n"
    told = inspect.cleandoc(model.__doc__ or "")
    if told and told != summary:
        yield f"{told}\n"
    yield from _table({name: field for name, field in model.model_fields.items() if not _common(name, field)})
    for inner, names in _nested(model).items():
        yield f"Each of {', '.join(f'`{name}`' for name in names)}:\n"
        yield from _table(inner.model_fields)


def _common(name: str, field: FieldInfo) -> bool:
    """True for a key that every check takes with the same default: told once, not with each."""
    base = Check.model_fields.get(name)
    return name == "type" or (base is not None and base.default == field.default)


def _nested(
    model: type[BaseModel], into: dict[type[BaseModel], list[str]] | None = None
) -> Mapping[type[BaseModel], list[str]]:
    """The models inside a model, each once, with the keys that take it."""
    found: dict[type[BaseModel], list[str]] = {} if into is None else into
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            new = inner not in found
            names = found.setdefault(inner, [])
            if (key := field.alias or name) not in names:
                names.append(key)
            if new:
                _nested(inner, found)
    return found


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _table(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    if not fields:
        yield "It takes no keys of its own.\n"
        return
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for name, field in fields.items():
        cells = (f"`{field.alias or name}`", _value(field), _default(field), field.description or "")
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _cell(text: str) -> str:
    # Also what would be read as a link: bucket[16](column).
    return text.replace("|", "\\|").replace("\n", " ").replace("](", "]\\(")


def _value(field: FieldInfo) -> str:
    schema = next((one.json_schema or {} for one in field.metadata if isinstance(one, WithJsonSchema)), None)
    kind = _kind(field.annotation) if schema is None else "text such as " + ", ".join(schema.get("examples") or ())
    return ", ".join([kind, *_bounds(field.metadata)])


def _kind(annotation: object) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(one) for one in inner if one is not type(None))
    if origin in {list, tuple}:
        return f"list of {_kind(inner[0])}"
    if origin is dict or annotation is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__.lower()
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    name = getattr(annotation, "__name__", str(annotation))
    return _NAMES.get(name, name)


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    for one in metadata:
        for kind, attribute, words in _BOUNDS:
            if isinstance(one, kind):
                yield words.format(getattr(one, attribute))
        if isinstance(one, MinLen):
            yield "not empty"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None or field.default in (None, ""):
        return "none"
    if field.default is PydanticUndefined:
        return "**required**"
    shown = {True: "true", False: "false"}.get(field.default) if isinstance(field.default, bool) else field.default
    return f"`{shown}`"


def main(files: list[str]) -> None:
    """Make the tables of these files anew."""
    for file in map(Path, files):
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
