"""Programs in a folder of their own, as the builds of images take them."""

from pathlib import Path

import pytest

from carbon_platform.errors import ConfigurationError
from carbon_platform.local import build, catalogue, programs
from carbon_platform.local.images.programs import program_digest, program_folder

OPERATOR = "kuberay-operator"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that has every program, and a module with files."""
    (tmp_path / "module" / catalogue.SOURCES[OPERATOR].files).mkdir(parents=True)
    (tmp_path / "module" / catalogue.SOURCES[OPERATOR].files / "a.yaml").write_text("kind: A\n")
    for name in catalogue.SOURCES:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(programs, "ensure", lambda names, *_: {name: tmp_path / name for name in names})
    monkeypatch.setattr(build, "module_folder", lambda *_: tmp_path / "module")
    return tmp_path


async def test_several_programs_come_in_one_folder_each_with_its_files(built: Path) -> None:
    folder = await program_folder([OPERATOR, "kubectl"], built, built / "work", lambda _: None) / "go"
    assert sorted(path.name for path in (folder / "bin").iterdir()) == ["kubectl", OPERATOR]
    found = [path.relative_to(folder).as_posix() for path in (folder / "share").rglob("*") if path.is_file()]
    assert found == [f"share/{OPERATOR}/a.yaml"]


def test_programs_are_told_apart_and_one_that_is_not_there_is_refused() -> None:
    digests = {program_digest(name) for name in catalogue.SOURCES}
    assert len(digests) == len(catalogue.SOURCES)
    with pytest.raises(ConfigurationError, match="nothing"):
        program_digest("nothing")
