"""The local cluster: up, down, status."""

import asyncio
import contextlib
import dataclasses
import fcntl
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.cluster.target import Target
from carbon_platform.errors import CarbonError, Conflict, Unreachable
from carbon_platform.health.status import condition, status
from carbon_platform.local import addons, configuration, packages, programs, supervision, teardown
from carbon_platform.local.catalogue import CONTROL_PLANE, NODE, TOOLS
from carbon_platform.local.layout import Layout
from carbon_platform.local.packages import Report

_API_SECONDS = 60.0
_READY_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class LocalCluster:
    """A Kubernetes on this machine. Its methods may be called at any time, in any state, by several processes."""

    layout: Layout
    cache: Path
    report: Report

    def up(self, simulated_nodes: int = 0) -> None:
        """Bring it up, or do nothing when it is up; recovers from any way in which it ended.

        Returns when its API answers, its node is Ready and its addons are available. Raises Blocked, Conflict (a
        port is taken) or CarbonError.
        """
        if self.layout.real_node:
            packages.ensure(packages.CLUSTER, self.report)
        names = [*CONTROL_PLANE, *(NODE if self.layout.real_node else ()), *TOOLS]
        names += ["kwok"] if simulated_nodes else []
        have = programs.ensure(names, self.cache, self.report)
        self.layout.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self.layout, self.report):
            wanted = configuration.write(self.layout, have, simulated_nodes)
            text = supervision.configuration(self.layout, wanted)
            if not supervision.running(self.layout, text):
                self._start(text)
            if self.layout.real_node:
                self._images(have)
            asyncio.run(self._complete(simulated_nodes))

    def _start(self, text: str) -> None:
        self.report("starting the control plane")
        supervision.stop(self.layout)
        if self.layout.real_node:
            teardown.end_pods(self.layout)
            teardown.clean(self.layout)
        _refuse_taken_ports(self.layout)
        supervision.start(self.layout, text)

    def _images(self, have: dict[str, Path]) -> None:
        busybox = Path(shutil.which("busybox") or "/bin/busybox")
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.2), reraise=True
        ):
            with attempt:  # containerd's socket takes a moment to appear
                addons.provide_images(self.layout, have, busybox)

    async def _complete(self, simulated_nodes: int) -> None:
        async with self.api(_API_SECONDS) as api:
            await api.request("GET", "/readyz", what="wait for the API server")
            await addons.apply(api, self.layout)
            for number in range(simulated_nodes):
                name = ObjectName("v1", "Node", "", f"simulated-{number}")
                if await api.get(name) is None:
                    await api.create(addons.simulated_node(number))
            self.report("waiting for the node and its addons")
            await self._ready(api)

    async def _ready(self, api: Api) -> None:
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_NotYet),
            stop=tenacity.stop_after_delay(_READY_SECONDS),
            wait=tenacity.wait_fixed(0.25),
            reraise=True,
        ):
            with attempt:
                waiting = await self.unready(api)
                if waiting:
                    raise _NotYet(
                        "the local cluster did not get ready",
                        "; ".join(waiting),
                        f"see the logs in {self.layout.logs}",
                    )

    async def unready(self, api: Api) -> list[str]:
        """What is not as it should be, of nodes and addons."""
        nodes = await api.list("v1", "Node")
        found = [
            f"node {n['metadata']['name']} is not Ready" for n in nodes if condition(n, "Ready").get("status") != "True"
        ]
        if self.layout.real_node:
            if not any(n["metadata"]["name"] == self.layout.node for n in nodes):
                found.append(f"node {self.layout.node} has not registered")
            for obj in addons.manifests(self.layout):
                if obj["kind"] in {"Deployment", "APIService"}:
                    live = await api.get(ObjectName.of(obj))
                    now = status(live) if live else None
                    if now is None or not now.ready:
                        found.append(f"{ObjectName.of(obj)}: {now.message if now else 'is not there'}")
        return found

    def api(self, patience: float) -> Api:
        """A client for it."""
        return Api(Target(self.layout.kubeconfig, self.layout.context), patience)

    def down(self, *, delete_data: bool = False) -> None:
        """Stop it and leave nothing on the machine but its data; with `delete_data` not even that."""
        if not self.layout.folder.exists():
            return
        with _alone(self.layout, self.report):
            self.report("stopping the cluster")
            supervision.stop(self.layout)
            if self.layout.real_node:
                teardown.end_pods(self.layout)
                teardown.clean(self.layout)
            for leftover in ("containerd.sock", "containerd.sock.ttrpc", "supervisor.sock", "supervisor.pid"):
                (self.layout.folder / leftover).unlink(missing_ok=True)
            shutil.rmtree(self.layout.folder / "containerd-state", ignore_errors=True)
            # The pods are gone, and with them whoever had an address.
            shutil.rmtree(self.layout.folder / "cni-addresses", ignore_errors=True)
        if delete_data:
            self.report(f"deleting {self.layout.folder}")
            shutil.rmtree(self.layout.folder)

    def status(self) -> dict[str, Any]:
        """What runs, as `carbon cluster status --json` tells it."""
        found: dict[str, Any] = {
            "running": False,
            "kubeconfig": str(self.layout.kubeconfig),
            "context": self.layout.context,
            "version": None,
            "nodes": [],
            "components": [
                {"name": s["name"], "state": s["statename"].lower(), "pid": s["pid"], "memory": _memory(s["pid"])}
                for s in supervision.states(self.layout)
            ],
            "waiting": [],
        }
        if self.layout.kubeconfig.is_file():
            with contextlib.suppress(Unreachable):
                asyncio.run(self._live(found))
        return found

    async def _live(self, found: dict[str, Any]) -> None:
        async with self.api(1) as api:
            found["version"] = (await api.request("GET", "/version"))["gitVersion"]
            found["nodes"] = [
                {
                    "name": n["metadata"]["name"],
                    "ready": condition(n, "Ready").get("status") == "True",
                    "simulated": (n["metadata"].get("labels") or {}).get("type") == "kwok",
                }
                for n in await api.list("v1", "Node")
            ]
            found["waiting"] = await self.unready(api)
            found["running"] = not found["waiting"]


class _NotYet(CarbonError):
    pass


def _memory(pid: int) -> int:
    """Resident bytes of a process; 0 when it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096
    return 0


@contextlib.contextmanager
def _alone(layout: Layout, report: Report) -> Iterator[None]:
    """One process at a time; another waits and says so."""
    layout.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock_file = layout.folder.parent / f"{layout.folder.name}.lock"
    with lock_file.open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another command that is at work on this cluster")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_taken_ports(layout: Layout) -> None:
    deadline = time.monotonic() + 2
    for port, program in layout.ports.items():
        while True:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("0.0.0.0", port))  # noqa: S104 - asks whether any address has it; never listens
                    break
                except OSError as error:
                    if time.monotonic() < deadline and _holder(port) is None:
                        time.sleep(0.1)  # a connection of the process that has just ended
                        continue
                    raise Conflict(
                        f"port {port} is in use, and {program} needs it",
                        f"{_holder(port) or 'another process'} listens on it",
                        "end that process, or choose another port",
                    ) from error


def _holder(port: int) -> str | None:
    """The process that listens on a port: its name and id."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str(fd.readlink()) in inodes for fd in (entry / "fd").iterdir()):
                    return f"{(entry / 'comm').read_text(encoding='utf-8').strip()} (process {entry.name})"
    return None
