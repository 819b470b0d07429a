import re

import pytest

from carbon_platform.local.build import MODULES, version
from carbon_platform.local.catalogue import CONTROL_PLANE, NODE, SOURCES, TOOLS, Source


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_program_is_pinned_to_its_version_with_sums(source: Source) -> None:
    module = (MODULES / source.module / "go.mod").read_text(encoding="utf-8")
    if source.package == ".":
        return
    pinned = dict(re.findall(r"^(?:require)?\s+([\w./-]+) (v[\w.+-]+)", module, re.MULTILINE))
    (found,) = {v for path, v in pinned.items() if f"{source.package}/".startswith(f"{path}/")}
    assert found == source.version
    assert f"{found} h1:" in (MODULES / source.module / "go.sum").read_text(encoding="utf-8")


def test_what_the_cluster_runs_is_in_the_catalogue_and_only_that_is_made_for_it() -> None:
    needed = {*CONTROL_PLANE, *NODE, *TOOLS}
    assert needed == {source.name for source in SOURCES.values() if source.needed_by == "cluster"}


def test_versions_of_go_are_compared_as_numbers() -> None:
    assert version("go1.26.4") == (1, 26, 4)
    assert version("go1.27") == (1, 27, 0)
    assert version("go1.9.1\n") < version("go1.26.0")
    assert version("devel") == () < version("go1.0")
