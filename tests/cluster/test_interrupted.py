"""Killed, interrupted, doubled, cut off: the next `carbon up` ends verified, and one release has one writer."""

import asyncio
import contextlib
import datetime
import os
import random
import signal
import time
from typing import Any

import pytest

from carbon_platform.local import supervision
from carbon_platform.release.helm import decode_release, encode_release
from tests.cluster.commands import Platform, platform

__all__ = ["platform"]  # pytest finds the fixture here

pytestmark = pytest.mark.cluster

KILLS = 10


def three(platform: Platform, message: str = "hello") -> None:
    for key, needs in (("one", []), ("two", ["one"]), ("three", ["two"])):
        platform.define(key, needs=needs, values={"message": message})


def test_killed_at_ten_random_moments_the_next_up_ends_verified(platform: Platform) -> None:
    three(platform)
    began = time.monotonic()
    platform.run("up")
    usual = time.monotonic() - began
    moments = random.Random(254)
    for number in range(KILLS):
        three(platform, f"change {number}")
        running = platform.start("up")
        with contextlib.suppress(Exception):
            running.communicate(timeout=moments.uniform(0.2, usual))
        running.kill()
        running.communicate()
        platform.run("up")
        assert set(platform.states().values()) == {"verified"}, f"after kill {number}"
        live = platform.get("ConfigMap", "three")
        assert live is not None
        assert live["data"]["message"] == f"change {number}"


def test_interrupted_by_hand_it_says_so_and_carries_on_next_time(platform: Platform) -> None:
    three(platform)
    running = platform.start("up")
    assert running.stdout is not None
    for line in running.stdout:
        if "one: apply" in line:
            break
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode in {1, 130}
    platform.run("up")
    assert set(platform.states().values()) == {"verified"}


def test_two_at_once_both_end_verified(platform: Platform) -> None:
    three(platform)
    both = [platform.start("up") for _ in range(2)]
    told = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert set(platform.states().values()) == {"verified"}


def lease(platform: Platform, holder: str) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "carbon-base", "namespace": platform.namespace},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now},
    }


def create(platform: Platform, obj: dict[str, Any]) -> None:
    async def write() -> None:
        async with platform.api() as api:
            await api.create(obj)

    asyncio.run(write())


def test_a_living_writer_elsewhere_is_named_and_not_disturbed(platform: Platform) -> None:
    platform.define("base")
    platform.run("up")
    platform.define("base", values={"message": "new"})
    create(platform, lease(platform, "other-machine_abcdef12_77_1"))
    platform.environment["CARBON_WRITER_SECONDS"] = "2"
    done = platform.run("up", code=1)
    assert "other-machine_abcdef12_77_1" in done.stdout + done.stderr
    live = platform.get("ConfigMap", "base")
    assert live is not None
    assert live["data"] == {"message": "hello"}


def test_a_dead_writers_pending_revision_is_recovered(platform: Platform) -> None:
    platform.define("base")
    platform.run("up")
    _pend(platform)
    assert platform.states() != {"base": "verified"}
    done = platform.run("up")
    assert "marked failed" in done.stdout
    assert platform.states() == {"base": "verified"}


def _pend(platform: Platform) -> None:
    """Leave the newest revision as a writer that died in the middle leaves it."""

    async def write() -> None:
        async with platform.api() as api:
            (secret,) = await api.list("v1", "Secret", platform.namespace, labels="owner=helm,name=base")
            content = decode_release(secret)
            content["info"]["status"] = "pending-upgrade"
            secret["metadata"]["labels"]["status"] = "pending-upgrade"
            secret["data"]["release"] = encode_release(content)
            await api.replace(secret)

    asyncio.run(write())


def api_server(platform: Platform) -> int:
    states = {s["name"]: s["pid"] for s in supervision.states(platform.cluster.layout)}
    return int(states["kube-apiserver"])


def test_an_api_server_that_dies_in_mid_run_and_comes_back_is_waited_for(platform: Platform) -> None:
    three(platform)
    running = platform.start("up")
    assert running.stdout is not None
    for line in running.stdout:
        if "one: apply" in line:
            break
    os.kill(api_server(platform), signal.SIGKILL)  # the supervisor starts it again
    told, _ = running.communicate(timeout=180)
    assert running.returncode == 0, told
    assert set(platform.states().values()) == {"verified"}


def test_an_api_server_that_stays_away_ends_the_run_clearly_and_claims_nothing(platform: Platform) -> None:
    three(platform)
    platform.environment["CARBON_API_SECONDS"] = "3"
    running = platform.start("up")
    assert running.stdout is not None
    for line in running.stdout:
        if "one: apply" in line:
            break
    server = api_server(platform)
    os.kill(server, signal.SIGSTOP)
    try:
        told, _ = running.communicate(timeout=180)
    finally:
        os.kill(server, signal.SIGCONT)
    assert running.returncode == 1, told
    assert "can't be reached" in told
    assert platform.states()["three"] != "verified"
    platform.environment.pop("CARBON_API_SECONDS")
    platform.run("up")
    assert set(platform.states().values()) == {"verified"}
