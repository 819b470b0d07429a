"""Removing what a stopped cluster leaves on the machine: pods, mounts, cgroups, files."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local import cgroups, processes
from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout

_POD_SECONDS = 12.0
_SHIM_SECONDS = 2.0
_SHIM_SOCKETS = Path("/run/containerd/s")
_CNI_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
"""Places outside of the cluster's folder that containerd, CNI and the kubelet write to and can't be told not to."""


def end_pods(layout: Layout) -> None:
    """End every pod's processes, gently first, and the shims that watched over them."""
    processes.end(lambda: cgroups.processes(layout.cgroup), _POD_SECONDS)
    processes.end(lambda: processes.with_command(lambda command: is_shim(command, layout)), _SHIM_SECONDS)


def is_shim(command: Sequence[str], layout: Layout) -> bool:
    """True for the command line of a process that watches over a pod of this cluster."""
    return "containerd-shim" in command[0] and str(layout.containerd_socket) in command


def clean(layout: Layout) -> None:
    """Take away mounts, cgroups and files outside of the cluster's folder. Safe to run again.

    Raises CarbonError naming a mount that stays.
    """
    unmount(layout.folder)
    cgroups.remove(layout.cgroup)
    _files_elsewhere(layout)
    # Addresses and sandboxes of pods that are gone.
    shutil.rmtree(layout.folder / "cni-addresses", ignore_errors=True)
    shutil.rmtree(layout.containerd_state, ignore_errors=True)


def unmount(folder: Path) -> None:
    """Unmount everything below a folder. Raises CarbonError naming a mount that stays."""
    for point in mounts_below(folder, _mount_table()):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    left = mounts_below(folder, _mount_table())
    if left:
        raise CarbonError(f"{left[0]} can't be unmounted", "the kernel refused it", f"unmount it: umount {left[0]}")


def mounts_below(folder: Path, table: str) -> list[str]:
    """Mount points below a folder, innermost first, from the text of a mountinfo file (proc(5))."""
    points = [_unescaped(line.split()[4]) for line in table.splitlines() if line]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)


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
