from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.local import addons
from carbon_platform.local.catalogue import SOURCES
from carbon_platform.local.layout import Layout

LAYOUT = Layout(Path("/nowhere"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def test_nothing_is_left_to_fill_in() -> None:
    assert [text for text in _strings(addons.manifests(LAYOUT)) if "${" in text] == []


def test_every_image_is_made_here_and_of_the_version_that_is_built() -> None:
    images = {text for text in _strings(addons.manifests(LAYOUT)) if text.startswith("localhost/carbon/")}
    for image in images - {"localhost/carbon/volume-helper:1"}:
        name, _, version = image.removeprefix("localhost/carbon/").partition(":")
        assert SOURCES[name].version == f"v{version}"
    assert len(images) == 4


def test_a_control_plane_alone_gets_rights_and_no_pods() -> None:
    kinds = {obj["kind"] for obj in addons.manifests(Layout(Path("/nowhere"), real_node=False))}
    assert kinds == {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("obj", [o for o in addons.manifests(LAYOUT) if o["kind"] == "Deployment"], ids=str)
def test_addons_run_with_the_least_rights(obj: dict[str, Any]) -> None:
    pod = obj["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
