"""What a defs.yaml of somebody else's project may say besides, for Dagster and the command line alike."""

import re

import pytest

from tests.machine.projects import SERVED, Project

VARIABLES = """
import dagster as dg


@dg.template_var
def team() -> str:
    return "sessions"


@dg.template_var
def slow() -> str:
    return "50s"


@dg.template_var
def size(context: dg.ComponentLoadContext):
    return lambda factor: f"{factor * 32}Mi of {context.path.name}"
"""
USING = """
type: shop.components.TeamRelease
template_vars_module: .variables
attributes:
  title: "{{ team }} of {{ env.USER_OF_SHOP }}"
  group: shop
  namespace: shop
  chart: {path: charts/cache}
  deadline: "{{ slow }}"
  values:
    size: "{{ size(4) }}"
    kept: '{{ include "x" . }} {{ namespace }}'
"""
REDIS = """
from carbon_platform.settings import settings
from carbon_platform.spec.load import load_platform
redis = load_platform(settings()).components["redis"]
print(redis.title, redis.deadline, redis.release.values["size"], redis.release.values["kept"], sep="|")
"""


@pytest.fixture
def templated(shop: Project) -> Project:
    """Its redis takes values from functions of the project."""
    folder = shop.folder / "shop" / "defs" / "redis"
    (folder / "variables.py").write_text(VARIABLES, encoding="utf-8")
    (folder / "defs.yaml").write_text(USING, encoding="utf-8")
    shop.environment["USER_OF_SHOP"] = "ann"
    return shop


def test_template_variables_are_the_same_for_dagster_and_the_command_line(templated: Project) -> None:
    templated("dg", "check", "yaml")
    assert templated.assets()["redis"]["description"].startswith("sessions of ann.")
    del templated.environment["PYTHONPATH"]
    assert templated("python", "-c", REDIS) == 'sessions of ann|50.0|128Mi of redis|{{ include "x" . }} shop\n'


@pytest.mark.parametrize(
    ("written", "line", "told"),
    [
        ("raise LookupError('no inventory')", 3, r"variables\.py:\d+: LookupError: no inventory"),
        (
            "@dg.template_var\ndef size():\n    return lambda n: n / 0",
            11,
            r"\{\{ size\(4\) \}\} can't be .*division by zero",
        ),
        ("dg.template_var(size)\ndef slow(): ...", 9, r"deadline: "),
    ],
    ids=["its module fails", "it fails", "it is no duration"],
)
def test_a_template_variable_that_cannot_be_had_is_told_with_file_and_line(
    templated: Project, written: str, line: int, told: str
) -> None:
    variables = templated.folder / "shop" / "defs" / "redis" / "variables.py"
    variables.write_text(f"{VARIABLES}\n\n{written}\n", encoding="utf-8")
    said = templated("python", "-c", REDIS, code=1)
    assert re.search(rf"defs/redis/defs\.yaml:{line}: .*{told}", said), said


def test_a_component_made_in_python_is_refused_with_its_file(shop: Project) -> None:
    text = """
import dagster as dg

from carbon_platform.components import HelmRelease


@dg.component_instance
def cache(context: dg.ComponentLoadContext) -> HelmRelease:
    return HelmRelease("redis")
"""
    (shop.folder / "shop" / "defs" / "cache.py").write_text(text, encoding="utf-8")
    for command in (("dg", "check", "defs"), ("python", "-c", SERVED)):
        told = shop(*command, code=1)
        assert f"{shop.folder}/shop/defs/cache.py makes a component of Carbon's in Python" in told


def test_files_of_others_are_theirs_however_many_components_they_hold(shop: Project) -> None:
    nothing = "type: dagster.DefsFolderComponent\nattributes: {}\n"
    folder = shop.folder / "shop" / "defs"
    for name, text in (("two", f"{nothing}---\n{nothing}"), ("short", nothing)):
        (folder / name).mkdir()
        (folder / name / "defs.yaml").write_text(text, encoding="utf-8")
    (folder / "redis" / "defs.yaml").rename(folder / "redis" / "defs.yml")
    assert shop("python", "-c", REDIS.replace('redis.release.values["kept"]', "redis.key")).endswith("|64Mi|redis\n")
