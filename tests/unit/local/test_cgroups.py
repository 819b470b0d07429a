from pathlib import Path

from carbon_platform.local import cgroups


def test_version_1_has_it_under_every_controller_with_its_processors(tmp_path: Path) -> None:
    for controller in ("memory", "cpuset"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "ours").mkdir()
    (tmp_path / "cpuset" / "ours" / "cpuset.cpus").write_text("")
    cgroups.make("ours", tmp_path)
    cgroups.make("ours", tmp_path)
    assert (tmp_path / "memory" / "ours").is_dir()
    assert (tmp_path / "cpuset" / "ours" / "cpuset.cpus").read_text() == "0-1\n"


def test_version_2_has_one_whose_children_may_use_every_controller(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    for folder in (tmp_path, tmp_path / "ours"):
        (folder / "cgroup.controllers").write_text("memory")
        (folder / "cgroup.subtree_control").write_text("")
    (tmp_path / "system.slice").mkdir()
    cgroups.make("ours", tmp_path)
    assert (tmp_path / "ours" / "cgroup.subtree_control").read_text() == "+memory"
    assert not (tmp_path / "system.slice" / "ours").exists()


def test_processes_are_those_in_it_and_below_it_and_no_others(tmp_path: Path) -> None:
    for place, text in (("memory/ours", "1\n2\n"), ("memory/ours/kubepods/pod1", "3\n"), ("memory/kubepods", "4\n")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "cgroup.procs").write_text(text)
    assert cgroups.processes("ours", tmp_path) == [1, 2, 3]
    assert cgroups.processes("other", tmp_path) == []


def test_it_is_removed_with_all_below_it_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "memory" / "ours" / "kubepods" / "pod1").mkdir(parents=True)
    (tmp_path / "memory" / "kubepods").mkdir()
    cgroups.remove("ours", tmp_path)
    assert [entry.name for entry in (tmp_path / "memory").iterdir()] == ["kubepods"]


def test_what_was_left_frozen_is_thawed_in_either_version_and_nothing_else_is_written(tmp_path: Path) -> None:
    for place, text in (
        ("freezer/ours/kubepods/pod1/freezer.state", "FROZEN\n"),
        ("freezer/ours/kubepods/pod2/freezer.state", "THAWED\n"),
        ("freezer/others/freezer.state", "FROZEN\n"),
        ("ours/pod1/cgroup.freeze", "1\n"),
    ):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(text)
    cgroups.thaw("ours", tmp_path)
    assert (tmp_path / "freezer/ours/kubepods/pod1/freezer.state").read_text() == "THAWED"
    assert (tmp_path / "freezer/ours/kubepods/pod2/freezer.state").read_text() == "THAWED\n"
    assert (tmp_path / "freezer/others/freezer.state").read_text() == "FROZEN\n"
    assert (tmp_path / "ours/pod1/cgroup.freeze").read_text() == "0"
