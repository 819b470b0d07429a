"""Removing what a stopped cluster leaves on the machine: pods, mounts, cgroups, files."""

import contextlib
import dataclasses
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local import cgroups, processes
from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout

_POD_SECONDS = 12.0
_SHIM_SECONDS = 2.0
_MOUNTING = ("kubelet", "containerd", "containerd-state")
"""Folders of the programs that mount."""
_SHIM_SOCKETS = Path("/run/containerd/s")
_CNI_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
"""Places outside of the cluster's folder that containerd, CNI and the kubelet write to and can't be told not to."""


def end_pods(layout: Layout) -> None:
    """End every pod's processes, gently first, and the shims that watched over them."""
    cgroups.thaw(layout.cgroup)
    processes.end(lambda: cgroups.processes(layout.cgroup), _POD_SECONDS)
    processes.end(lambda: processes.with_command(lambda command: is_shim(command, layout)), _SHIM_SECONDS)


def is_shim(command: Sequence[str], layout: Layout) -> bool:
    """True for the command line of a process that watches over a pod of this cluster."""
    return "containerd-shim" in command[0] and str(layout.containerd_socket) in command


def clean(layout: Layout) -> None:
    """Take away the cluster's mounts, cgroups and files outside of its folder. Safe to run again.

    What a person mounted below the folder stays: a disk for the volumes, say.

    Raises CarbonError naming a mount that stays.
    """
    unmount_own(layout)
    cgroups.remove(layout.cgroup)
    _files_elsewhere(layout)
    # Addresses and sandboxes of pods that are gone.
    shutil.rmtree(layout.folder / "cni-addresses", ignore_errors=True)
    shutil.rmtree(layout.containerd_state, ignore_errors=True)


def unmount_own(layout: Layout) -> None:
    """Unmount what the cluster's programs mounted. Raises CarbonError naming a mount that stays."""
    _unmount(lambda table: own_mounts(layout.folder.resolve(), table))


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, whoever mounted it. Raises CarbonError naming a mount that stays."""
    _unmount(lambda table: mounts_below(folder.resolve(), table))


def _unmount(points: Callable[[str], list[str]]) -> None:
    left = points(_mount_table())
    while left:
        for point in left:
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
        # A mount that another one covered can be reached only now.
        before, left = left, points(_mount_table())
        if left == before:
            raise CarbonError(f"{left[0]} can't be unmounted", "the kernel refused it", f"unmount it: umount {left[0]}")


@dataclasses.dataclass(frozen=True)
class _Mount:
    """A line of a mountinfo file (proc(5))."""

    parent: str
    device: str
    root: str
    """What of the file system is seen at `point`."""
    point: str


def _mounts(table: str) -> dict[str, _Mount]:
    lines = [line.split() for line in table.splitlines() if line]
    return {line[0]: _Mount(line[1], line[2], _unescaped(line[3]), _unescaped(line[4])) for line in lines}


def mounts_below(folder: Path, table: str) -> list[str]:
    """Mount points below a folder, innermost first, from the text of a mountinfo file."""
    points = [mount.point for mount in _mounts(table).values()]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)


def own_mounts(folder: Path, table: str) -> list[str]:
    """Mount points that the programs of the cluster in a folder made, innermost first.

    They are below the folders of the kubelet (volumes of pods) and of containerd (root file systems, namespaces), and
    the kubelet's folder itself. What is mounted elsewhere is somebody else's, and so is a disk for one of these
    folders.
    """
    inside = [point for name in _MOUNTING for point in mounts_below(folder / name, table)]
    mounts = _mounts(table)
    kubelet = str(folder / "kubelet")
    shared = [mount.point for mount in mounts.values() if mount.point == kubelet and _shows_itself(mount, mounts)]
    return sorted((*inside, *shared), reverse=True)


def _shows_itself(mount: _Mount, mounts: Mapping[str, _Mount]) -> bool:
    """True for a folder mounted onto itself: so the kubelet makes its own pass on mounts, where it does not yet.

    Source: DoMakeRShared in Kubernetes' pkg/volume/util/hostutil.
    """
    parent = mounts.get(mount.parent)
    if parent is None or parent.device != mount.device:
        return False
    return Path(mount.root) == Path(parent.root, Path(mount.point).relative_to(parent.point))


def _unescaped(point: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point


def _mount_table() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _files_elsewhere(layout: Layout) -> None:
    own = f"{at.NETWORK}-"
    for file in _CNI_RESULTS.glob(f"{own}*"):
        container = file.name.removeprefix(own).partition("-")[0]
        for result in (file, *_CNI_RESULTS.glob(f"cni-loopback-{container}-*")):
            result.unlink(missing_ok=True)
    for link in _LOG_LINKS.glob("*.log"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(layout.logs):
                link.unlink()
    for file in (*_SHIM_SOCKETS.glob("*"), _DEVICE_PLUGINS):
        if not _answers(file):
            file.unlink(missing_ok=True)


def _answers(file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(file))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
