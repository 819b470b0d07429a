"""The local cluster: up, down, status."""

import asyncio
import contextlib
import dataclasses
import datetime
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.target import Target
from carbon_platform.errors import Blocked, CarbonError, Conflict
from carbon_platform.local import (
    addons,
    cgroups,
    claim,
    configuration,
    network,
    node,
    packages,
    ports,
    processes,
    programs,
    readiness,
    simulation,
    supervision,
    teardown,
)
from carbon_platform.local.catalogue import CONTROL_PLANE, NODE, TOOLS
from carbon_platform.local.layout import Layout, kept
from carbon_platform.local.packages import Report

_CONTAINERD_SECONDS = 30.0
_SOCKETS = ("containerd.sock", "containerd.sock.ttrpc", "supervisor.sock", "supervisor.pid")


@dataclasses.dataclass(frozen=True)
class LocalCluster:
    """A Kubernetes on this machine. Its methods may be called at any time, in any state, by several processes."""

    layout: Layout
    cache: Path
    report: Report

    def prepare(self) -> None:
        """Have every program that it may ever run, on this machine; starts nothing. Raises as `up` does."""
        self._programs([*CONTROL_PLANE, *NODE, *TOOLS, "kwok"])

    def up(self, simulated_nodes: int | None = None) -> None:
        """Bring it up, or do nothing when it is up; recovers from any way in which it ended.

        Returns when its API answers, its nodes are Ready and its addons are available. `simulated_nodes` of None
        keeps those that are there. Raises Blocked, Conflict (a port is taken, another cluster runs), NotReady with
        the cause, or CarbonError.
        """
        simulates = supervision.configured(self.layout, "kwok") if simulated_nodes is None else simulated_nodes > 0
        names = [*CONTROL_PLANE, *(NODE if self.layout.real_node else ()), *TOOLS, *(["kwok"] if simulates else [])]
        have = self._programs(names)
        with _alone(self.layout, self.report):
            since = self._run(have, simulates)
            if self.layout.real_node:
                self._images(have)
            asyncio.run(self._complete(simulated_nodes, since))

    def _programs(self, names: Sequence[str]) -> dict[str, Path]:
        if self.layout.real_node:
            _require_root()
            packages.ensure(packages.CLUSTER, self.report)
        return programs.ensure(names, self.cache, self.report)

    def _run(self, have: dict[str, Path], simulates: bool) -> datetime.datetime | None:
        """Have the programs run as they should; when they were started, if nothing ran before."""
        before = kept(self.layout.folder)
        if before is not None and before.real_node and not self.layout.real_node:
            self._stop(before)  # nothing would look after its pods any more
        if supervision.states(self.layout):
            text = self._prepare(have, simulates)
            changed = supervision.adjust(self.layout, text)
            if changed:
                self.report(f"started anew: {', '.join(changed)}")
            return None
        if self.layout.real_node:
            self._displace()
        self._stop(self.layout)
        ports.refuse_taken(self.layout.ports)
        self.report("starting the control plane")
        text = self._prepare(have, simulates)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        supervision.start(self.layout, text)
        return now

    def _displace(self) -> None:
        """Take away what another cluster, that runs no more, left on this machine; its data stays.

        Raises Conflict when it does run: there is one pod network, for one cluster.
        """
        folder = claim.holder()
        if folder is None or folder == self.layout.folder:
            return
        other = kept(folder) or Layout(folder)
        if supervision.states(other):
            raise Conflict(
                "another local cluster runs on this machine",
                f"the one in {folder}, and there is one pod network for one cluster",
                f"stop it: CARBON_HOME={folder.parent} carbon cluster down",
            )
        self._stop(other)

    def _prepare(self, have: dict[str, Path], simulates: bool) -> str:
        """Make what the programs need; the supervisor's configuration."""
        if self.layout.real_node:
            claim.take(self.layout)
            cgroups.make(self.layout.cgroup)
            network.provide(self.layout)
        return self._configuration(have, simulates)

    def _configuration(self, have: dict[str, Path], simulates: bool) -> str:
        configuration.write(self.layout)
        running = configuration.control_plane(self.layout, have)
        if self.layout.real_node:
            seen = network.sees_bridged_traffic()
            running += node.node(self.layout, have, bridged_traffic_seen=seen)
        if simulates:
            running.append(configuration.simulator(self.layout, have))
        self.layout.keep()
        return supervision.configuration(self.layout, running)

    def _images(self, have: dict[str, Path]) -> None:
        busybox = Path(shutil.which("busybox") or "/bin/busybox")
        deadline = time.monotonic() + _CONTAINERD_SECONDS
        while True:
            try:
                addons.provide_images(self.layout, have, busybox)
            except CarbonError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)  # containerd takes a moment to answer
            else:
                return

    async def _complete(self, simulated_nodes: int | None, since: datetime.datetime | None) -> None:
        objects = addons.manifests(self.layout)
        async with self.api() as api:
            await readiness.await_api(api, self.layout)
            await addons.apply(api, objects)
            if simulated_nodes is not None:
                await simulation.scale(api, simulated_nodes)
            await readiness.await_ready(api, self.layout, objects, since, self.report)

    def api(self, patience: float = 5.0) -> Api:
        """A client for it."""
        return Api(Target(self.layout.kubeconfig, self.layout.context), patience)

    def down(self, *, delete_data: bool = False) -> None:
        """Stop it and leave nothing on the machine but its data; with `delete_data` not even that."""
        if not self.layout.folder.exists():
            return
        with _alone(self.layout, self.report):
            self.report("stopping the cluster")
            self._stop(kept(self.layout.folder) or self.layout)
            if delete_data:
                self.report(f"deleting {self.layout.folder}")
                # Never through a mount: what is behind it may be anybody's.
                teardown.unmount(self.layout.folder)
                shutil.rmtree(self.layout.folder)

    def _stop(self, layout: Layout) -> None:
        supervision.stop(layout)
        if layout.real_node:
            teardown.end_pods(layout)
            teardown.clean(layout)
            # Rules that look like ours may be those of another Kubernetes, unless we know that we made them.
            if claim.holder() == layout.folder:
                network.remove()
                claim.give_up()
        # Without a kubeconfig every command says at once that no cluster is up, where its address would only time out.
        for leftover in (layout.kubeconfig, *(layout.folder / name for name in _SOCKETS)):
            leftover.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """What runs, as `carbon cluster status --json` tells it."""
        found: dict[str, Any] = {
            "running": False,
            "kubeconfig": str(self.layout.kubeconfig),
            "context": self.layout.context,
            "version": None,
            "nodes": [],
            "components": [
                {
                    "name": state["name"],
                    "state": state["statename"].lower(),
                    "pid": state["pid"],
                    "memory": processes.resident_bytes(state["pid"]),
                }
                for state in supervision.states(self.layout)
            ],
            "addons": [],
        }
        if self.layout.kubeconfig.is_file():
            with contextlib.suppress(CarbonError):
                asyncio.run(self._live(found))
        return found

    async def _live(self, found: dict[str, Any]) -> None:
        async with self.api(patience=1) as api:
            found["version"] = (await api.request("GET", "/version"))["gitVersion"]
            sight = await readiness.look(api, self.layout, addons.manifests(self.layout))
            found["nodes"] = [
                {"name": n.name.removeprefix("node "), "ready": n.ready, "simulated": n.simulated} for n in sight.nodes
            ]
            found["addons"] = [{"name": a.name, "ready": a.ready, "message": a.message} for a in sight.addons]
            found["running"] = not sight.waiting


def _require_root() -> None:
    if os.geteuid() != 0:
        raise Blocked(
            "a node for real pods can't be made",
            "namespaces, mounts and firewall rules take root",
            "run it as root, or with --control-plane-only for simulated nodes alone",
        )


def existing(folder: Path, cache: Path, report: Report) -> LocalCluster:
    """The cluster that was last brought up in a folder, to ask or to stop it."""
    return LocalCluster(kept(folder) or Layout(folder), cache, report)


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
