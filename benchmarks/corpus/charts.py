"""The charts of a folder, and a definition of each."""

import dataclasses
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.errors import ConfigurationError

_DEADLINE = "2m"


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart folder, and the values that it is given."""

    name: str
    """The folder's name, which is its release's too."""
    folder: Path
    version: str
    values: dict[str, Any]

    @property
    def key(self) -> str:
        """The component that it is."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower())

    @property
    def release(self) -> str:
        """Name of its Helm release."""
        return self.key.replace("_", "-")

    @property
    def namespace(self) -> str:
        """Its own."""
        return f"corpus-{self.release}"


def find(folder: Path, only: Collection[str] = ()) -> list[Chart]:
    """The charts of a folder by name, each with the values of `<name>.values.yaml` beside it; `only` these of them.

    Raises ConfigurationError when there is none, or not one of `only`.
    """
    charts = [_read(file.parent) for file in sorted(folder.glob("*/Chart.yaml"))]
    missing = set(only) - {chart.name for chart in charts}
    if missing or not charts:
        raise ConfigurationError(
            f"{folder} has no chart {', '.join(sorted(missing))}".rstrip(),
            "a chart is a folder in it with a Chart.yaml",
            "name a folder of chart folders, and charts that are in it",
        )
    return [chart for chart in charts if not only or chart.name in only]


def _read(folder: Path) -> Chart:
    told = yaml.safe_load((folder / "Chart.yaml").read_text(encoding="utf-8"))
    file = folder.parent / f"{folder.name}.values.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return Chart(folder.name, folder.resolve(), str(told["version"]), values or {})


def write_definitions(charts: Iterable[Chart], folder: Path) -> Path:
    """A definition of each in the folder, and no other; the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for chart in charts:
        attributes = {
            "title": chart.name,
            "group": "data",
            "namespace": chart.namespace,
            "release": chart.release,
            "deadline": _DEADLINE,
            "chart": {"path": str(chart.folder)},
            "values": chart.values,
        }
        file = folder / chart.key / "defs.yaml"
        file.parent.mkdir(parents=True)
        definition = {"type": "carbon_platform.components.HelmRelease", "attributes": attributes}
        file.write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
    return folder
