"""What a release should be: the manifest that was applied while its inputs are the same, else a new render.

Charts draw passwords, ask what is live and what the cluster can: rendering again tells what Helm would do *now*, which
is not what it did. So a new render is made only when an input has changed, and what it would change beside what is
drawn anew at each render decides whether there is anything to do.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.release.difference import Steps, difference
from carbon_platform.release.documents import Document, documents
from carbon_platform.release.helm import Helm
from carbon_platform.release.history import Revision
from carbon_platform.release.inputs import Inputs, asks_the_cluster, counts, draws, inputs
from carbon_platform.release.place import place
from carbon_platform.spec.platform import Component, Release
from carbon_platform.spec.rules import NO_RULES, Rules

_FORMAT = "2"
"""Part of every name in the cache: raise it when what is cached changes shape."""

_NOTHING = "# nothing\n"
"""With no text at all, Helm would apply a render of its own: namespaces, and what follows from kinds made before."""

Drawn = Mapping[ObjectName, frozenset[Steps]]
"""For each object, the fields that are others at each render."""


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A new render: what Helm is to apply, exactly."""

    text: str
    """The manifest, hooks included, in Helm's own words."""
    inputs: Inputs
    upgrade: bool = False
    """True where there is a revision to upgrade."""
    hooks: tuple[Object, ...] = ()
    drawn: Drawn = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Desired:
    """What a release should be."""

    first: tuple[Object, ...]
    """Applied by Carbon before all else, and never deleted by Helm: files of crds/, and namespaces."""
    objects: tuple[Object, ...]
    """Everything else but hooks, each with the namespace, label and annotations that Helm gives it."""
    revision: Revision | None = None
    """The newest revision when this was told; None when the release is not installed."""
    rendered: Rendered | None = None
    """None when it is what that revision applied: then there is nothing new for Helm."""
    rules: Rules = NO_RULES
    """What the definition says of the objects; none of it is in them."""

    @property
    def everything(self) -> tuple[Object, ...]:
        """All objects, in the order in which they are applied."""
        return (*self.first, *self.objects)


async def desired_of(
    component: Component, revision: Revision | None, helm: Helm, api: Api, cache: Path, *, anew: bool = False
) -> Desired:
    """What the component's definition makes of the release whose newest revision is `revision`.

    `anew`: a person wants a new render whatever was rendered before. Raises HelmFailed when the chart can't be
    rendered for this cluster. The cache can be read by its owner only, as charts may render Secrets.
    """
    release = component.release
    if release is None:
        return Desired((), ())
    asks = asks_the_cluster(release)
    now = inputs(release, helm.identity(), await api.capabilities() if asks else "")
    deployed = revision if revision is not None and revision.status == "deployed" else None
    verdict = cache / "renders" / f"{_name('same', deployed.uid if deployed else '', now)}.json"
    if deployed and not anew and (deployed.inputs == now or verdict.exists()):
        return await stored(component, deployed, api, cache)
    text = await _render(release, now, helm, cache, upgrade=revision is not None, server=asks)
    found = await _as_applied(text, now, component, revision, api, cache)
    if deployed is None or anew:
        return found
    before = await stored(component, deployed, api, cache)
    ran = tuple(await place(deployed.hooks, release.namespace, api))
    assert found.rendered is not None, "it was rendered"
    if _says(found, before, ran, {}):
        _store(verdict, [])
        return before
    if draws(release):
        other = await helm.template(release, upgrade=True, server=asks)
        again = await _as_applied(other, now, component, revision, api, cache)
        assert again.rendered is not None, "it was rendered"
        drawn = drawn_between(
            (*found.objects, *_named(found.rendered.hooks)), (*again.objects, *_named(again.rendered.hooks))
        )
        if _says(found, before, ran, drawn):
            _store(verdict, [])
            return before
        found = dataclasses.replace(found, rendered=dataclasses.replace(found.rendered, drawn=drawn))
    return found


def _says(found: Desired, before: Desired, ran: Sequence[Object], drawn: Drawn) -> bool:
    """True when a new render says what was applied, and what was run beside it, but for what is drawn."""
    hooks = found.rendered.hooks if found.rendered else ()
    return (
        _same(found.objects, before.objects, drawn)
        and _same(found.first, before.first, {})
        and _same(_named(hooks), _named(ran), drawn)
    )


def _named(hooks: Iterable[Object]) -> list[Object]:
    """Hooks that are not named by the API server: those are others each time."""
    return [hook for hook in hooks if hook["metadata"].get("name")]


async def stored(component: Component, revision: Revision, api: Api, cache: Path) -> Desired:
    """What a revision applied. What Carbon applied before it is known from the chart, while that is the same."""
    release = component.release
    assert release is not None, "only releases have revisions"
    objects = await place(_own(revision.applied), release.namespace, api)
    known = _read(_first_of(release, cache))
    of_now = revision.inputs is None or revision.inputs.definition == inputs(release, "", "").definition
    first: list[Object] = known if isinstance(known, list) and of_now else revision.crds()
    placed = await place(first, release.namespace, api)
    return Desired(_as_carbon_writes(placed), _as_helm_writes(objects, release), revision, rules=component.rules)


async def _as_applied(
    text: str, made_of: Inputs, component: Component, revision: Revision | None, api: Api, cache: Path
) -> Desired:
    """A render, sorted into what Carbon applies by itself, what Helm applies, and what Helm runs."""
    release = component.release
    assert release is not None, "only releases are rendered"
    had = {(n.kind, n.name) for n in revision.objects() if n.kind == "Namespace"} if revision else set()
    first: list[Object] = []
    theirs: list[Document] = []
    for document in documents(text):
        own = document.beside_templates or (
            document.objects and all(_is_namespace(obj) and _key(obj) not in had for obj in document.objects)
        )
        if own:
            first.extend(document.objects)
        else:
            theirs.append(document)
    _store(_first_of(release, cache), first)
    objects = [obj for document in theirs for obj in document.objects]
    hooks = tuple(await place([obj for obj in objects if is_hook(obj)], release.namespace, api))
    return Desired(
        _as_carbon_writes(await place(first, release.namespace, api)),
        _as_helm_writes(await place(_own(objects), release.namespace, api), release),
        revision,
        Rendered(
            "\n---\n".join(document.text for document in theirs) or _NOTHING, made_of, revision is not None, hooks
        ),
        component.rules,
    )


def is_hook(obj: Object) -> bool:
    """True for what Helm runs beside a release, and does not keep."""
    return "helm.sh/hook" in ((obj.get("metadata") or {}).get("annotations") or {})


def _own(objects: Iterable[Object]) -> list[Object]:
    return [obj for obj in objects if not is_hook(obj)]


def _is_namespace(obj: Object) -> bool:
    # Helm would refuse one that is there already, and delete it, with all that is in it, with the release.
    return obj["apiVersion"] == "v1" and obj["kind"] == "Namespace" and not is_hook(obj)


def _key(obj: Object) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


_BY_HELM = {"app.kubernetes.io/managed-by": "Helm"}


def _as_helm_writes(objects: Iterable[Object], release: Release) -> tuple[Object, ...]:
    """With what Helm adds when it applies: else every object would look drifted."""
    owner = {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
    return tuple(_marked(obj, _BY_HELM, owner) for obj in objects)


def _as_carbon_writes(objects: Iterable[Object]) -> tuple[Object, ...]:
    """Without a release's mark: several may bring the same. Kinds are labelled, to be found among all others."""
    return tuple(obj if _is_namespace(obj) else _marked(obj, _BY_HELM, {}) for obj in objects)


def _marked(obj: Object, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Object:
    metadata = obj.get("metadata") or {}
    marks = {"labels": {**(metadata.get("labels") or {}), **labels}}
    if annotations:
        marks["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    return {**obj, "metadata": {**metadata, **marks}}


def drawn_between(one: Sequence[Object], other: Sequence[Object]) -> Drawn:
    """The fields in which two renders of the same inputs differ."""
    pairs, _ = _pairs(one, other)
    found = {ObjectName.of(obj): _differing(obj, twin) for obj, twin in pairs if twin}
    return {name: fields for name, fields in found.items() if fields}


def _same(one: Sequence[Object], other: Sequence[Object], drawn: Drawn) -> bool:
    """True when the two make the same, but for what is drawn."""
    pairs, left = _pairs(one, other)
    return not left and all(
        twin is not None and _differing(obj, twin) <= drawn.get(ObjectName.of(obj), frozenset()) for obj, twin in pairs
    )


def _differing(one: Object, other: Object) -> frozenset[Steps]:
    return frozenset(field.steps for field in difference(one, other))


def _pairs(one: Sequence[Object], other: Sequence[Object]) -> tuple[list[tuple[Object, Object | None]], list[Object]]:
    """Each object with what it is in the other render, and what of that is left.

    That is the one of its name; where there is none, as names are drawn too, that of its kind which is most like it.
    """
    second = {ObjectName.of(obj): obj for obj in other}
    pairs: list[tuple[Object, Object | None]] = [(obj, second.pop(ObjectName.of(obj), None)) for obj in one]
    for index, (obj, twin) in enumerate(pairs):
        alike = [name for name in second if twin is None and name.group_kind == group_kind(obj)]
        if alike:
            likest = min(alike, key=lambda name: len(_differing(obj, second[name])))
            pairs[index] = obj, second.pop(likest)
    return pairs, list(second.values())


async def _render(release: Release, made_of: Inputs, helm: Helm, cache: Path, *, upgrade: bool, server: bool) -> str:
    """Helm's words; from the cache where they were the same for every cluster and revision."""
    counted = upgrade and counts(release)
    keep = not (server or counted)
    file = cache / "renders" / f"{_name('render', str(upgrade), made_of)}.json"
    if keep:
        known = _read(file)
        if isinstance(known, str):
            return known
    text = await helm.template(release, upgrade=upgrade, server=server, counted=counted)
    if keep:
        _store(file, text)
    return text


def _name(what: str, of: str, made_of: Inputs) -> str:
    key = f"{_FORMAT} {what} {of} {made_of.definition} {made_of.environment}"
    return hashlib.sha256(key.encode()).hexdigest()


def _first_of(release: Release, cache: Path) -> Path:
    key = f"{_FORMAT} first {inputs(release, '', '').definition}"
    return cache / "renders" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _store(file: Path, content: object) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(content, out, default=str)
    Path(temporary).replace(file)
