import datetime
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.errors import CarbonError, NotReady
from carbon_platform.local import readiness, supervision
from carbon_platform.local.layout import Layout
from carbon_platform.local.readiness import Part, Sight, addon, await_api, stale

START = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "coredns", "namespace": "kube-system", "generation": 1},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "dns"}}},
    "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


def pod(began: str, ready: str = "True", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "dns-1", "namespace": "kube-system", "labels": {"app": "dns"}, **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": {"running": {"startedAt": began}}}],
        },
    }


def test_a_container_from_before_the_start_is_one_that_nobody_has_told_gone() -> None:
    assert stale(pod("2026-01-01T11:59:59Z"), START)
    assert not stale(pod("2026-01-01T12:00:00Z"), START)
    assert not stale({"status": {"containerStatuses": [{"state": {"waiting": {}}}]}}, START)
    assert not stale({}, START)


def test_an_addon_is_ready_when_its_pod_runs_since_the_start() -> None:
    assert addon(DEPLOYMENT, DEPLOYMENT, [pod("2026-01-01T12:00:01Z")], START).ready
    assert addon(DEPLOYMENT, DEPLOYMENT, [pod("2026-01-01T11:00:00Z")], None).ready


def test_an_addon_is_not_ready_by_what_the_api_remembers_from_before() -> None:
    old = addon(DEPLOYMENT, DEPLOYMENT, [pod("2026-01-01T11:00:00Z")], START)
    assert (old.ready, old.message) == (False, "its pod has not been started again")
    assert not addon(DEPLOYMENT, DEPLOYMENT, [pod("2026-01-01T12:00:01Z", ready="False")], START).ready
    gone = pod("2026-01-01T12:00:01Z", deletionTimestamp="2026-01-01T12:00:02Z")
    assert not addon(DEPLOYMENT, DEPLOYMENT, [gone], START).ready


def test_an_addon_that_is_not_there_says_so() -> None:
    assert addon(DEPLOYMENT, None, [], None) == Part("Deployment kube-system/coredns", False, "is not there")


def test_nothing_waits_for_what_no_pod_needs() -> None:
    sight = Sight(
        [Part("node a", True, "is Ready")],
        [Part("dns", False, "starts"), Part("metrics", False, "starts", essential=False)],
    )
    assert sight.waiting == ["dns: starts"]


class SlowApi(Api):
    """Stand-in: an API server that is ready when it was asked three times."""

    def __init__(self) -> None:
        self.asked = 0

    async def request(self, *arguments: object, **options: object) -> Any:
        self.asked += 1
        if self.asked < 3:
            raise CarbonError("not ready", "500", "wait")


@pytest.mark.parametrize(
    ("program", "waits"), [("kube-controller-manager", True), ("etcd", False), ("kube-apiserver", False)]
)
async def test_only_what_the_api_server_needs_ends_the_wait_for_it(
    program: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_FAILING_SECONDS", 0.0)
    monkeypatch.setattr(supervision, "states", lambda layout: [{"name": program, "statename": "BACKOFF"}])
    layout = Layout(Path("/somewhere"))
    if waits:
        await await_api(SlowApi(), layout)
    else:
        with pytest.raises(NotReady, match=f"{program} does not run as it should"):
            await await_api(SlowApi(), layout)
