"""What masters and workers do: take up instances, run their tasks, and tell that they live."""

import datetime
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.stand_ins.dolphinscheduler.recording import recorded_entry
from tests.stand_ins.dolphinscheduler.state import Document, Keeper, State

SESSION_SECONDS = 12.0
"""Seconds without a report after which a server is no longer registered, as when its registry session has ended."""

PORTS = {"MASTER": 5678, "WORKER": 1234, "ALERT_SERVER": 50052}
_MONITOR = {"MASTER": "monitor-master", "WORKER": "monitor-worker", "ALERT_SERVER": "monitor-alert"}

Execute = Callable[[str, str], tuple[bool, str]]
"""Runs a script as a tenant: whether it succeeded, and its log."""


def clock() -> str:
    """The time as the product writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def report(state: State, kind: str, host: str) -> None:
    """Register a server, or tell that it still lives."""
    body = registration(kind, host)
    state.put("server", body["key"], body)


def registration(kind: str, host: str) -> Document:
    """A server as the registry has it."""
    entry = recorded_entry(_MONITOR[kind])
    told = json.loads(entry["resInfo"])
    told |= {"host": host, "processId": os.getpid(), "reportTime": int(time.time() * 1000)}
    folder = entry["zkDirectory"].rsplit("/", 1)[0]
    entry |= {
        "id": os.getpid(),
        "host": host,
        "zkDirectory": f"{folder}/{host}:{entry['port']}",
        "resInfo": json.dumps(told),
        "lastHeartbeatTime": clock(),
    }
    key = sum(ord(c) << (i % 40) for i, c in enumerate(f"{kind} {host}"))
    return {"key": key, "kind": kind, "at": time.time(), "entry": entry}


def registered(state: State, kind: str) -> list[Document]:
    """The servers of a kind whose session has not ended."""
    now = time.time()
    alive = (one for one in state.all("server") if now - one["at"] < SESSION_SECONDS)
    return [one["entry"] for one in alive if one["kind"] == kind]


def lead(state: State) -> None:
    """One step of a master, for every instance that has not ended."""
    for instance in state.all("instance"):
        if instance["state"] == "SUBMITTED_SUCCESS":
            _take_up(state, instance)
        elif instance["state"] == "RUNNING_EXECUTION":
            _go_on(state, instance)


def _take_up(state: State, instance: Document) -> None:
    definition = state.get("definition", instance["definition"])
    assert definition, "a definition with instances is not deleted"
    names = {task["code"]: task["name"] for task in definition["tasks"]}
    for task in definition["tasks"]:
        key = state.new_id()
        after = [r["preTaskCode"] for r in definition["relations"] if r["postTaskCode"] == task["code"]]
        body = {
            "id": key,
            "instance": instance["id"],
            "name": task["name"],
            "script": task["taskParams"]["rawScript"],
            "after": [names[code] for code in after if code],
            "state": "SUBMITTED_SUCCESS",
            "host": None,
            "log": "",
        }
        state.put("task", key, body)
    state.put("instance", instance["id"], {**instance, "state": "RUNNING_EXECUTION"})


def _go_on(state: State, instance: Document) -> None:
    tasks = [task for task in state.all("task") if task["instance"] == instance["id"]]
    states = {task["name"]: task["state"] for task in tasks}
    for task in tasks:
        if task["state"] == "SUBMITTED_SUCCESS" and all(states[name] == "SUCCESS" for name in task["after"]):
            state.put("task", task["id"], {**task, "state": "DISPATCH"})
    ended = {"SUCCESS", "FAILURE"}
    running = [task for task in tasks if task["state"] not in ended]
    if "FAILURE" in states.values() and not any(task["state"] in {"DISPATCH", "RUNNING_EXECUTION"} for task in running):
        state.put("instance", instance["id"], {**instance, "state": "FAILURE", "endTime": clock()})
    elif not running:
        state.put("instance", instance["id"], {**instance, "state": "SUCCESS", "endTime": clock()})


def serve(keeper: Keeper, host: str, execute: Execute) -> bool:
    """One step of a worker: run one task that waits for a worker. False when there is none."""
    with keeper.transaction() as state:
        task = next((one for one in state.all("task") if one["state"] == "DISPATCH"), None)
        if task is None:
            return False
        task |= {"state": "RUNNING_EXECUTION", "host": host}
        state.put("task", task["id"], task)
    succeeded, log = execute(task["script"], "default")
    with keeper.transaction() as state:
        state.put("task", task["id"], {**task, "state": "SUCCESS" if succeeded else "FAILURE", "log": log})
    return True


def shell(environment: Mapping[str, str]) -> Execute:
    """Runs scripts by bash, for real; by sudo as their tenant where SUDO_ENABLE says so."""

    def execute(script: str, tenant: str) -> tuple[bool, str]:
        sudo = ["sudo", "-u", tenant, "-i"] if environment.get("SUDO_ENABLE") == "true" else []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "task.sh"
            file.write_text(script, encoding="utf-8")
            try:
                done = subprocess.run(
                    [*sudo, "bash", file], cwd=folder, capture_output=True, text=True, timeout=600, check=False
                )
            except OSError as error:
                return False, f"process start failed: {error}"
        return done.returncode == 0, done.stdout + done.stderr

    return execute


def fold(body: Any, thing: str) -> Any:
    """An answer with its keys in the words of the older generation, when `thing` is `process`."""
    if thing == "workflow":
        return body
    if isinstance(body, Mapping):
        return {k.replace("workflow", thing).replace("Workflow", "Process"): fold(v, thing) for k, v in body.items()}
    return [fold(one, thing) for one in body] if isinstance(body, list) else body
