"""The platform as one environment resolves it: components that can be acted on."""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from carbon_platform.checks.base import Check
from carbon_platform.content.base import Content
from carbon_platform.spec import graph
from carbon_platform.spec.component import ChartRef, DriftSpec, EndpointSpec, HealSpec, SecretSpec
from carbon_platform.spec.rules import NO_RULES, Rules

_TEMPLATES = re.compile(r"(^|/)(templates/|(Chart|values)\.yaml$)")


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart that can be rendered: a folder, or a reference Helm resolves."""

    ref: ChartRef
    folder: Path | None

    @functools.cached_property
    def digest(self) -> str:
        """Changes when any file of a chart folder does, or the reference of one that is elsewhere."""
        digest = hashlib.sha256()
        if self.folder is None:
            digest.update(self.ref.model_dump_json().encode())
            return digest.hexdigest()
        for file, name in _files(self.folder):
            digest.update(name.encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
        return digest.hexdigest()

    @functools.cached_property
    def text(self) -> str | None:
        """What its templates and metadata say, in one; None where it can't be read: it is elsewhere, or packed."""
        if self.folder is None:
            return None
        files = list(_files(self.folder))
        if any(name.endswith((".tgz", ".tar.gz")) for _, name in files):
            return None
        read = [file for file, name in files if _TEMPLATES.search(name)]
        return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in read)


def _files(folder: Path, prefix: str = "") -> Iterable[tuple[Path, str]]:
    """All files below, in a stable order; linked folders (a vendored library chart) are followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path, f"{prefix}{path.name}/")
        else:
            yield path, prefix + path.name


@dataclasses.dataclass(frozen=True)
class Release:
    """What is installed by Helm for a component."""

    name: str
    namespace: str
    namespaces: tuple[str, ...]
    """All namespaces that must exist, the release's own first."""
    chart: Chart
    values: Mapping[str, Any]
    stateful: bool
    needs_registry: bool = False
    """Its images come from a public registry alone: where none is reached, being blocked is no failure."""
    rules: Rules = NO_RULES
    files: tuple[Path, ...] = ()
    """Beside the definition and the chart: what the values are made of as well."""


@dataclasses.dataclass(frozen=True)
class Component:
    """One asset of the platform in one environment."""

    key: str
    file: Path
    title: str
    description: str
    group: str
    owners: tuple[str, ...]
    kinds: tuple[str, ...]
    critical: bool
    namespace: str
    needs: tuple[str, ...]
    secrets: tuple[SecretSpec, ...]
    endpoints: tuple[EndpointSpec, ...]
    checks: Mapping[str, Check]
    """Functional checks by name, in the order they are written."""
    heal: HealSpec
    drift: DriftSpec
    cron: str | None
    deadline: float | None
    release: Release | None
    content: Content | None

    @property
    def release_name(self) -> str:
        """The release's name; for content, the name its objects would have."""
        return self.release.name if self.release else self.key.replace("_", "-")

    @functools.cached_property
    def rules(self) -> Rules:
        """What is said of its objects, where they do not say it themselves."""
        said = self.release.rules if self.release else NO_RULES
        return dataclasses.replace(said, managers=tuple(self.drift.managers))

    @functools.cached_property
    def digest(self) -> str:
        """Changes when what would be applied may change: chart files, resolved values, secrets, content."""
        parts: dict[str, Any] = {"namespace": self.namespace, "secrets": [s.model_dump() for s in self.secrets]}
        if self.release:
            parts |= {
                "release": self.release.name,
                "chart": self.release.chart.digest,
                "values": self.release.values,
                "namespaces": self.release.namespaces,
            }
        if self.content:
            parts["content"] = self.content.model_dump()
        return _digest(parts)

    @functools.cached_property
    def checks_digest(self) -> str:
        """Changes when what is verified changes."""
        parts: dict[str, Any] = {name: check.model_dump() for name, check in self.checks.items()}
        ready = self.rules.ready
        return _digest(parts | ({"ready": {of: rule.model_dump() for of, rule in ready.items()}} if ready else {}))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Platform:
    """All components in one environment. Valid by construction: needs exist, there is no cycle."""

    environment: str
    components: Mapping[str, Component]

    @functools.cached_property
    def needs(self) -> graph.Needs:
        """For each component, what it needs directly."""
        return {key: component.needs for key, component in self.components.items()}

    @functools.cached_property
    def order(self) -> list[str]:
        """Every component after what it needs."""
        return graph.in_order(self.needs)

    def excused(self, names: Sequence[str]) -> frozenset[str]:
        """Components whose being blocked is no failure of a command that was given these names."""
        return self.excusable - set(graph.select(self.needs, names) if names else ())

    @functools.cached_property
    def excusable(self) -> frozenset[str]:
        """What deploys from a public registry alone, and what needs it: blocked without one is no failure."""
        public = {key for key, one in self.components.items() if one.release and one.release.needs_registry}
        return frozenset(graph.dependents(self.needs, public))
