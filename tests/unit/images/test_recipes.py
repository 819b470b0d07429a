import re
from pathlib import Path

import pytest

from carbon_platform.errors import ConfigurationError
from carbon_platform.local.images.recipes import Recipe, default_folder, load_recipes, recipe_digest
from tests.unit.images.folders import small_platform, write_recipe


def digests(folder: Path, program: str = "v1") -> dict[str, str]:
    recipes = load_recipes(folder)
    return {name: recipe_digest(recipe, recipes, lambda _: program) for name, recipe in recipes.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_digest_stays_the_same_while_nothing_changes(tmp_path: Path) -> None:
    small_platform(tmp_path)
    assert digests(tmp_path) == digests(tmp_path)


@pytest.mark.parametrize("file", ["Containerfile", "image.yaml", "conf/server.properties"])
def test_any_file_of_a_recipe_changes_its_digest_alone(tmp_path: Path, file: str) -> None:
    small_platform(tmp_path)
    before = digests(tmp_path)
    path = tmp_path / "server" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    assert changed(before, digests(tmp_path)) == {"server"}


def test_a_changed_base_changes_everything_that_is_built_on_it(tmp_path: Path) -> None:
    small_platform(tmp_path)
    before = digests(tmp_path)
    (tmp_path / "runtime" / "Containerfile").write_text("FROM scratch\nUSER 1\n")
    assert changed(before, digests(tmp_path)) == {"runtime", "tool", "server"}


def test_a_changed_builder_changes_what_is_built_with_it(tmp_path: Path) -> None:
    small_platform(tmp_path)
    before = digests(tmp_path)
    (tmp_path / "tool" / "Containerfile").write_text("FROM scratch\nUSER 1\n")
    assert changed(before, digests(tmp_path)) == {"tool", "server"}


def test_a_new_version_of_a_program_changes_the_image_that_has_it(tmp_path: Path) -> None:
    small_platform(tmp_path)
    assert changed(digests(tmp_path, "v1"), digests(tmp_path, "v2")) == {"gateway"}


def test_an_image_may_have_several_programs_and_each_one_counts(tmp_path: Path) -> None:
    write_recipe(tmp_path, "base", containerfile=None, distribution="bookworm")
    folder = write_recipe(tmp_path, "operator", base="base", program="operatord")
    one = digests(tmp_path)
    description = (folder / "image.yaml").read_text()
    (folder / "image.yaml").write_text(description.replace("operatord", "[operatord, applier]"))
    assert load_recipes(tmp_path)["operator"].program == ("operatord", "applier")
    assert changed(one, digests(tmp_path)) == {"operator"}


def test_a_renamed_file_changes_the_digest(tmp_path: Path) -> None:
    small_platform(tmp_path)
    (tmp_path / "server" / "a").write_text("same")
    before = digests(tmp_path)
    (tmp_path / "server" / "a").rename(tmp_path / "server" / "b")
    assert changed(before, digests(tmp_path)) == {"server"}


def test_a_recipe_without_base_and_distribution_is_refused_with_its_file(tmp_path: Path) -> None:
    write_recipe(tmp_path, "lonely")
    with pytest.raises(ConfigurationError, match=r"lonely/image\.yaml is wrong") as caught:
        load_recipes(tmp_path)
    assert "either a base or a distribution" in caught.value.cause


def test_an_unknown_base_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    write_recipe(tmp_path, "server", base="nothing")
    with pytest.raises(ConfigurationError) as caught:
        load_recipes(tmp_path)
    assert "no recipe `nothing`" in caught.value.cause
    assert "server" in caught.value.fix


def test_a_recipe_that_is_built_on_itself_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path, "a", base="b")
    write_recipe(tmp_path, "b", base="a")
    with pytest.raises(ConfigurationError) as caught:
        load_recipes(tmp_path)
    assert "a → b → a" in caught.value.cause


def test_two_recipes_for_one_reference_are_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path, "a", containerfile=None, distribution="bookworm", reference="localhost/carbon/x:1")
    write_recipe(tmp_path, "b", containerfile=None, distribution="bookworm", reference="localhost/carbon/x:1")
    with pytest.raises(ConfigurationError, match=r"b/image\.yaml") as caught:
        load_recipes(tmp_path)
    assert "made by `a` too" in caught.value.cause


def test_a_missing_containerfile_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path, "base", containerfile=None, distribution="bookworm")
    write_recipe(tmp_path, "server", containerfile=None, base="base")
    with pytest.raises(ConfigurationError) as caught:
        load_recipes(tmp_path)
    assert "no Containerfile" in caught.value.cause


@pytest.mark.parametrize("text", ["reference: localhost/carbon/a:1\nbse: b\n", "just a word\n", "a: [\n", ""])
def test_a_description_that_says_something_else_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "image.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"a/image\.yaml"):
        load_recipes(tmp_path)


OURS = load_recipes(default_folder())
BUILT = [recipe for recipe in OURS.values() if recipe.base]


@pytest.mark.parametrize("recipe", BUILT, ids=lambda recipe: recipe.name)
def test_our_images_run_as_a_numbered_user_that_is_not_root(recipe: Recipe) -> None:
    users = re.findall(r"^USER (\S+)$", (recipe.folder / "Containerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


@pytest.mark.parametrize("recipe", BUILT, ids=lambda recipe: recipe.name)
def test_our_images_can_be_built_anywhere_on_the_public_image_that_their_base_stands_for(recipe: Recipe) -> None:
    text = (recipe.folder / "Containerfile").read_text()
    for argument, name in (("BASE", recipe.base), ("BUILDER", recipe.builder)):
        if name:
            assert re.search(rf"^ARG {argument}={re.escape(OURS[name].upstream or '')}$", text, re.MULTILINE)


@pytest.mark.parametrize("recipe", OURS.values(), ids=lambda recipe: recipe.name)
def test_our_references_are_local_and_of_one_version(recipe: Recipe) -> None:
    assert re.fullmatch(rf"localhost/carbon/{recipe.name}:[0-9][0-9.]*", recipe.reference)
