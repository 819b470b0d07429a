"""Who set which field of a live object, as the API server keeps it in its managedFields. Pure."""

import copy
import dataclasses
import functools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import group_kind
from carbon_platform.cluster.shape import readable
from carbon_platform.release.difference import Steps, left_to_others
from carbon_platform.spec.rules import NO_RULES, Rules

Path = tuple[str, ...]
"""Where a field is, in the steps of FieldsV1: `f:name`, `k:{"name":"x"}`, `v:"x"` or `i:3`."""

HELM_MANAGER = "helm"
"""The field manager Helm 4 applies as: a dry run must claim the same fields."""
_OURS = re.compile(r"helm|carbon(-.*)?", re.IGNORECASE)
_CONTROLLERS = re.compile(
    r"kube-.+|kubelet|manager|before-first-apply"
    r"|(.+-)?(controller|operator|provisioner|cainjector|scheduler|autoscaler|recommender|updater)(-.+)?"
)
"""Field managers that are programs of the cluster; controller-runtime calls itself `manager` where nobody says more,
and what was there before anybody was noted is nobody's addition."""
_METADATA = (("f:metadata", "f:labels"), ("f:metadata", "f:annotations"))
_BY_TOOLS = re.compile(
    r"f:(kubectl\.kubernetes\.io/(restartedAt|last-applied-configuration)|deployment\.kubernetes\.io/revision"
    r"|autoscaling\.alpha\.kubernetes\.io/.*)"
)
"""Annotations that tools leave behind: they say what was done, and want nothing."""
_METADATA_ONLY = frozenset(
    {"Secret", "PersistentVolumeClaim", "PersistentVolume", "Namespace"}
    | {"CustomResourceDefinition.apiextensions.k8s.io"}
)
"""What programs add to these is data, such as a key they made for themselves: nothing could put it back."""


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who set a field, and when (RFC 3339)."""

    manager: str
    at: str

    @property
    def ours(self) -> bool:
        """True for Helm and Carbon."""
        return bool(_OURS.fullmatch(self.manager))


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One entry of managedFields."""

    written: Mapping[str, Any]

    @property
    def owner(self) -> Owner:
        return Owner(self.written.get("manager", ""), self.written.get("time", ""))

    @property
    def subresource(self) -> str:
        return str(self.written.get("subresource", ""))

    @functools.cached_property
    def fields(self) -> frozenset[Path]:
        return frozenset(_members(self.written.get("fieldsV1") or {}, ()))

    @property
    def known(self) -> bool:
        """True for Helm, Carbon and the cluster's controllers."""
        return self.owner.ours or bool(_CONTROLLERS.fullmatch(self.owner.manager))


def writers(live: Object, rules: Rules = NO_RULES) -> list[Owner]:
    """Who wrote to an object besides Helm, Carbon, the cluster's controllers and whoever reports its status.

    `rules`: whose writes are welcome.
    """
    theirs = [one for one in _entries(live) if not one.known and one.subresource != "status"]
    return [one.owner for one in theirs if one.owner.manager not in rules.managers]


def _entries(obj: Object) -> list[_Entry]:
    return [_Entry(written) for written in readable(obj)["metadata"].get("managedFields") or ()]


def _members(fields: Mapping[str, Any], at: Path) -> Iterator[Path]:
    for step, inner in fields.items():
        if step == ".":
            yield at
        elif inner and isinstance(inner, Mapping):
            yield from _members(inner, (*at, step))
        else:
            yield (*at, step)


def additions(obj: Object, rules: Rules = NO_RULES) -> tuple[Path, ...]:
    """What somebody added to an object beside what Helm, Carbon and the cluster's controllers own.

    `obj` is the object as Helm's apply leaves it (a dry run's answer): whatever the release sets is Helm's there.
    Each path is the topmost one that nobody else has a part in. `rules`: whose additions are welcome, and where.
    """
    entries = _entries(obj)
    theirs = [e for e in entries if not e.subresource and not e.known and e.owner.manager not in rules.managers]
    if not theirs:
        return ()
    kept = {path for entry in entries if entry not in theirs for path in entry.fields}
    foreign: set[Path] = set()
    for entry in theirs:
        # Paths of another version of the kind may mean something else in this one.
        same = entry.written.get("apiVersion") == obj["apiVersion"]
        counted = {
            path for path in entry.fields if same and _counts(path, group_kind(obj)) and not _left(obj, path, rules)
        }
        foreign |= counted
        kept |= entry.fields - counted
    shared = {path[:length] for path in kept for length in range(len(path) + 1)}
    there = _topmost(path for path in foreign - shared if _find(obj, path) is not None)
    return tuple(_topmost([*there, *_emptied(obj, there, shared)]))


def _topmost(paths: Iterable[Path]) -> list[Path]:
    """Without the paths that are a part of another one."""
    chosen: list[Path] = []
    for path in sorted(paths, key=lambda p: (len(p), p)):
        if not any(path[: len(above)] == above for above in chosen):
            chosen.append(path)
    return chosen


def _emptied(obj: Object, paths: Iterable[Path], shared: Collection[Path]) -> Iterator[Path]:
    """What would be left empty without these, and belongs to nobody else."""
    left = without(obj, paths)
    for path in paths:
        above = path[:-1]
        while above and above not in shared and (place := _find(left, above)) and not place[0][place[1]]:
            yield above
            left = without(left, [above])
            above = above[:-1]


def _counts(path: Path, kind: str) -> bool:
    # A CA bundle is put in by whatever program serves behind it.
    if path[0] == "f:status" or path[-1] == "f:caBundle":
        return False
    if path[-2:-1] == ("f:annotations",) and _BY_TOOLS.fullmatch(path[-1]):
        return False
    return path[:2] in _METADATA if path[0] == "f:metadata" else kind not in _METADATA_ONLY


def _left(obj: Object, path: Path, rules: Rules) -> bool:
    return any(left_to_others(obj, steps, rules) for steps in _told(obj, path))


def without(obj: Object, paths: Iterable[Path]) -> Object:
    """A copy of the object that lacks these fields and list items; what is not there is no matter."""
    left = copy.deepcopy(obj)
    for path in paths:
        place = _find(left, path)
        if place is not None:
            container, key = place
            del container[key]
    return left


def _find(obj: Any, path: Path) -> tuple[Any, Any] | None:
    """The container of what is at `path` and its key in it; None when nothing is there."""
    container, key = None, None
    here = obj
    for step in path:
        container, key = here, _key(here, step)
        if key is None:
            return None
        here = container[key]
    return container, key


def _key(container: Any, step: str) -> str | int | None:
    kind, _, rest = step.partition(":")
    if kind == "f":
        return rest if isinstance(container, Mapping) and rest in container else None
    if kind not in {"i", "v", "k"} or not isinstance(container, list):
        return None
    wanted = json.loads(rest)
    if kind == "i":
        return wanted if wanted < len(container) else None
    for index, item in enumerate(container):
        if kind == "v" and item == wanted:
            return index
        if kind == "k" and isinstance(item, Mapping) and all(item.get(k) == v for k, v in wanted.items()):
            return index
    return None


def written_by_us_alone(live: Object) -> Mapping[str, Any] | None:
    """The FieldsV1 that Helm applied; None when it applied none, or when somebody else has written to the object.

    Whoever reports its status has not.
    """
    applied: list[Mapping[str, Any]] = []
    for entry in _entries(live):
        if not entry.owner.ours and entry.subresource != "status":
            return None
        same = entry.written.get("apiVersion") == live["apiVersion"]
        if entry.owner.manager == HELM_MANAGER and entry.written.get("operation") == "Apply" and same:
            applied.append(entry.written.get("fieldsV1") or {})
    return applied[0] if len(applied) == 1 else None


def same_key(item: Any, step: str) -> bool:
    """True when a desired list item may be the one that a `k:` step means; what it leaves to the server may be any."""
    wanted = json.loads(step.removeprefix("k:"))
    return isinstance(item, Mapping) and all(item.get(key, value) == value for key, value in wanted.items())


def autoscaled(live: Object) -> bool:
    """True when a controller of the cluster sets the object's replicas, as a HorizontalPodAutoscaler has it do."""
    return any(
        entry.subresource == "scale" and entry.known and ("f:spec", "f:replicas") in entry.fields
        for entry in _entries(live)
    )


Owners = Mapping[Steps, Owner]
"""Who set each field last, by where a difference tells it."""


def owners(live: Object) -> Owners:
    """Who set each field of a live object last: Helm and Carbon only where nobody else has a part."""
    found: dict[Steps, Owner] = {}
    for entry in sorted(_entries(live), key=lambda e: (not e.owner.ours, e.owner.at)):
        for path in entry.fields:
            for steps in _told(live, path):
                found[steps] = entry.owner
    return found


def _told(live: Object, path: Path) -> list[Steps]:
    """The path as a difference tells it: list items by name, or by their place."""
    told: list[Steps] = [()]
    here: Any = live
    for step in path:
        key = _key(here, step)
        if key is None:
            return []
        here = here[key]
        names = [str(key)]
        if isinstance(key, int):
            names = [f"[{key}]", *([f"[{here['name']}]"] if isinstance(here, Mapping) and "name" in here else [])]
        told = [(*steps, name) for steps in told for name in names]
    return told


def owner(owned: Owners, steps: Steps) -> Owner | None:
    """Who set what is there last: itself, what it is a part of, or the newest of its parts. None when nobody knows."""
    for length in range(len(steps), 0, -1):
        if steps[:length] in owned:
            return owned[steps[:length]]
    below = [who for place, who in owned.items() if place[: len(steps)] == steps]
    return max(below, key=lambda who: (not who.ours, who.at), default=None)
