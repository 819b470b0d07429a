"""The cgroup that holds all pods of one cluster, in either version of cgroups."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def make(name: str, root: Path = ROOT) -> None:
    """Make the cgroup under every controller; the kubelet expects its root to be there."""
    if (root / "cgroup.controllers").is_file():
        _delegate(root)
        (root / name).mkdir(exist_ok=True)
        _delegate(root / name)
        return
    for controller in _hierarchies(root):
        with contextlib.suppress(OSError):  # a controller that can't be used here is not used by the kubelet either
            (controller / name).mkdir(exist_ok=True)
            for inherited in ("cpuset.cpus", "cpuset.mems"):  # these start empty, and nothing runs in an empty set
                if (controller / inherited).is_file() and not (controller / name / inherited).read_text().strip():
                    (controller / name / inherited).write_text((controller / inherited).read_text())


def _delegate(folder: Path) -> None:
    """Version 2: let the children of a cgroup use its controllers."""
    for controller in (folder / "cgroup.controllers").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def _hierarchies(root: Path) -> list[Path]:
    return sorted({entry.resolve() for entry in root.iterdir() if entry.is_dir()}) if root.is_dir() else []


def _folders(name: str, root: Path) -> Iterator[Path]:
    for parent in (root, *_hierarchies(root)):
        if (parent / name).is_dir():
            yield parent / name


def thaw(name: str, root: Path = ROOT) -> None:
    """Let whatever is frozen in the cgroup or below it run on: no signal, not even the last one, reaches it before.

    A container is frozen for a moment whenever its limits are written; who was killed in that moment never thaws it.
    """
    for folder in _folders(name, root):
        for file, running in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            for place in folder.rglob(file):
                with contextlib.suppress(OSError):
                    if place.read_text(encoding="ascii").strip() not in {running, ""}:
                        place.write_text(running, encoding="ascii")


def processes(name: str, root: Path = ROOT) -> list[int]:
    """Everything that runs in the cgroup or below it."""
    found: set[int] = set()
    for folder in _folders(name, root):
        for file in folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in file.read_text(encoding="ascii").split()}
    return sorted(found)


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the cgroup; what still has a process in it stays."""
    for top in _folders(name, root):
        below = sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
        for folder in (*below, top):
            with contextlib.suppress(OSError):
                folder.rmdir()
