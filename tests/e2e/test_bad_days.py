"""Deployments that can't work, on real pods: told early, with the cause, the evidence and the fix."""

import contextlib
import datetime
import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import OwnPlatform


def failed_up(own: OwnPlatform, *arguments: str) -> tuple[str, float]:
    began = time.monotonic()
    done = own.carbon("up", *arguments, code=1)
    return done.stdout + done.stderr, time.monotonic() - began


def known_after(own: OwnPlatform, key: str) -> float:
    """Seconds from the first write to the failure, as the record has it."""
    with contextlib.closing(sqlite3.connect(own.home / "records.db")) as db:
        ((body,),) = db.execute("select body from record where component = ?", (key,)).fetchall()
    record = json.loads(body)
    failed, changed = (datetime.datetime.fromisoformat(record[at]) for at in ("failed_at", "changed_at"))
    return (failed - changed).total_seconds()


def causes(own: OwnPlatform) -> dict[str, dict[str, Any]]:
    """What `carbon doctor` tells of each broken component."""
    return {one["key"]: one for one in own.carbon.json("doctor", code=1)["components"]}


def test_an_image_that_does_not_exist_is_known_within_twenty_seconds(own: OwnPlatform, platform: object) -> None:
    own.define("ghost", values={"image": "localhost/carbon/there-is-none:1"})
    own.define("bystander")
    told, _ = failed_up(own)
    assert "image localhost/carbon/there-is-none:1" in told
    assert "can't be pulled" in told
    assert known_after(own, "ghost") < 20
    states = {c["key"]: c["state"] for c in own.carbon.json("status", code=1)["components"]}
    assert states == {"ghost": "blocked", "bystander": "verified"}


def test_a_crash_loop_fails_with_the_last_log_lines(own: OwnPlatform, platform: object) -> None:
    own.define("crasher", values={"script": "echo 'wrong setting: colour=blue'; sleep 1; exit 3"})
    told, took = failed_up(own)
    assert "crash loop" in told
    assert "exit code 3" in told
    assert "wrong setting: colour=blue" in told
    assert took < 90
    (cause, *_) = causes(own)["crasher"]["causes"]
    assert cause["kind"] == "crash loop"
    assert cause["object"].startswith(f"Pod {own.namespace}/crasher-")
    assert any("wrong setting: colour=blue" in line for line in cause["evidence"])
    assert cause["fix"]


def test_a_missing_config_map_is_named(own: OwnPlatform, platform: object) -> None:
    own.define("mounter", values={"configMap": "nobody-made-me"})
    told, took = failed_up(own)
    assert "nobody-made-me" in told
    assert took < 90


def test_too_little_memory_on_every_node_is_said_before_anything_is_changed(
    own: OwnPlatform, platform: object, kubectl: Callable[..., str]
) -> None:
    own.define("giant", values={"memory": "4Ti"})
    told, _ = failed_up(own)
    assert "no node has room" in told
    assert "nothing was changed" in told
    assert "giant" not in kubectl("get", "deployments", "-A", "-o", "name")


def test_the_release_after_a_broken_one_is_healed_by_correct_values(own: OwnPlatform, platform: object) -> None:
    own.define("mended", values={"script": "exit 1"})
    failed_up(own)
    own.define("mended")
    own.carbon("up")
    (component,) = own.carbon.json("status")["components"]
    assert component["state"] == "verified"
    assert component["revision"] == 2


def test_a_failed_component_keeps_what_needs_it_from_beginning_and_nothing_else(
    own: OwnPlatform, platform: object
) -> None:
    own.define("broken", values={"script": "exit 1"})
    own.define("dependent", needs=["broken"])
    own.define("bystander")
    told, _ = failed_up(own)
    states = {c["key"]: c["state"] for c in own.carbon.json("status", code=1)["components"]}
    assert states == {"broken": "failed", "dependent": "absent", "bystander": "verified"}
    assert "dependent: not begun" in told


def test_a_job_that_can_not_run_is_the_root_of_what_waits_for_it(own: OwnPlatform, platform: object) -> None:
    waits = "until test -e /done; do sleep 1; done"
    own.define("schema", values={"job": "localhost/carbon/there-is-none:1", "script": waits})
    own.define("dependent", needs=["schema"])
    failed_up(own)
    found = causes(own)
    first, *others = found["schema"]["causes"]
    assert first["kind"] == "image can't be pulled"
    assert first["object"].startswith(f"Pod {own.namespace}/schema-job-")
    assert any("localhost/carbon/there-is-none:1" in line for line in first["evidence"])
    assert first["fix"]
    assert [one["object"] for one in others if one["object"].startswith(f"Pod {own.namespace}/schema-")]
    assert "there-is-none" in own.carbon("doctor", code=1).stdout
    told = own.carbon("doctor", "schema", code=1).stdout
    assert told.index("there-is-none") < told.index("readiness probe")
