"""Versions of what a component is made of, and which of them would go back. Pure."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import pod_specs

_VERSION = re.compile(r"(?P<prefix>(?:[a-z]+[-_.])*)v?(?P<numbers>\d+(?:[._-]\d+)*)(?P<rest>.*)", re.IGNORECASE)
_PRERELEASE = re.compile(
    r"[-._]?(alpha|beta|a|b|rc|pre|preview|dev|snapshot|m|cr)[-._]?\d{0,3}([-._+].*)?", re.IGNORECASE
)
_SEPARATED = re.compile(r"[-._+t].*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Versions:
    """What a component was, or would be, made of; what nobody knows is empty."""

    chart: str = ""
    app: str = ""
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Tag by container and repository, as `postgres/postgresql`; the last part of the repository's path counts, so
    that a mirror of it is no other one."""


def versions(chart: Mapping[str, object], objects: Iterable[Object]) -> Versions:
    """Of a chart, by its Chart.yaml, and of the objects it makes."""
    images: dict[str, str] = {}
    for key, tag in _tags(objects):
        if key not in images or lower(images[key], tag):
            images[key] = tag
    return Versions(str(chart.get("version") or ""), str(chart.get("appVersion") or ""), dict(sorted(images.items())))


def downgrades(before: Versions, after: Versions) -> list[str]:
    """What would go back, each with both versions. What can't be compared says nothing."""
    pairs = [("chart version", before.chart, after.chart), ("app version", before.app, after.app)]
    pairs += [(f"image of {key}", tag, after.images[key]) for key, tag in before.images.items() if key in after.images]
    return [f"{what} {old} → {new}" for what, old, new in pairs if lower(new, old)]


def lower(one: str, other: str) -> bool:
    """True when both are versions that can be compared, and `one` is the lower of them.

    Compared are numbers, as far as both have them: `16` may be `16.2`. `latest`, names and digests say nothing, nor do
    versions with different words before the number. A release candidate is lower than its release.
    """
    a, b = _parsed(one), _parsed(other)
    if a is None or b is None or a.prefix != b.prefix:
        return False
    common = min(len(a.numbers), len(b.numbers))
    if a.numbers[:common] != b.numbers[:common]:
        return a.numbers[:common] < b.numbers[:common]
    return len(a.numbers) == len(b.numbers) and a.prerelease and not b.prerelease


@dataclasses.dataclass(frozen=True)
class _Version:
    prefix: str
    numbers: tuple[int, ...]
    prerelease: bool


def _parsed(text: str) -> _Version | None:
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    rest = match["rest"]
    prerelease = bool(_PRERELEASE.fullmatch(rest))
    if rest and not prerelease and not _SEPARATED.fullmatch(rest):
        return None  # a commit's digest may begin with a number
    numbers = tuple(int(number) for number in re.split(r"[._-]", match["numbers"]))
    return _Version(match["prefix"].lower(), numbers, prerelease)


def _tags(objects: Iterable[Object]) -> Iterator[tuple[str, str]]:
    for obj in objects:
        for pod in pod_specs(obj):
            for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
                repository, _, tag = str(container.get("image") or "").partition("@")[0].rpartition(":")
                if repository and "/" not in tag:  # a colon before a slash is that of a port
                    yield f"{container.get('name', '')}/{repository.rpartition('/')[2]}", tag
