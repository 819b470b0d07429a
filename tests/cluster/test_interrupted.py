"""Killed, interrupted, doubled, cut off: the next `carbon up` ends verified, and one release has one writer."""

import contextlib
import datetime
import json
import os
import random
import signal
import subprocess
import time
from typing import Any

from tests.cluster.platform import Platform

KILLS = [1, 2, 1, 2, 1, 2, 1]
"""How often in a row `carbon up` is killed before it may end: also while it takes over from one that was killed."""


def three(platform: Platform, message: str = "hello") -> None:
    for key, needs in (("one", []), ("two", ["one"]), ("three", ["two"])):
        platform.define(key, needs=needs, values={"message": message})


def test_killed_at_ten_random_moments_the_next_up_ends_verified(platform: Platform) -> None:
    three(platform)
    began = time.monotonic()
    platform.run("up")
    usual = time.monotonic() - began
    moments = random.Random(254)
    assert sum(KILLS) == 10
    for number, times in enumerate(KILLS):
        three(platform, f"change {number}")
        for _ in range(times):
            running = platform.start("up")
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.communicate(timeout=moments.uniform(0.2, usual))
            running.kill()
            running.communicate()
        told = platform.json("up")
        assert {c["key"]: c["state"] for c in told["components"]} == dict.fromkeys(("one", "two", "three"), "verified")
        live = platform.get("ConfigMap", "three")
        assert live is not None
        assert live["data"]["message"] == f"change {number}"


def until(running: subprocess.Popen[str], words: str) -> None:
    """Read what Carbon prints until it prints this."""
    assert running.stdout is not None
    for line in running.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended before it printed {words!r}")


def revisions(told: Any) -> dict[str, tuple[str, int]]:
    return {one["key"]: (one["state"], one["revision"]) for one in told["components"]}


def test_interrupted_by_hand_it_ends_in_order_and_carries_on_next_time(platform: Platform) -> None:
    three(platform)
    running = platform.start("up")
    until(running, "one: apply")
    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=180)
    assert running.returncode == 130
    assert "Traceback" not in told
    *_, interrupted, half_way, not_begun, go_on = told.splitlines()
    assert interrupted == "interrupted"
    assert half_way == "  half-way: one, applied in part: the next run applies the rest"
    assert not_begun == "  not begun: two, three"
    assert go_on == "go on: carbon --env test up"
    assert platform.get("Lease", "carbon-one") is None
    assert set(platform.states().values()) <= {"absent", "failed", "blocked"}
    assert {state for state, _ in revisions(platform.json("up")).values()} == {"verified"}


def test_whoever_reads_no_further_stops_nothing(platform: Platform) -> None:
    three(platform)
    running = platform.start("up")
    until(running, "one: apply")
    assert running.stdout is not None
    running.stdout.close()
    assert running.wait(timeout=180) == 141
    assert set(platform.states().values()) == {"verified"}


def test_two_at_once_both_end_verified_and_deploy_once(platform: Platform) -> None:
    three(platform)
    platform.define("one", secrets=[{"name": "login", "keys": {"password": {"generate": 16}}}])
    both = [platform.start("up", "--json") for _ in range(2)]
    told = [one.communicate(timeout=180)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    for text in told:
        # What one has proven, the other may be at work on when the first tells how it ended.
        assert {state for state, _ in revisions(json.loads(text)).values()} <= {"verified", "deploying"}
    assert revisions(platform.json("status")) == dict.fromkeys(("one", "two", "three"), ("verified", 1))


def test_a_living_writer_elsewhere_is_named_and_not_disturbed(platform: Platform) -> None:
    platform.define("base")
    platform.deploy("base")
    platform.define("base", values={"message": "new"})
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name, holder = platform.name("Lease", "carbon-base"), "other-machine_abcdef12_77_1"
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    metadata = {"name": name.name, "namespace": name.namespace}
    platform.create({"apiVersion": name.api_version, "kind": name.kind, "metadata": metadata, "spec": spec})
    platform.environment["CARBON_WRITER_SECONDS"] = "2"
    done = platform.run("up", code=1)
    assert "waits for process 77 on other-machine" in done.stdout
    assert "its lease is held by process 77 on other-machine" in done.stderr
    live = platform.get("ConfigMap", "base")
    assert live is not None
    assert live["data"] == {"message": "hello"}
    assert platform.states() == {"base": "deploying"}


def test_an_api_server_that_dies_in_mid_run_and_comes_back_is_waited_for(platform: Platform) -> None:
    three(platform)
    running = platform.start("up")
    until(running, "one: apply")
    os.kill(platform.server(), signal.SIGKILL)  # its supervisor starts it again
    told, _ = running.communicate(timeout=180)
    assert running.returncode == 0, told
    assert "3/3 components verified" in told


def test_an_api_server_that_stays_away_ends_the_run_clearly_and_claims_nothing(platform: Platform) -> None:
    three(platform)
    platform.environment["CARBON_API_SECONDS"] = "3"
    running = platform.start("up")
    until(running, "one: apply")
    with platform.server_away():
        told, _ = running.communicate(timeout=180)
    assert running.returncode == 1, told
    assert "can't be reached" in told
    assert platform.states()["three"] != "verified"
    platform.environment.pop("CARBON_API_SECONDS")
    assert {state for state, _ in revisions(platform.json("up")).values()} == {"verified"}


def test_a_cluster_that_is_not_there_is_told_at_once_and_nothing_is_begun(platform: Platform) -> None:
    platform.define("base")
    with platform.server_away():
        began = time.monotonic()
        done = platform.run("up", code=1)
        assert time.monotonic() - began < 30
        assert platform.states() == {"base": "unknown"}
    assert "can't be reached" in done.stderr
    assert not (platform.home / "dagster").exists()
