"""What a machine can be given beforehand: all that the cluster and the platform need, before either is there."""

import json
import os
import subprocess

import pytest

from carbon_platform.local.catalogue import CONTROL_PLANE, NODE, SOURCES, TOOLS
from carbon_platform.local.images.archives import Archives
from carbon_platform.local.images.programs import program_digest
from carbon_platform.local.images.recipes import default_folder, load_recipes
from carbon_platform.local.images.resolution import wanted
from carbon_platform.local.programs import cached
from carbon_platform.settings import Settings
from tests.machine.sandbox import carbon

pytestmark = pytest.mark.real


def test_programs_and_images_are_made_ready_and_nothing_is_started(tmp_path_factory: pytest.TempPathFactory) -> None:
    cache, home = Settings().cache, tmp_path_factory.mktemp("p") / "home"
    done = subprocess.run(
        carbon("prepare", "--json"),
        env={**os.environ, "CARBON_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"cache": str(cache)}
    assert not [name for name in (*CONTROL_PLANE, *NODE, *TOOLS) if not cached(SOURCES[name], cache)]
    recipes, archives = load_recipes(default_folder()), Archives(cache / "images")
    images = [wanted(recipe.reference, recipes, program_digest) for recipe in recipes.values()]
    assert not [image for image in images if not archives.find(image.reference, image.digest)]
    assert not home.exists()
