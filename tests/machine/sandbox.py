"""A machine within this machine: network, mounts and processes of its own, so that a test may break all of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carbon_platform.settings import Settings

_PREPARE = """
for folder in /run /var/lib/cni /var/lib/kubelet /var/log/containers; do
    mkdir -p $folder && mount -t tmpfs tmpfs $folder
done
ip link set lo up
echo ready
while true; do sleep 3600 & wait $!; done 2>/dev/null
"""


class Sandbox:
    """Its processes end with it, whatever state they are in; its files are below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "slave"]
        self._holder = subprocess.Popen(
            # What ends these tests, if only by a signal that can't be caught, ends the sandbox.
            ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "bash", "-c", _PREPARE],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text(encoding="ascii")
        self._first = int(children.split()[0])

    def close(self) -> None:
        """End everything in it."""
        os.kill(self._first, signal.SIGKILL)
        self._holder.wait(30)
        assert self._holder.stdout is not None
        self._holder.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command: str | Path, **environment: str) -> "subprocess.Popen[str]":
        """Start a command in it."""
        enter = ["nsenter", "--target", str(self._first), "--mount", "--net", "--pid", "--"]
        return subprocess.Popen(
            [*enter, *command],
            env={**os.environ, "CARBON_HOME": str(self.home), "CARBON_CACHE": str(Settings().cache), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        process = self.start(*command, **environment)
        output, errors = process.communicate(timeout=900)
        if code is not None:
            assert process.returncode == code, f"{command}: exit {process.returncode}\n{output}\n{errors}"
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def carbon_cluster(self, *arguments: str, code: int | None = 0, **environment: str) -> "Told":
        """`carbon cluster …` in it."""
        return Told(self.run(*carbon(*arguments), code=code, **environment))

    def kubectl(self, *arguments: str, code: int | None = 0) -> str:
        """kubectl on the cluster in it."""
        program = next((Settings().cache / "programs" / "kubectl").glob("*/kubectl"))
        kubeconfig = self.home / "cluster" / "kubeconfig"
        return self.run(program, "--kubeconfig", kubeconfig, *arguments, code=code).stdout

    def processes(self) -> dict[int, str]:
        """Id and command line of everything that runs in it, but the sandbox's own first processes and their sleep."""
        listed = self.run("ps", "-e", "-ww", "-o", "pid=,comm=,args=").stdout.splitlines()
        found = {}
        for line in listed:
            pid, name, command = line.split(maxsplit=2)
            if pid != "1" and name not in {"sleep", "ps"} and "<defunct>" not in command:
                found[int(pid)] = command
        return found

    def traces(self) -> dict[str, Any]:
        """Everything by which a cluster shows on a machine."""
        rules = self.run("iptables-save").stdout + self.run("ip6tables-save").stdout
        mounts = self.run("cat", "/proc/1/mountinfo").stdout.splitlines()
        files = self.run(
            "find", "/run", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "-not", "-type", "d"
        )
        return {
            "processes": list(self.processes().values()),
            "mounts": [line for line in mounts if str(self.folder) in line],
            "interfaces": sorted(link["ifname"] for link in json.loads(self.run("ip", "-json", "link").stdout)),
            "rules": sorted(line for line in rules.splitlines() if line.startswith("-A")),
            "chains": sorted(line.split()[0] for line in rules.splitlines() if line.startswith((":KUBE", ":CNI"))),
            "namespaces": self.run("ip", "netns", "list").stdout,
            "files": sorted(files.stdout.split()),
        }


class Told:
    """What a `carbon cluster` command said."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.output, self.errors, self.code = done.stdout, done.stderr, done.returncode

    @property
    def json(self) -> Any:
        return json.loads(self.output)


def carbon(*arguments: str) -> Sequence[str]:
    """The command line of `carbon cluster …`."""
    return [sys.executable, "-m", "carbon_platform.cli.cluster", *arguments]


def until(true: Any, seconds: float = 120) -> None:
    """Return when `true()` is; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)
