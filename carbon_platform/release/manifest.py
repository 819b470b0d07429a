"""The objects of a manifest, exactly as Helm sends them to the API server. Pure."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.errors import CarbonError
from carbon_platform.release.yaml_values import Unreadable, read_document

_DOCUMENT = re.compile(r"^---[ \t]*", re.MULTILINE)
"""Where Helm begins a new one: also in the middle of `---apiVersion: v1`, which charts write by accident."""
_SOURCE = re.compile(r"^# Source: (\S+)", re.MULTILINE)
_MANIFESTS = frozenset({".yaml", ".yml", ".json"})
"""What Helm reads of a chart's crds/: a README beside them is no manifest."""
_HOOK = "helm.sh/hook"


def load_objects(text: str | bytes) -> list[Object]:
    """The objects of a manifest, those in lists of any kind one by one; empty documents are passed over.

    Each has an apiVersion, a kind and a name (but for hooks, which may be named by the API server), and a namespace
    only where one is written. Raises CarbonError, naming the template or document, for anything else.
    """
    found: list[Object] = []
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", "replace")
    for number, document in enumerate(_DOCUMENT.split(text.lstrip())):
        source = _SOURCE.search(document)
        where = source[1] if source else f"document {number}"
        try:
            found += _objects(read_document(document), where)
        except Unreadable as error:
            raise _refused(where, f"it can't be read: {error}") from error
    return found


def crds_of(files: Iterable[Mapping[str, Any]]) -> list[Object]:
    """The objects in the crds/ folder of a stored chart, whose `files` are its names and data in base64."""
    found: list[Object] = []
    for file in files:
        name = str(file.get("name"))
        if name.startswith("crds/") and PurePosixPath(name).suffix.lower() in _MANIFESTS:
            try:
                data = base64.b64decode(file.get("data") or "")
            except (binascii.Error, TypeError) as error:
                raise _refused(name, "the release holds no base64 for it") from error
            found += load_objects(data)
    return found


def _objects(value: Any, where: str) -> Iterator[Object]:
    """What is in a document. Anything with `items` is a list (k8s.io/apimachinery, unstructuredJSONScheme)."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise _refused(where, f"it is no object but a {type(value).__name__}")
    if "items" not in value:
        yield _whole(value, where)
        return
    items = value["items"]
    if not isinstance(items, list | None):
        raise _refused(where, "its `items` are no list")
    kind = str(value.get("kind") or "")
    typed = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
    for item in items or ():
        if not isinstance(item, dict):
            raise _refused(where, f"an item of its {kind or 'list'} is no object")
        told = bool(item.get("apiVersion") or item.get("kind"))
        yield from _objects(item if told else item | typed, where)


def _whole(obj: Object, where: str) -> Object:
    """The object, if it can be known by its kind and name. A namespace that is no text is none."""
    for key in ("apiVersion", "kind"):
        if not isinstance(obj.get(key), str) or not obj[key]:
            raise _refused(where, f"its object has no {key}")
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise _refused(where, f"its {obj['kind']} has no metadata")
    name, hook = metadata.get("name"), _HOOK in (metadata.get("annotations") or ())
    if not hook and (not isinstance(name, str) or not name):
        raise _refused(where, f"its {obj['kind']} has no name by which it could be found again")
    namespace = metadata.get("namespace")
    if "namespace" in metadata and (not isinstance(namespace, str) or not namespace):
        metadata = {key: value for key, value in metadata.items() if key != "namespace"}
    return {**obj, "metadata": metadata}


def _refused(where: str, why: str) -> CarbonError:
    return CarbonError(f"{where} is no Kubernetes manifest", why, "correct the chart or its values")
