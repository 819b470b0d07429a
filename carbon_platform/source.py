"""A YAML file that a person wrote: what it says, and every problem in it with the line where it stands."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from carbon_platform.errors import ConfigurationError
from carbon_platform.wording import counted

Place = tuple[str | int, ...]
"""Where something stands in a file: keys and positions from the outside in."""
_Model = TypeVar("_Model", bound=BaseModel)
_NEAR = 0.7
"""Of difflib's ratio: a typo in a word of five letters or more is above it, another word mostly below."""
_BEGINNING = 3
"""So many letters tell whose beginning they are."""
_RENAMED = {"profiles": "overlays", "profile": "environment"}
"""What has another name than it had in 0.1."""

_Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[misc]
    """Tells the line of a value that has no meaning, such as a date in the thirteenth month."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong in a file, where it stands, and what would be right."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Source:
    """Parsed YAML, and where each part of it stands."""

    file: Path
    data: Any
    node: yaml.Node | None

    def line(self, path: Place) -> int:
        """1-based line of what stands at `path` (of its key, in a mapping); of the nearest parent if nothing does."""
        node, line = self.node, 1
        for part in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        found, line = value, key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = node.value[part]
                line = found.start_mark.line + 1
            if found is None:
                break
            node = found
        return line

    def holds(self, path: Place) -> bool:
        """True when something stands at this very path, not only at a parent of it."""
        found = self.data
        for part in path:
            try:
                found = found[part]
            except (LookupError, TypeError):
                return False
        return True

    def problem(self, path: Place, text: str) -> Problem:
        """A problem at `path`."""
        return Problem(self.file, self.line(path), text)


def read(file: Path) -> Source | Problem:
    """The file's one YAML document, or why it can't be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Problem(file, 1, f"can't be read: {error}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return Problem(file, min(line, len(text.splitlines())), f"not valid YAML: {error.problem}")
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        return Problem(file, line, f"not valid YAML: {error.reason}")
    return Source(file, data, node)


def every_document(file: Path) -> list[Any]:
    """All YAML documents of a file; none when one of them can't be read."""
    try:
        return list(yaml.load_all(file.read_text(encoding="utf-8"), _Loader))
    except (OSError, ValueError, yaml.YAMLError):
        return []


class Strict(BaseModel):
    """Unknown keys are errors: a typo must never be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def validate(model: type[_Model], data: object, source: Source, at: Place) -> _Model | list[Problem]:
    """What `data`, which stands at `at`, says as a `model`; or every problem in it."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        return [source.problem((*at, *e["loc"]), _explain(e, model)) for e in error.errors()]


def refused(problems: Sequence[Problem], where: str) -> ConfigurationError:
    """The error that lists all problems, by file and line."""
    return ConfigurationError(
        f"{counted(len(problems), 'problem')} {where}",
        "see each file and line below",
        "correct them; nothing was changed",
        [str(problem) for problem in sorted(problems, key=lambda p: (str(p.file), p.line))],
    )


def _explain(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        name, allowed = str(error["loc"][-1]), _keys_at(model, error["loc"][:-1])
        return f"unknown key {where!r}{nearest(name, allowed)} Allowed: {', '.join(allowed)}"
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


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `; did you mean X?` for the known one most like it, or a stop.

    Like it is what it is called now, what differs by a typo, has the same letters in another order, or begins with it.
    """
    ordered = sorted(known)
    close = [one for one in ordered if one == _RENAMED.get(name)]
    close += difflib.get_close_matches(name, ordered, n=1, cutoff=_NEAR)
    close += [one for one in ordered if sorted(one) == sorted(name)]
    close += [one for one in ordered if one.startswith(name) and len(name) >= _BEGINNING]
    return f"; did you mean {close[0]!r}?" if close else "."
