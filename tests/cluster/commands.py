"""A small platform driven by whole commands, as a person or a script would."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.local.cluster import LocalCluster

CARBON = Path(sys.executable).with_name("carbon")
CHARTS = Path(__file__).parent / "charts"


class Platform:
    """A small platform in a namespace of its own, and the command line for it."""

    def __init__(self, folder: Path, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.namespace = f"t-{uuid.uuid4().hex[:8]}"
        self.defs = folder / "defs"
        (folder / "charts").symlink_to(CHARTS)
        self.environment = {
            **os.environ,
            "CARBON_HOME": str(folder / "home"),
            "CARBON_DEFS": str(self.defs),
            "CARBON_CONTEXT": cluster.layout.context,
            "CARBON_KUBECONFIG": str(cluster.layout.kubeconfig),
        }

    def define(self, key: str, **attributes: Any) -> None:
        """Write (or write anew) a component."""
        folder = self.defs / key
        folder.mkdir(parents=True, exist_ok=True)
        body = {"title": key, "group": "data", "namespace": self.namespace, "chart": {"path": "charts/app"}}
        text = yaml.safe_dump({"type": "carbon_platform.components.HelmRelease", "attributes": {**body, **attributes}})
        (folder / "defs.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """A whole `carbon` command."""
        done = subprocess.run(
            [CARBON, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """What a command prints for scripts."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A `carbon` command, running."""
        return subprocess.Popen(
            [CARBON, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def states(self) -> dict[str, str]:
        """The state of each component."""
        return {c["key"]: c["state"] for c in self.json("status", code=None)["components"]}

    def api(self) -> Api:
        """A client for the cluster."""
        return self.cluster.api(10)

    def get(self, kind: str, name: str, api_version: str = "v1") -> dict[str, Any] | None:
        """A live object of the namespace."""

        async def read() -> dict[str, Any] | None:
            async with self.api() as api:
                return await api.get(ObjectName(api_version, kind, self.namespace, name))

        return asyncio.run(read())

    def everything(self) -> dict[str, str]:
        """Resource version of every object of the namespace that a deployment could write."""
        kinds = [("v1", k) for k in ("ConfigMap", "Secret", "Service", "Pod", "PersistentVolumeClaim")]
        kinds += [("apps/v1", k) for k in ("Deployment", "StatefulSet", "ReplicaSet")]
        kinds += [("coordination.k8s.io/v1", "Lease")]

        async def read() -> dict[str, str]:
            async with self.api() as api:
                found = [o for kind in kinds for o in await api.list(*kind, self.namespace)]
            return {str(ObjectName.of(o)): o["metadata"]["resourceVersion"] for o in found}

        return asyncio.run(read())


@pytest.fixture
def platform(tmp_path: Path, cluster: LocalCluster) -> Iterator[Platform]:
    """An empty one, for the test to define; its namespace is deleted afterwards."""
    made = Platform(tmp_path, cluster)
    yield made

    async def delete() -> None:
        async with made.api() as api:
            await api.delete(ObjectName("v1", "Namespace", "", made.namespace))

    asyncio.run(delete())
