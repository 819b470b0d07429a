"""Removing what a stopped cluster leaves on the machine: pods, mounts, network, firewall rules."""

import contextlib
import re
import subprocess
from pathlib import Path

from carbon_platform.local import layout as at
from carbon_platform.local import supervision
from carbon_platform.local.layout import Layout

_POD_SECONDS = 12.0
_CGROUPS = Path("/sys/fs/cgroup")
_OUR_CHAIN = re.compile(r"^(KUBE-|CNI-)")


def end_pods(layout: Layout) -> None:
    """End every pod's processes, gently first, and the shims that watched over them."""
    supervision.end(pod_processes, _POD_SECONDS)
    supervision.end(lambda: shims(layout), 2.0)


def clean(layout: Layout) -> None:
    """Unmount, and remove namespaces, interfaces, firewall rules and cgroups. Safe to run again."""
    _unmount(layout)
    _network_namespaces()
    for link in (at.BRIDGE, "kube-ipvs0", "kube-dummy-if"):
        _quietly("ip", "link", "delete", link)
    for command in ("iptables", "ip6tables"):
        _firewall(command)
    _cgroups()


def _quietly(*command: str) -> None:
    with contextlib.suppress(OSError):
        subprocess.run(command, capture_output=True, check=False)


def pod_cgroups() -> list[Path]:
    """The kubelet's cgroups: under each controller of version 1, or the one tree of version 2."""
    roots = [_CGROUPS, *(p for p in _CGROUPS.iterdir() if p.is_dir())] if _CGROUPS.is_dir() else []
    return [root / "kubepods" for root in roots if (root / "kubepods").is_dir()]


def pod_processes() -> list[int]:
    found: set[int] = set()
    for root in pod_cgroups():
        for file in root.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in file.read_text(encoding="ascii").split()}
    return sorted(found)


def shims(layout: Layout) -> list[int]:
    mark, found = f"-address\0{layout.containerd_socket}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"containerd-shim" in command and mark in command:
                    found.append(int(entry.name))
    return found


def _unmount(layout: Layout) -> None:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{layout.folder}/")), reverse=True):
        _quietly("umount", "--lazy", point)


def _network_namespaces() -> None:
    """Those in which an interface of a pod network address is: CNI made them, and nobody else uses our range."""
    prefix = ".".join(at.POD_CIDR.split(".")[:2]) + "."
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for name in (line.split()[0] for line in done.stdout.splitlines() if line):
        if not name.startswith("cni-"):
            continue
        shown = subprocess.run(
            ["ip", "-n", name, "-4", "-o", "addr", "show"], capture_output=True, text=True, check=False
        ).stdout
        if f"inet {prefix}" in shown or not shown.replace("127.0.0.1", "").strip(" 1:lo"):
            _quietly("umount", "--lazy", f"/run/netns/{name}")
            _quietly("ip", "netns", "delete", name)


def our_rule(line: str) -> bool:
    """True for a line of iptables-save that kube-proxy, the kubelet or our pod network made."""
    if line.startswith(":"):
        return bool(_OUR_CHAIN.match(line[1:]))
    if not line.startswith("-A"):
        return False
    words = line.split()
    if _OUR_CHAIN.match(words[1]):
        return True
    target = words[words.index("-j") + 1] if "-j" in words else ""
    return bool(_OUR_CHAIN.match(target)) or f'name: "{at.NETWORK}"' in line


def _firewall(command: str) -> None:
    """Save the tables, leave out what is ours, and restore the rest as it was."""
    saved = subprocess.run([f"{command}-save"], capture_output=True, text=True, check=False)
    lines = saved.stdout.splitlines()
    if saved.returncode or not any(our_rule(line) for line in lines):
        return
    kept = "\n".join(line for line in lines if not our_rule(line)) + "\n"
    subprocess.run([f"{command}-restore"], input=kept, capture_output=True, text=True, check=False)


def _cgroups() -> None:
    for root in pod_cgroups():
        folders = sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
        for folder in [*folders, root]:
            with contextlib.suppress(OSError):
                folder.rmdir()
