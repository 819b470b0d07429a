"""The real local cluster and the real platform on it; tests that break things use components of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.environment import LOCAL, LOCAL_CONTEXT
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from tests.definitions import environments

CARBON = Path(sys.executable).with_name("carbon")
CHARTS = Path(__file__).parent / "charts"
_LINES = 80


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside what failed under `carbon ui`: the incidents, and the logs without what every run says of itself."""
    report = yield
    if report.failed and call.when == "call" and "url" in getattr(item, "fixturenames", ()):
        report.sections.append(("carbon incidents", Carbon()("incidents", "--json", code=None).stdout[:4000]))
        for file in sorted((Settings().home / "logs").glob("*.log")):
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if " - DEBUG - " not in line]
            report.sections.append((file.name, "\n".join(line[:300] for line in lines[-_LINES:])))
    return report


class Carbon:
    """The command line, with settings of one's own."""

    def __init__(self, **environment: str) -> None:
        self.environment = {**os.environ, **environment}

    def __call__(self, *arguments: str, code: int | None = 0, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [CARBON, *arguments], env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def broken(self) -> dict[str, str]:
        """State by component of what is not verified, but for what may be blocked where no registry is reached."""
        excused = load_platform(Settings()).excusable
        found = {c["key"]: c["state"] for c in self.json("status", code=None)["components"] if c["state"] != "verified"}
        return {key: state for key, state in found.items() if key not in excused or state != "blocked"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [CARBON, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings()


@pytest.fixture(scope="session")
def carbon() -> Carbon:
    """The platform's own command line, as a user has it.

    With the cluster everything starts at once here, beside other tests: Ray gives up a start after 30 s, and is
    started again.
    """
    return Carbon(CARBON_SETTLE_SECONDS="180")


@pytest.fixture(scope="session")
def cluster(carbon: Carbon) -> Iterator[Path]:
    """Kubeconfig of the local cluster, up. It is left as it was found."""
    was_running = carbon("cluster", "status", code=None).returncode == 0
    carbon("cluster", "up", seconds=3600)
    yield Path(carbon.json("cluster", "status")["kubeconfig"])
    if not was_running:
        carbon("cluster", "down")


@pytest.fixture(scope="session")
def platform(carbon: Carbon, cluster: Path) -> dict[str, Any]:
    """The whole platform, deployed and verified; what `carbon up --json` printed."""
    told: dict[str, Any] = carbon.json("up")
    return told


@pytest.fixture(scope="session")
def kubectl(cluster: Path) -> Callable[..., str]:
    """kubectl on the local cluster; its output."""
    program = next((Settings().cache / "programs" / "kubectl").glob("*/kubectl"))

    def run(*arguments: str, code: int | None = 0, text: str | None = None) -> str:
        done = subprocess.run(
            [program, "--kubeconfig", cluster, *arguments], capture_output=True, text=True, input=text, check=False
        )
        if code is not None:
            assert done.returncode == code, done.stderr
        return done.stdout

    return run


@pytest.fixture
def own(cluster: Path, kubectl: Callable[..., str], tmp_path: Path) -> Iterator["OwnPlatform"]:
    """A small platform of the test's own, in a namespace of its own; gone afterwards."""
    name = "e2e-" + "".join(c for c in tmp_path.name.lower() if c.isalnum())[-20:]
    yield OwnPlatform(tmp_path, cluster, name)
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


class OwnPlatform:
    """Components defined by a test, on the local cluster, with records of their own."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str) -> None:
        self.defs, self.namespace = folder / "defs", namespace
        self.home = folder / "home"
        cluster = {"context": LOCAL_CONTEXT, "kubeconfig": str(kubeconfig)}
        (folder / "charts").symlink_to(CHARTS)
        self.carbon = Carbon(
            CARBON_HOME=str(self.home),
            CARBON_DEFS=str(self.defs),
            CARBON_ENV=LOCAL,
            CARBON_ENVIRONMENTS=str(environments(folder, {LOCAL: {"cluster": cluster}})),
        )

    def define(self, key: str, **attributes: Any) -> None:
        folder = self.defs / key
        folder.mkdir(parents=True, exist_ok=True)
        body = {
            "title": key,
            "group": "data",
            "namespace": self.namespace,
            "chart": {"path": "charts/probe"},
            **attributes,
        }
        text = yaml.safe_dump({"type": "carbon_platform.components.HelmRelease", "attributes": body})
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
