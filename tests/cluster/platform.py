"""A small platform of a test's own on the test cluster: one chart for everything, and Carbon run on it."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, ObjectName
from carbon_platform.cluster.target import Target
from carbon_platform.local import supervision
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.release import materialize_release
from carbon_platform.session import Session, open_session
from carbon_platform.settings import Settings
from tests.cluster.waiting import until
from tests.definitions import Definitions, environments

CARBON = Path(sys.executable).with_name("carbon")
ENVIRONMENT = "test"
"""Of all these platforms, as they share a cluster."""
CHARTS = Path(__file__).parent / "charts"
API_VERSIONS = {kind: api_version for api_version, kind in BUILT_IN}


class Platform(Definitions):
    """Components that a test defines, in a namespace of its own, with records and Dagster storage of its own."""

    def __init__(self, folder: Path, cache: Path, cluster: LocalCluster, namespace: str) -> None:
        super().__init__(folder)
        self.home, self.cluster, self.namespace = folder / "home", cluster, namespace
        self._cache = cache
        (folder / "charts").symlink_to(CHARTS)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CARBON_", "DAGSTER_"))},
            "CARBON_HOME": str(self.home),
            "CARBON_CACHE": str(cache),
            "CARBON_DEFS": str(self.defs),
            "CARBON_ENV": ENVIRONMENT,
            "CARBON_SETTLE_SECONDS": "0",
        }
        self.reach_by(cluster.layout.kubeconfig)

    def reach_by(self, kubeconfig: Path, name: str = ENVIRONMENT, **said: Any) -> None:
        """From now on Carbon reaches the cluster by this kubeconfig, in the environment of this name."""
        cluster = {"context": self.cluster.layout.context, "kubeconfig": str(kubeconfig)}
        file = environments(self.folder, {name: {"cluster": cluster} | said})
        self.environment |= {"CARBON_ENVIRONMENTS": str(file), "CARBON_ENV": name}

    def define(self, key: str = "app", **attributes: Any) -> None:
        """A release of the small chart."""
        self.release(key, **{"namespace": self.namespace, "chart": {"path": "charts/app"}, **attributes})

    def settings(self, environment: str = "", **changed: Any) -> Settings:
        """The settings that the environment says, for use in the test's own process."""
        told: dict[str, Any] = {
            "home": self.home,
            "cache": self._cache,
            "defs": str(self.defs),
            "settle_seconds": 0,
        }
        return Settings(**told | {"env": environment or self.environment["CARBON_ENV"]} | changed)

    async def up(self, session: Session, key: str = "app", **options: Any) -> Outcome:
        """Materialize one component in this process, as its asset does."""
        return await materialize_release(self.load().components[key], session, Options(**options))

    def deploy(self, key: str = "app") -> Outcome:
        """Materialize one component in this process, for tests that are no coroutines."""

        async def materialize() -> Outcome:
            async with open_session(self.settings()) as session:
                return await self.up(session, key)

        return asyncio.run(materialize())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Carbon, at work; what it prints can be read from its output."""
        command = [CARBON, *arguments]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str, code: int | None = 0, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Carbon, run to its end."""
        done = subprocess.run(
            [CARBON, *arguments], env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert code in {None, done.returncode}, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """What Carbon prints as JSON."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def states(self) -> dict[str, str]:
        """The state of each component, as `carbon status` tells it."""
        done = subprocess.run(
            [CARBON, "status", "--json"], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        return {one["key"]: one["state"] for one in json.loads(done.stdout)["components"]}

    def runs(self) -> int:
        """How many Dagster runs there were."""
        with sqlite3.connect(self.home / "dagster" / "history" / "runs.db") as db:
            (count,) = db.execute("select count(*) from runs").fetchone()
        db.close()
        return int(count)

    def records(self) -> dict[str, str]:
        """What Carbon remembers of each component, as it is written: whatever is recorded changes it."""
        with contextlib.closing(sqlite3.connect(self.home / "records.db")) as db:
            return dict(db.execute("select component, body from record"))

    def api(self) -> Api:
        """A client with every right."""
        return Api(Target(self.cluster.layout.kubeconfig, self.cluster.layout.context), 30)

    def name(self, kind: str, name: str) -> ObjectName:
        """The name of an object in the test's namespace."""
        return ObjectName(API_VERSIONS[kind], kind, self.namespace, name)

    def create(self, obj: Object) -> None:
        """Create an object, for tests that are no coroutines."""

        async def write() -> None:
            async with self.api() as api:
                await api.create(obj)

        asyncio.run(write())

    def server(self) -> int:
        """The process of the API server. Its supervisor starts another one when it ends."""
        states = {state["name"]: state["pid"] for state in supervision.states(self.cluster.layout)}
        return int(states["kube-apiserver"])

    @contextlib.contextmanager
    def server_away(self) -> Iterator[None]:
        """No API server meanwhile; back, with all its clients, afterwards."""
        layout = self.cluster.layout
        # Left alone they come back after a pause that gets longer with each time, beyond a minute.
        with supervision.away(layout, "kube-controller-manager", "kube-scheduler", "kwok"):
            with supervision.away(layout, "kube-apiserver"):
                yield
            asyncio.run(self._nodes_for_anyone())
        asyncio.run(self._controllers_work())

    @contextlib.contextmanager
    def nodes_silent(self) -> Iterator[None]:
        """Nobody speaks for the nodes meanwhile; they are back, and take pods, afterwards.

        A simulated node does not tell anew of pods that it had before, as a kubelet would.
        """
        with supervision.away(self.cluster.layout, "kwok"):
            yield
            asyncio.run(self._nodes_for_anyone())
        asyncio.run(self._controllers_work())

    async def _nodes_for_anyone(self) -> None:
        """No kwok holds a node any more. A new one waits until the leases of the old one are over.

        To be called while none runs: one that waits for a lease and sees it go never tries again.
        """
        async with self.api() as api:
            for lease in await api.list("coordination.k8s.io/v1", "Lease", "kube-node-lease"):
                await api.delete(ObjectName.of(lease))

    async def _controllers_work(self) -> None:
        """Return when a new namespace gets its account, and a new pod runs."""
        name = f"probe-{uuid.uuid4().hex[:8]}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        pod = probe_pod(name)
        async with self.api() as api:

            async def account() -> bool:
                return await api.get(ObjectName("v1", "ServiceAccount", name, "default")) is not None

            async def phase() -> str:
                live = await api.get(ObjectName.of(pod))
                return live["status"]["phase"] if live else "gone"

            await api.create(namespace)
            await until(account, True)
            await api.create(pod)
            await until(phase, "Running")
            await api.delete(ObjectName.of(namespace))

    def get(self, kind: str, name: str) -> Object | None:
        """A live object of the test's namespace, for tests that are no coroutines."""

        async def look() -> Object | None:
            async with self.api() as api:
                return await api.get(self.name(kind, name))

        return asyncio.run(look())


def probe_pod(name: str) -> Object:
    """A pod for a simulated node, in the namespace of its name."""
    spec = {
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "containers": [{"name": "main", "image": "example.invalid/probe:1"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": name}, "spec": spec}
