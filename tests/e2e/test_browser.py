"""The platform in Dagster's web UI, with a browser: the lineage is found, a button is pressed, a fault is followed."""

import datetime
import itertools
import json
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from carbon_platform.local.packages import ensure
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform
from tests.e2e.conftest import Carbon
from tests.e2e.web_ui import PACKAGES, SIZE, Evaluation, WebUi, chromium
from tests.machine.sandbox import until

CHAINS = (
    ("postgres", "iceberg_rest", "trino", "iceberg_tables"),
    ("object_store", "iceberg_rest"),
    ("kafka", "kafka_topics"),
    ("kuberay_operator", "ray_cluster"),
    ("postgres", "dolphinscheduler"),
    ("zookeeper", "dolphinscheduler"),
    ("object_store", "dolphinscheduler"),
    ("kafka", "datahub"),
)
"""What people know of the platform: each needs the one before it."""
IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = "CARBON_TEST_PICTURES"
"""Set, it has the pictures of the documentation taken anew."""
SWEEP = 180.0
"""Seconds within which the next sweep has said something: one a minute, and none begins before the last is over."""


@pytest.fixture(scope="module")
def defined(settings: Settings) -> Platform:
    """The platform as it is defined."""
    return load_platform(settings)


@pytest.fixture(scope="module")
def url(platform: dict[str, Any], carbon: Carbon) -> Iterator[str]:
    """Where `carbon ui` serves the platform. It refuses, and so fails this, while another serves the same state."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with carbon.start("ui", "--port", str(port)) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert f":{port}" in told, told + process.stdout.read()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def web(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    """A browser at it; what it needs of the distribution is installed first."""
    ensure(PACKAGES, print)
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield WebUi(browser, url)


def picture(web: WebUi, name: str) -> None:
    """Renew a picture of the documentation, when that is asked for."""
    if os.environ.get(PICTURES):
        web.picture(IMAGES / name)
        assert (IMAGES / name).stat().st_size < 300_000


def test_the_lineage_shows_each_component_in_its_group_and_each_need_as_an_edge(
    web: WebUi, defined: Platform, carbon: Carbon
) -> None:
    groups: dict[str, set[str]] = {}
    for key, component in defined.components.items():
        groups.setdefault(component.group, set()).add(key)
    web.open_lineage()
    lineage = web.settled_lineage(defined.components)
    assert lineage.groups == groups
    edges = lineage.edges
    assert edges == {(need, key) for key, needs in defined.needs.items() for need in needs}
    chains = [chain for chain in CHAINS if set(chain) <= set(defined.components)]
    assert len(chains) >= 3
    for chain in chains:
        assert set(itertools.pairwise(chain)) <= edges
    if os.environ.get(PICTURES):
        verified = {c["key"] for c in carbon.json("status", code=None)["components"] if c["state"] == "verified"}
        web.until(lambda: web.green(defined.components) >= verified, "what is verified is not green", SWEEP)
        picture(web, "lineage.png")


def test_a_press_on_materialize_runs_a_component_and_verifies_it(web: WebUi, carbon: Carbon) -> None:
    pressed = datetime.datetime.now(datetime.UTC)
    web.open_lineage()
    web.select("redis")
    web.press("Materialize selected")
    run = web.reads(r"^Launched run (\w+)")[1]
    web.reads(rf"^Run {run}$", seconds=60)  # the latest materialization, in the panel beside the lineage
    web.open("/runs")
    web.press(run)
    web.reads(r"^Success$")
    (redis,) = carbon.json("status", "redis")["components"]
    assert redis["state"] == "verified"
    assert redis["checks"]
    assert all(datetime.datetime.fromisoformat(check["at"]) > pressed for check in redis["checks"])
    web.open("/assets/redis?view=checks")
    for check in (*(check["name"] for check in redis["checks"]), "healthy"):
        web.reads(rf"^{check}\nSucceeded$")


_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def test_redeploy_ticked_in_the_launchpad_makes_a_revision_and_a_new_pod(
    url: str, carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    """What the launchpad sends: the run's configuration beside the selected asset."""

    def state() -> tuple[int, str]:
        (component,) = carbon.json("status", "redis")["components"]
        pod = kubectl("-n", "data-platform", "get", "pod", "redis-0", "-o", "jsonpath={.metadata.uid}")
        return component["revision"], pod

    def ask(query: str, **variables: Any) -> Any:
        answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        return answer["data"]

    before = state()
    selector = {
        "repositoryLocationName": "carbon",
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["redis"]}],
    }
    config = {"ops": {"redis": {"config": {"redeploy": True}}}}
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        launched = ask(_LAUNCH, params={"selector": selector, "runConfigData": config})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run = launched["run"]["runId"]

        def over() -> bool:
            return ask(_STATUS, id=run)["runOrError"]["status"] in {"SUCCESS", "FAILURE", "CANCELED"}

        until(over)
        assert ask(_STATUS, id=run)["runOrError"]["status"] == "SUCCESS"
    revision, pod = state()
    assert revision == before[0] + 1
    assert pod != before[1]
    (redis,) = carbon.json("status", "redis")["components"]
    assert redis["state"] == "verified"


@pytest.mark.rare
@pytest.mark.usefixtures("url")
def test_a_fault_that_leaves_every_pod_ready_is_found_by_the_next_sweep_and_healed(
    carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    def incidents() -> dict[str, Any]:
        return {one["id"]: one for one in carbon.json("incidents", "redis", code=None)["incidents"]}

    def ready() -> str:
        path = "jsonpath={.status.containerStatuses[*].ready}"
        return kubectl("-n", "data-platform", "get", "pod", "redis-0", "-o", path)

    before = incidents()
    replica = 'REDISCLI_AUTH="$(cat /etc/redis-auth/password)" redis-cli replicaof 127.0.0.1 1'
    kubectl("-n", "data-platform", "exec", "redis-0", "--", "sh", "-c", replica)
    until(lambda: incidents().keys() > before.keys(), SWEEP)
    assert ready() == "true"
    (fault,) = incidents().keys() - before.keys()
    until(lambda: incidents()[fault]["closed_at"], 300)
    incident = incidents()[fault]
    assert (incident["sign"], incident["outcome"]) == ("check failed", "healed")
    assert incident["object"].startswith("redis_")
    assert [attempt["remedy"] for attempt in incident["attempts"]][-1] == "restart"
    (component,) = carbon.json("verify", "redis")["components"]
    assert all(check["passed"] for check in component["checks"])


def green_again(history: list[Evaluation]) -> bool:
    """Passed since; one that is being made says nothing yet."""
    results = [one.result for one in history if one.result in {"Passed", "Failed"}]
    return bool(results) and results[0] == "Passed"


@pytest.fixture
def slip(kubectl: Callable[..., str], carbon: Carbon) -> Iterator[Callable[[str], None]]:
    """Has redis' Service select pods by a wrong name, as somebody's slip of the hand would; right again afterwards."""

    def select(name: str) -> None:
        wrong = json.dumps({"spec": {"selector": {"app.kubernetes.io/instance": name}}})
        kubectl("-n", "data-platform", "patch", "service", "redis", "--type=merge", "-p", wrong)

    yield select
    carbon("up", "redis")


def test_a_fault_shows_with_its_cause_then_the_run_that_healed_it_and_the_next_sweep_is_green(
    web: WebUi, carbon: Carbon, slip: Callable[[str], None]
) -> None:
    web.open("/assets/redis?view=checks")
    web.press("Execution history")
    web.until(web.history, "no history of the check")
    wrong = f"redis-{uuid.uuid4().hex[:8]}"
    slip(wrong)

    def since() -> list[Evaluation]:
        """What the check came to from this fault on, the newest first."""
        history = web.history()
        ours = [number for number, one in enumerate(history) if wrong in one.description]
        return history[: ours[-1] + 1] if ours else []

    fault = web.until(since, "the fault is not in the check's history", SWEEP, web.refresh)[-1]
    assert fault.result == "Failed"
    assert "Service data-platform/redis" in fault.description
    assert "selector" in fault.description

    def over() -> dict[str, Any] | None:
        told = carbon.json("incidents", "redis", code=None)["incidents"]
        return next((one for one in told if wrong in one["cause"] and one["closed_at"]), None)

    incident = web.until(over, "the incident does not end")
    assert incident["outcome"] == "healed"
    assert incident["object"] == "Service data-platform/redis"
    (attempt,) = (one for one in incident["attempts"] if one["components"] == ["redis"])
    assert attempt["helped"]
    # In the healing run, or by a sweep since: one that finds nothing else says nothing more.
    web.until(lambda: green_again(since()), "the check is not green again", SWEEP, web.refresh)
    web.resize(1500, 850)
    picture(web, "healing.png")
    web.resize(*SIZE)

    web.open("/runs")
    web.press(attempt["run_id"][:8])
    web.reads("^Success$")
    web.press("View tags and config")
    web.reads(f"carbon/incident: {incident['id']}")
