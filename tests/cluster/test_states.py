"""All commands tell the same of what is blocked, of what needs it, and of what is off; on a real API server."""

import json
from typing import Any

import pytest

from tests.cluster.platform import Platform

LOOKS = ("status", "plan", "drift", "verify", "doctor")


@pytest.fixture
def blocked(platform: Platform) -> Platform:
    """One that no node has room for, whose images come from a public registry alone; two that need it, and another."""
    excused = {ENVIRONMENT_OVERLAY: {"needs_registry": True}}
    platform.define("big", values={"memory": "10Ti"}, overlays=excused)
    platform.define("next", needs=["big"])
    platform.define("last", needs=["next"])
    platform.define("other")
    platform.reach_by(platform.cluster.layout.kubeconfig, overlays=[ENVIRONMENT_OVERLAY])
    platform.run("up")
    return platform


ENVIRONMENT_OVERLAY = "excused"
NEEDS = {"next": "it needs big, which is blocked", "last": "it needs next, which is blocked"}


def told(platform: Platform, command: str, *names: str, code: int) -> dict[str, Any]:
    return {one["key"]: one for one in platform.json(command, *names, code=code)["components"]}


def test_what_is_blocked_is_so_in_every_command_and_no_failure_unless_it_is_named(blocked: Platform) -> None:
    status = told(blocked, "status", code=0)
    reasons = {key: one["reason"] for key, one in status.items() if one["state"] == "blocked"}
    assert set(reasons) == {"big", "next", "last"}
    assert "no node has room" in reasons["big"]
    assert {key: reasons[key] for key in NEEDS} == NEEDS

    plan = told(blocked, "plan", code=0)
    assert {key: one["state_reason"] for key, one in plan.items() if one["state"] == "blocked"} == reasons
    for command in ("drift", "verify"):
        found = told(blocked, command, code=0)
        assert {key: one["blocked"] for key, one in found.items() if one["blocked"]} == reasons
    doctor = told(blocked, "doctor", code=0)
    assert {key for key, one in doctor.items() if one["waiting"]} == set(reasons)
    assert told(blocked, "up", code=0)["big"]["state"] == "blocked"

    for command in ("status", "up", "verify", "doctor"):
        blocked.run(command, "last", code=1)
    for command in ("plan", "drift"):
        blocked.run(command, "last")


def test_people_read_the_same_words_everywhere(blocked: Platform) -> None:
    for command in ("status", "plan", "drift", "verify"):
        lines = [" ".join(line.split()) for line in blocked.run(command).stdout.splitlines()]
        for key, why in NEEDS.items():
            assert any(line.startswith(f"{key} blocked ") and why in line for line in lines), command
        assert any(line.startswith("big blocked ") and "no node has room" in line for line in lines), command


def test_what_is_scaled_to_nothing_is_no_failure_but_for_who_asks_whether_it_works(platform: Platform) -> None:
    platform.define(values={"replicas": 0}, checks=[{"type": "redis.roundtrip"}])
    platform.run("up", code=None)
    assert told(platform, "status", code=0)["app"]["state"] == "off"
    for command in (*LOOKS, "up"):
        done = platform.run(command, "--json", code=int(command == "verify"))
        json.loads(done.stdout)
