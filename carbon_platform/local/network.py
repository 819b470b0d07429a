"""The pods' bridge, and the firewall rules of the cluster: making them, and taking them away again."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from carbon_platform.errors import Blocked
from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout

COMMENT = "carbon local cluster"
_OUR_CHAIN = re.compile(r"^(KUBE-|CNI-)")
_HARDWARE_ADDRESS = "02:ca:5b:00:00:01"
"""A bridge without one of its own changes it with each pod that comes and goes."""
_BRIDGED_TRAFFIC = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def provide(layout: Layout) -> None:
    """Make the bridge with its address, let the pods' traffic through whatever else filters on this machine, and keep
    what is for Services from leaving it.

    Safe to run again. Raises Blocked with the words of the program that refused.
    """
    if not _quietly("ip", "link", "show", at.BRIDGE):
        _run("ip", "link", "add", at.BRIDGE, "address", _HARDWARE_ADDRESS, "type", "bridge")
    length = at.POD_CIDR.partition("/")[2]
    _run("ip", "address", "replace", f"{at.POD_GATEWAY}/{length}", "dev", at.BRIDGE)
    _run("ip", "link", "set", at.BRIDGE, "up")
    sees_bridged_traffic()
    for rule in [*accepting(layout.api_port), *refusing()]:
        if _quietly("iptables", "--wait", "--check", *rule):
            continue
        _run("iptables", "--wait", "--insert", *rule)


def accepting(api_port: int) -> list[list[str]]:
    """Rules for machines that drop what nobody asked for: pods among themselves, outwards, and to the API."""
    comment = ["-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"]
    own = f"{api_port},{at.KUBELET_PORT}"
    return [
        ["FORWARD", "-i", at.BRIDGE, *comment],
        ["FORWARD", "-o", at.BRIDGE, *comment],
        ["INPUT", "-i", at.BRIDGE, "-p", "tcp", "-m", "multiport", "--dports", own, *comment],
    ]


def refusing() -> list[list[str]]:
    """Rules for Service addresses that lead to no pod, also in the moment before kube-proxy's own: nobody is there.

    Outside this machine somebody may answer. A client that met them keeps that connection, and never finds the Service.
    """
    comment = ["-m", "comment", "--comment", COMMENT, "-j", "REJECT"]
    return [[chain, "-d", at.SERVICE_CIDR, *comment] for chain in ("FORWARD", "OUTPUT")]


def sees_bridged_traffic() -> bool:
    """Make the firewall see traffic between pods on the bridge; False where the kernel can't.

    The answer of a pod behind a Service would else reach the client from an address that it never asked.
    """
    if not _BRIDGED_TRAFFIC.is_file():
        _quietly("modprobe", "br_netfilter")
    try:
        _BRIDGED_TRAFFIC.write_text("1", encoding="ascii")
    except OSError:
        return False
    return True


def remove() -> None:
    """Take away bridge and rules; those of others stay as they are."""
    for command in ("iptables", "ip6tables"):
        with contextlib.suppress(OSError):
            saved = subprocess.run([f"{command}-save"], capture_output=True, text=True, check=False).stdout
            change = removal(saved)
            if change:
                arguments = [f"{command}-restore", "--noflush", "--wait"]
                subprocess.run(arguments, input=change, capture_output=True, text=True, check=False)
    _quietly("ip", "link", "delete", at.BRIDGE)


def removal(saved: str) -> str:
    """What takes our rules and chains out of the tables that iptables-save printed; empty when none is there."""
    parts = []
    for table, lines in _tables(saved):
        chains = [line[1:].split()[0] for line in lines if line.startswith(":") and _OUR_CHAIN.match(line[1:])]
        rules = [line for line in lines if line.startswith("-A") and our_rule(line)]
        if chains or rules:
            commands = [f"-D{rule.removeprefix('-A')}" for rule in rules]
            # Emptied first, all of them: they lead to each other.
            commands += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
            parts.append("\n".join([f"*{table}", *commands, "COMMIT"]))
    return "\n".join(parts) + "\n" if parts else ""


def _tables(saved: str) -> Iterator[tuple[str, list[str]]]:
    table, lines = "", list[str]()
    for line in saved.splitlines():
        if line.startswith("*"):
            table, lines = line[1:], []
        elif line == "COMMIT":
            yield table, lines
        else:
            lines.append(line)


def our_rule(line: str) -> bool:
    """True for a rule in somebody else's chain that kube-proxy, the kubelet, CNI or `provide` put there."""
    words = line.split()
    if _OUR_CHAIN.match(words[1]):
        return False
    target = words[words.index("-j") + 1] if "-j" in words else ""
    return bool(_OUR_CHAIN.match(target)) or f'"{COMMENT}"' in line


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Blocked(
            "the network of the pods can't be made", f"{' '.join(command)}: {done.stderr.strip()}", "run it as root"
        )


def _quietly(*command: str) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
