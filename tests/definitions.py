"""A platform that a test writes: a folder of defs.yaml files, and charts beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.environment import FILE, LOCAL
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform

HELM_RELEASE = "carbon_platform.components.HelmRelease"
CONTENT = "carbon_platform.components.Content"
MANIFESTS = "carbon_platform.components.Manifests"


class Definitions:
    """Components and charts in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.defs = folder / "defs"
        self.defs.mkdir()

    def file(self, key: str) -> Path:
        """Where the defs.yaml of a component is."""
        return self.defs / key / "defs.yaml"

    def write(self, key: str, text: str) -> Path:
        """A defs.yaml with this very text."""
        file = self.file(key)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def release(self, key: str, **attributes: Any) -> Path:
        """A release with what it must have, and whatever else is given."""
        least = {"title": key, "group": "data", "namespace": "here", "chart": {"path": "charts/probe"}}
        return self.write(key, yaml.safe_dump({"type": HELM_RELEASE, "attributes": least | attributes}))

    def manifests(self, key: str, **attributes: Any) -> Path:
        """Plain objects with what they must have, and whatever else is given."""
        least = {"title": key, "group": "data", "namespace": "here"}
        return self.write(key, yaml.safe_dump({"type": MANIFESTS, "attributes": least | attributes}))

    def chart(self, name: str = "probe", **templates: str) -> Path:
        """A chart folder; `templates` are its files by name without `.yaml`."""
        folder = self.folder / "charts" / name
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n", encoding="utf-8")
        for template, text in templates.items():
            (folder / "templates" / f"{template}.yaml").write_text(text, encoding="utf-8")
        return folder

    def settings(self, environment: str = LOCAL) -> Settings:
        """Settings that mean this platform. An environment that no file names yet has the overlay of its name."""
        if environment != LOCAL and not (self.folder / FILE).exists():
            environments(self.folder, {environment: {"cluster": {"context": environment}, "overlays": [environment]}})
        return Settings(defs=str(self.defs), home=self.folder / "home", cache=self.folder / "cache", env=environment)

    def load(self, environment: str = LOCAL) -> Platform:
        """The platform as Carbon reads it."""
        return load_platform(self.settings(environment))


def environments(folder: Path, named: Mapping[str, Any], **more: Any) -> Path:
    """An environments.yaml in the folder."""
    file = folder / FILE
    file.write_text(yaml.safe_dump({"environments": dict(named)} | more), encoding="utf-8")
    return file
