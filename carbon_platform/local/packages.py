"""Programs that come from the distribution: what is missing is named, then installed by its package manager."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carbon_platform.errors import Blocked

Report = Callable[[str], None]

CLUSTER: Mapping[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "busybox": "busybox-static",
}
"""For each program that a local cluster needs, the Debian package that has it."""


def missing(wanted: Mapping[str, str]) -> list[str]:
    """Packages whose program is not on this machine."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = (p for p in wanted if Path(p).is_file() or shutil.which(p, path=path))
    return sorted(set(wanted.values()) - {wanted[p] for p in found})


def ensure(wanted: Mapping[str, str], report: Report) -> None:
    """Install what is missing, after saying so. Raises Blocked when that is not possible here."""
    packages = missing(wanted)
    if not packages:
        return
    names = " ".join(packages)
    if os.geteuid() != 0:
        raise Blocked(f"packages are missing: {names}", "only root can install them", f"sudo apt-get install {names}")
    if shutil.which("apt-get") is None:
        fix = "install the programs they bring with this distribution's package manager"
        raise Blocked(f"packages are missing: {names}", "this distribution has no apt-get", fix)
    report(f"installing with apt-get: {names}")
    _run(["apt-get", "update", "-qq"], names)
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], names)


def _run(command: Sequence[str], names: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise Blocked(f"packages can't be installed: {names}", " ".join(command), "see the lines below", tail)
