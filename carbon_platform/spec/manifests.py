"""The objects of a `Manifests` component: those written in its defs.yaml, and those of files beside it, as text.

They become a release of a chart that prints them as they are: Helm then reads each number as it was written, which
it would not of values.
"""

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.cluster.resources import group_of
from carbon_platform.source import Place, Problem, Source
from carbon_platform.spec.component import ChartRef, ManifestsAttributes
from carbon_platform.spec.fields import UnknownReference, merge, substitute
from carbon_platform.spec.platform import Chart

_FOLDER = Path(__file__).parent / "manifests_chart"
CHART = Chart(ChartRef(path=str(_FOLDER)), _FOLDER)
_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)
_COMMENTS = re.compile(r"\A(?:[ \t]*(?:#.*)?\n)+")
_Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Key = tuple[str, str, str, str]
"""Which object: group, kind, namespace, name."""


def documents(
    attributes: ManifestsAttributes,
    overlays: Sequence[str],
    names: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
) -> tuple[list[str], tuple[Path, ...]]:
    """The text of every object in the environment, and the files read; what is wrong is added to `problems`.

    An object of an overlay is merged over that of the same kind and name, or comes in addition.
    """
    said: list[tuple[Place, Sequence[Mapping[str, Any]]]] = [(("attributes", "objects"), attributes.objects)]
    files: list[tuple[Place, str]] = [(("attributes", "files", i), glob) for i, glob in enumerate(attributes.files)]
    for name in overlays:
        if name in attributes.overlays:
            at: Place = ("attributes", "overlays", name)
            said.append(((*at, "objects"), attributes.overlays[name].objects))
            files += [((*at, "files", i), glob) for i, glob in enumerate(attributes.overlays[name].files)]
    found: dict[_Key, Mapping[str, Any]] = {}
    for place, objects in said:
        for key, obj in _written(place, objects, names, source, problems):
            found[key] = merge(found[key], obj) if key in found else obj
    texts = [_as_json(obj) for obj in found.values()]
    known = {key: str(source.file) for key in found}
    read: list[Path] = []
    for place, glob in files:
        there = sorted(path for path in source.file.parent.glob(glob) if path.is_file())
        if not there:
            problems.append(source.problem(place, f"no file is at {glob!r}, seen from {source.file.parent}"))
        for file in there:
            texts += _of_file(file, known, problems)
        read += there
    if not texts and not problems:
        problems.append(source.problem(("attributes",), "there is no object: give `objects` or `files`"))
    return texts, tuple(read)


def _written(
    place: Place,
    objects: Sequence[Mapping[str, Any]],
    names: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
) -> Iterator[tuple[_Key, Mapping[str, Any]]]:
    """The objects at a place of the defs.yaml, references replaced; one of a kind and name only once."""
    seen: dict[_Key, int] = {}
    for i, written in enumerate(objects):
        try:
            obj = substitute(written, names)
        except UnknownReference as error:
            problems.append(source.problem((*place, i, *error.path), str(error)))
            continue
        metadata = obj.get("metadata")
        name, namespace = (
            metadata.get(key) if isinstance(metadata, Mapping) else None for key in ("name", "namespace")
        )
        key = _key(obj.get("apiVersion"), obj.get("kind"), namespace, name)
        if key is None:
            problems.append(source.problem((*place, i), _LACKS))
            continue
        if key in seen:
            problems.append(
                source.problem((*place, i), f"{key[1]} {key[3]} is here already, as number {seen[key] + 1}")
            )
        seen.setdefault(key, i)
        yield key, obj


_LACKS = "not an object: it needs apiVersion, kind and metadata.name, each a text"


def _key(api_version: object, kind: object, namespace: object, name: object) -> _Key | None:
    if not (isinstance(api_version, str) and isinstance(kind, str) and isinstance(name, str)):
        return None
    return group_of(api_version), kind, namespace if isinstance(namespace, str) else "", name


_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML takes in an escape only; JSON has none for what is beyond 16 bits that YAML would take."""


def _as_json(obj: Mapping[str, Any]) -> str:
    text = json.dumps(obj, default=_told, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _told(value: object) -> str:
    """A time as it is written; YAML makes more of it."""
    assert isinstance(value, datetime.date), "YAML makes nothing else that JSON lacks"
    return value.isoformat().replace("+00:00", "Z")


def _of_file(file: Path, known: dict[_Key, str], problems: list[Problem]) -> Iterator[str]:
    """The documents of a file, without the comments before them."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(file, 1, f"can't be read: {error}"))
        return
    begins = [0, *(found.end() for found in _SEPARATOR.finditer(text))]
    ends = [*(found.start() for found in _SEPARATOR.finditer(text)), len(text)]
    for begin, end in zip(begins, ends, strict=True):
        document, before = text[begin:end], text[:begin].count("\n")
        comments = _COMMENTS.match(document)
        skipped = comments.end() if comments else 0
        before += document[:skipped].count("\n")
        document = document[skipped:].rstrip()
        problem = _wrong(document, file, before, known)
        if problem:
            problems.append(problem)
        elif document:
            yield document


def _wrong(document: str, file: Path, before: int, known: dict[_Key, str]) -> Problem | None:
    """What is wrong with one document, of which so many lines are `before`."""
    try:
        node = yaml.compose(document, Loader=_Fastest)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        return Problem(file, before + 1 + line, f"not valid YAML: {error.problem}")
    except yaml.reader.ReaderError as error:
        return Problem(file, before + 1, f"not valid YAML: {error.reason}")
    if node is None:
        return None
    top = _members(node)
    if _text(top.get("kind"), "").endswith("List") and "items" in top:
        return None
    metadata = _members(top.get("metadata"))
    parts = [_text(one) for one in (top.get("apiVersion"), top.get("kind"), *map(metadata.get, ("namespace", "name")))]
    key = _key(*parts)
    line = before + 1 + node.start_mark.line
    if key is None:
        return Problem(file, line, _LACKS)
    if key in known:
        return Problem(file, line, f"{key[1]} {key[3]} is already in {known[key]}")
    known[key] = str(file)
    return None


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _text(node: yaml.Node | None, otherwise: str | None = None) -> Any:
    return node.value if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" else otherwise
