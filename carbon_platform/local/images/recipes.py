"""The recipes of the folder `images/`: what each image is called, what it is built on, and its digest."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from carbon_platform.errors import ConfigurationError

DESCRIPTION = "image.yaml"
CONTAINERFILE = "Containerfile"


class Recipe(BaseModel):
    """One folder of `images/`, as its image.yaml describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    folder: Path
    reference: str = Field(
        description="The name that charts use; it always has a tag.", pattern=r"^[^\s:]+(:\d+/\S+)?:\S+$"
    )
    upstream: str | None = Field(None, description="The public image that can stand in for it, if there is one.")
    distribution: str | None = Field(
        None, description="Debian release to make the image of, where no registry is reachable."
    )
    base: str | None = Field(None, description="Recipe of the image given to the Containerfile as BASE.")
    builder: str | None = Field(None, description="Recipe of the image given to the Containerfile as BUILDER.")
    program: tuple[str, ...] = Field(
        (), description="Go programs given to the Containerfile as stage `program`: /go/bin/NAME, /go/share/NAME."
    )

    @field_validator("program", mode="before")
    @classmethod
    def _one_or_several(cls, written: object) -> object:
        return [written] if isinstance(written, str) else written

    @property
    def needs(self) -> tuple[str, ...]:
        """The recipes whose images this one is built with."""
        return tuple(name for name in (self.base, self.builder) if name)


Recipes = Mapping[str, Recipe]
"""Recipes by name."""


def default_folder() -> Path:
    """Where the recipes are: beside the package in an installation, at the top of the repository otherwise."""
    packaged = Path(__file__).parent / "recipes"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "images"


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """Every recipe of a folder, by name.

    Raises ConfigurationError naming the file when a description is wrong, when two recipes make the same
    reference, when one needs a recipe that does not exist or needs itself, or when its Containerfile is missing.
    """
    recipes = {path.parent.name: _load(path) for path in sorted(folder.glob(f"*/{DESCRIPTION}"))}
    makers: dict[str, str] = {}
    for recipe in recipes.values():
        _check(recipe, recipes)
        other = makers.setdefault(recipe.reference, recipe.name)
        if other != recipe.name:
            raise _wrong(recipe, f"{recipe.reference} is made by `{other}` too", "give each recipe its own reference")
    return recipes


def _load(path: Path) -> Recipe:
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate({**written, "name": path.parent.name, "folder": path.parent})
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise ConfigurationError(f"{path} does not describe an image", str(error), "correct the file") from error


def _check(recipe: Recipe, recipes: Recipes) -> None:
    if (recipe.base is None) == (recipe.distribution is None):
        raise _wrong(recipe, "it has to name either a base or a distribution", "name one of them")
    if recipe.base and not (recipe.folder / CONTAINERFILE).is_file():
        raise _wrong(recipe, f"there is no {CONTAINERFILE} beside it", f"write {recipe.folder / CONTAINERFILE}")
    for name in recipe.needs:
        if name not in recipes:
            raise _wrong(recipe, f"there is no recipe `{name}`", f"use one of: {', '.join(sorted(recipes))}")
    _refuse_cycle(recipe, recipes, ())


def _refuse_cycle(recipe: Recipe, recipes: Recipes, above: tuple[str, ...]) -> None:
    if recipe.name in above:
        raise _wrong(recipe, f"it is built on itself: {' → '.join((*above, recipe.name))}", "break the cycle")
    for name in recipe.needs:
        if name in recipes:
            _refuse_cycle(recipes[name], recipes, (*above, recipe.name))


def _wrong(recipe: Recipe, cause: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"{recipe.folder / DESCRIPTION} is wrong", cause, fix)


def recipe_digest(recipe: Recipe, recipes: Recipes, program_digest: Callable[[str], str]) -> str:
    """SHA-256 of everything an image is made from: its files, its program, and the recipes it is built with.

    It changes when any of these does, and is the same in every checkout of the same files.
    `program_digest` identifies a Go program by what it is built from.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in recipe.folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(recipe.folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    for name in recipe.needs:
        digest.update(f"{name} {recipe_digest(recipes[name], recipes, program_digest)}\n".encode())
    for program in recipe.program:
        digest.update(f"{program} {program_digest(program)}\n".encode())
    return digest.hexdigest()
