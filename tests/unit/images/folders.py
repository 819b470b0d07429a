"""Recipe folders for tests, written as a person would write them."""

from pathlib import Path

import yaml

from carbon_platform.local.images.recipes import Recipe, load_recipes


def write_recipe(folder: Path, name: str, *, containerfile: str | None = "FROM scratch\n", **described: str) -> Path:
    """A recipe folder with these lines in its image.yaml; its reference is localhost/carbon/NAME:1 by default."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "image.yaml").write_text(yaml.safe_dump({"reference": f"localhost/carbon/{name}:1", **described}))
    if containerfile is not None:
        (place / "Containerfile").write_text(containerfile)
    return place


def small_platform(folder: Path) -> dict[str, Recipe]:
    """base ← runtime ← server, and base ← gateway with a Go program; `base` and `gateway` have an upstream."""
    write_recipe(folder, "base", containerfile=None, distribution="bookworm", upstream="docker.io/library/debian:12")
    write_recipe(folder, "runtime", base="base")
    write_recipe(folder, "tool", base="runtime")
    write_recipe(folder, "server", base="runtime", builder="tool")
    write_recipe(folder, "gateway", base="base", program="gatewayd", upstream="docker.io/acme/gateway:1")
    return load_recipes(folder)
