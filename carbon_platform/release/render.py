"""Desired objects of a release: rendered once for each digest, then read from the cache."""

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.release.helm import Helm
from carbon_platform.spec.platform import Component, Release

_FORMAT = "1"
"""Part of the cache key: raise it when what is cached changes shape."""


@dataclasses.dataclass(frozen=True)
class Desired:
    """What a release should be."""

    crds: tuple[Object, ...]
    objects: tuple[Object, ...]
    """Everything else but hooks, each with the namespace, label and annotations that Helm gives it."""


async def render(component: Component, helm: Helm, api: Api, cache: Path) -> Desired:
    """The objects that the component's chart makes of its values.

    Raises HelmFailed when the chart can't be rendered. The cache holds them by digest of chart, values and Helm
    program; only its owner can read it, as charts may render Secrets.
    """
    release = component.release
    if release is None:
        return Desired((), ())
    program = helm.program().stat()
    key = f"{_FORMAT} {component.digest} {program.st_size} {program.st_mtime_ns}"
    file = cache / "renders" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    try:
        rendered = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        rendered = await helm.template(release)
        _store(file, rendered)
    return await as_helm_writes(rendered, release, api)


def _store(file: Path, rendered: list[Object]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(rendered, out, default=str)
    Path(temporary).replace(file)


async def as_helm_writes(rendered: list[Object], release: Release, api: Api) -> Desired:
    """Sort out CRDs and hooks, and add what Helm adds when it applies: else every object would look drifted."""
    crds: list[Object] = []
    objects: list[Object] = []
    for obj in _flatten(rendered):
        metadata = obj.setdefault("metadata", {})
        annotations = metadata.get("annotations") or {}
        if "helm.sh/hook" in annotations:
            continue
        try:
            namespaced = (await api.resource(obj["apiVersion"], obj["kind"])).namespaced
        except MissingKind:
            # Its CRD comes with this or another release; custom resources without a namespace are rare.
            namespaced = True
        if namespaced:
            metadata.setdefault("namespace", release.namespace)
        metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
        owner = {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
        metadata["annotations"] = {**annotations, **owner}
        # Also those of crds/, which can't be told from those of templates/: Helm refuses one of these without them.
        (crds if obj["kind"] == "CustomResourceDefinition" else objects).append(obj)
    return Desired(tuple(crds), tuple(objects))


def _flatten(rendered: list[Object]) -> list[Object]:
    flat: list[Object] = []
    for obj in rendered:
        flat.extend(obj.get("items") or () if obj["kind"] == "List" else [obj])
    return flat
