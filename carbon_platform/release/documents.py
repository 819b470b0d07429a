"""What Helm prints, document by document: the text, the objects in it, and where it comes from. Pure."""

import dataclasses
import json
import re
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.release.manifest import load_objects

_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)
_SOURCE = re.compile(r"^# Source: (?P<path>.+)$", re.MULTILINE)
_MAY_BE_LIST = re.compile(r"""^[{]|^["']?items["']?[ \t]*:""", re.MULTILINE)
"""A document of YAML with items, or any of JSON, where they may be anywhere."""
_BESIDE_TEMPLATES = re.compile(r"^[^/]+/(charts/[^/]+/)*crds/")


@dataclasses.dataclass(frozen=True)
class Document:
    """One document of a rendered manifest."""

    text: str
    objects: tuple[Object, ...]
    source: str
    """The file of the chart that it was made of, from the chart's own folder downwards."""

    @property
    def beside_templates(self) -> bool:
        """True for what a chart keeps in crds/: Helm makes it once, and never changes or removes it."""
        return bool(_BESIDE_TEMPLATES.match(self.source))


def documents(rendered: str) -> list[Document]:
    """The documents that hold objects, in their order."""
    found, source = [], ""
    for text in _SEPARATOR.split(rendered):
        told = _SOURCE.search(text)
        source = told["path"].strip() if told else source  # a file of crds/ is printed as it is
        objects = tuple(load_objects(text))
        if objects:
            found.append(Document(_readable(text, objects), objects, source))
    return found


def _readable(text: str, objects: Iterable[Object]) -> str:
    """The text, or that of its objects where it is a list: Helm's post-rendering wants metadata in each document."""
    several = list(objects)
    if len(several) == 1 and not _MAY_BE_LIST.search(text):
        return text.strip("\n")
    return "\n---\n".join(json.dumps(obj, default=str) for obj in several)
