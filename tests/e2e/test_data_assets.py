"""A data asset of another dg project in the browser: it runs while Trino is verified, and only then."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from carbon_platform.environment import LOCAL, LOCAL_CONTEXT
from carbon_platform.local.packages import ensure
from carbon_platform.local.ports import free_ports
from tests.e2e.conftest import Carbon
from tests.e2e.test_platform import BREAKS
from tests.e2e.web_ui import PACKAGES, WebUi, chromium
from tests.machine.sandbox import until

MART = Path(__file__).parents[1] / "projects" / "mart"
SEEN = "CARBON_TEST_SEEN"
"""Set to a folder, it has pictures of what was seen put there."""
SWEEP = 240.0
"""Seconds within which a sweep has found Trino's worker missing: it waits for it to join again."""
pytestmark = pytest.mark.rare


class Mart:
    """The project in a folder of its own, with records of its own of the real platform."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        shutil.copytree(MART, folder, ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "environments.yaml"
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        told["environments"] = {LOCAL: {"cluster": {"context": LOCAL_CONTEXT, "kubeconfig": str(kubeconfig)}}}
        file.write_text(yaml.safe_dump(told), encoding="utf-8")
        self.carbon = Carbon(
            CARBON_HOME=str(folder / "home"),
            CARBON_ENVIRONMENTS=str(file),
            CARBON_ENV=LOCAL,
            CARBON_SETTLE_SECONDS="180",
        )

    @contextlib.contextmanager
    def serving(self, *command: str) -> Iterator[str]:
        """What a command says once it serves; it is ended afterwards."""
        with self.carbon.start(*command) as process:
            try:
                assert process.stdout is not None
                told = process.stdout.readline()
                assert "http://127.0.0.1" in told, told + process.stdout.read()
                yield told
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=90)

    def state(self) -> str:
        (trino,) = self.carbon.json("status", "trino", code=None)["components"]
        return str(trino["state"])


@pytest.fixture(scope="module")
def mart(platform: dict[str, Any], cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Mart:
    """It knows that the platform works."""
    made = Mart(tmp_path_factory.mktemp("mart") / "mart", cluster)
    made.carbon("up", "trino")
    return made


def ask(url: str, query: str, **variables: Any) -> Any:
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


HEAL = """query ($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ... on Sensor { sensorState { id status } } }
}"""
STOP = """mutation ($id: String!) {
  stopSensor(id: $id) { ... on StopSensorMutationResult { instigationState { status } } }
}"""


@pytest.fixture(scope="module")
def url(mart: Mart) -> Iterator[str]:
    """`carbon ui` of the project, with healing paused, and Trino where the asset asks it.

    An evaluation of the sensor that is under way would still heal: it has to be paused before the daemon starts.
    """
    (port,) = free_ports(1)
    serve = ("ui", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    with mart.serving(*serve):
        selector = {"repositoryLocationName": "mart", "repositoryName": "__repository__", "sensorName": "heal"}
        state = ask(address, HEAL, selector=selector)["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING"
        ask(address, STOP, id=state["id"])
    with mart.serving("open", "trino", "--json") as told:
        mart.carbon.environment["TRINO_URL"] = yaml.safe_load(told)["url"]
        with mart.serving(*serve):
            yield address


@pytest.fixture(scope="module")
def web(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    """A browser at it."""
    ensure(PACKAGES, print)
    with chromium(tmp_path_factory.mktemp("chromium"), (1300, 900)) as browser:
        yield WebUi(browser, url)


@pytest.fixture
def broken(mart: Mart, kubectl: Callable[..., str]) -> Iterator[None]:
    """Trino has no worker, and a sweep has found that; right again afterwards."""
    kubectl("-n", "data-platform", *BREAKS["trino"])
    try:
        until(lambda: mart.state() == "degraded", SWEEP)
        yield
    finally:
        mart.carbon("up", "trino")


def launch(web: WebUi) -> None:
    """Materialize the asset as a person does, and go to its run."""
    web.open("/assets/revenue")
    web.press("Materialize")
    run = web.reads(r"^Launched run (\w+)")[1]
    web.open("/runs")
    web.press(run)


def seen(web: WebUi, name: str) -> None:
    if os.environ.get(SEEN):
        web.picture(Path(os.environ[SEEN]) / f"{name}.png")


def test_it_runs_while_trino_is_verified(web: WebUi) -> None:
    launch(web)
    web.reads("^Success$", 120)
    seen(web, "verified")
    web.open("/assets/revenue")
    web.reads(r"^north\n.*\n8$")


@pytest.mark.usefixtures("broken")
def test_while_trino_is_broken_it_is_refused_with_cause_fix_and_a_link(web: WebUi) -> None:
    launch(web)
    web.reads("^Failure$", 120)
    web.reads(r"trino is degraded, not verified: .*0 Trino workers are active")
    seen(web, "refused")


def test_it_runs_again_when_trino_is_verified_again(web: WebUi, mart: Mart) -> None:
    assert mart.state() == "verified"
    launch(web)
    web.reads("^Success$", 120)
    seen(web, "again")
