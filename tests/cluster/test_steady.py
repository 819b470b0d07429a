"""A container that restarts again and again after it was verified, and is ready whenever somebody looks."""

import datetime
from typing import Any

from carbon_platform.cluster.client import Api
from carbon_platform.materialization.verify import verify
from carbon_platform.session import Session
from tests.cluster.platform import Platform


def ago(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def restarted(platform: Platform, api: Api, lasted: float, runs: float) -> None:
    """Its one container was restarted four times, last after a run of `lasted`, and runs for `runs` seconds."""
    (pod,) = await api.list("v1", "Pod", platform.namespace)
    (container,) = pod["status"]["containerStatuses"]
    times = {"startedAt": ago(runs + lasted), "finishedAt": ago(runs)}
    ended: dict[str, Any] = {"terminated": {"exitCode": 137, "reason": "Error", **times}}
    container |= {"restartCount": 4, "lastState": ended, "state": {"running": {"startedAt": ago(runs)}}}
    path = (await api.resource("v1", "Pod")).path(platform.namespace, pod["metadata"]["name"])
    await api.request("PUT", f"{path}/status", body=pod)


async def test_what_restarts_again_and_again_is_told_by_who_looks_next(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(values={"replicas": 1})
    outcome = await platform.up(session)
    assert outcome.verified
    component = platform.load().components["app"]
    # The node's clock is this machine's, and times are whole seconds: the restarts are after the change all the same.
    await restarted(platform, api, lasted=120, runs=-2)
    (ready,) = await verify(component, session)
    assert not ready.passed
    assert "was restarted 4 times, last after 120 s (Error)" in ready.detail
    assert platform.states() == {"app": "degraded"}


async def test_what_has_outlived_its_restarts_is_verified_again(platform: Platform, session: Session, api: Api) -> None:
    platform.define(values={"replicas": 1})
    await platform.up(session)
    await restarted(platform, api, lasted=3, runs=60)
    (ready,) = await verify(platform.load().components["app"], session)
    assert ready.passed
    assert platform.states() == {"app": "verified"}
