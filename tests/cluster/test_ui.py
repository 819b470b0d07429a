"""`carbon ui` on a real API server: the daemon notices, starts a Dagster run, and tells the whole story."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import Book
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.lease import Writer
from tests.cluster.platform import Platform

COMPONENTS = ["deleted", "forked", "killed", "doubled", "locked"]
"""One for each story, so that none waits for another, and all of them for the last; `removed` has a namespace of its
own."""
REMOVED = "served-removed"


def until(look: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.1)
    return found


class Served(Platform):
    """A platform with `carbon ui` at work on it."""

    @property
    def book(self) -> Book:
        """What the daemon writes down."""
        return Book(self.home / "incidents.db", None)

    def incident(self, key: str) -> Incident | None:
        """The newest of a component."""
        return next((one for one in self.book.incidents() if one.component == key), None)

    def closed(self, key: str) -> Incident | None:
        """The newest of a component, when it is over."""
        found = self.incident(key)
        return found if found and found.closed_at is not None else None

    def begun(self, key: str) -> Incident | None:
        """The newest of a component, when a run for it has begun."""
        found = self.incident(key)
        return found if found and any(attempt.started_at for attempt in found.attempts) else None

    def break_(self, key: str, namespace: str = "served") -> None:
        """Delete its Deployment."""

        async def delete() -> None:
            async with self.api() as api:
                await api.delete(ObjectName("apps/v1", "Deployment", namespace, key))

        asyncio.run(delete())

    def break_all(self) -> None:
        """Delete every Deployment of its namespace, in one request."""

        async def delete() -> None:
            async with self.api() as api:
                path = (await api.resource("apps/v1", "Deployment")).path(self.namespace)
                await api.request("DELETE", path, params={"propagationPolicy": "Background"})

        asyncio.run(delete())

    def healing_runs(self) -> int:
        """How many Dagster runs there were for any incident."""
        with contextlib.closing(sqlite3.connect(self.home / "dagster" / "history" / "runs.db")) as db:
            (count,) = db.execute("select count(*) from run_tags where key = 'carbon/incident'").fetchone()
        return int(count)

    def tagged(self, incident: Incident) -> list[str]:
        """The attempt of each Dagster run that is tagged with an incident."""
        query = """
            select attempt.value from run_tags incident join run_tags attempt on attempt.run_id = incident.run_id
            where incident.key = 'carbon/incident' and incident.value = ? and attempt.key = 'carbon/attempt'
        """
        with contextlib.closing(sqlite3.connect(self.home / "dagster" / "history" / "runs.db")) as db:
            return sorted(value for (value,) in db.execute(query, (incident.id,)))

    def processes(self, words: str) -> list[int]:
        """Processes of this state with these words in their command."""
        found = []
        mark = f"CARBON_HOME={self.home}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if words in command and mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def children(self, pid: int, words: str) -> list[int]:
        """Those processes that this one started."""
        return [one for one in self.processes(words) if parent(one) == pid]

    def daemon(self) -> int | None:
        """The process of Dagster's daemon."""
        return next(iter(self.processes("carbon_platform.daemon")), None)


def parent(pid: int) -> int | None:
    """The process that started this one; None when it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(cluster: LocalCluster, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Components that are deployed and proven, and `carbon ui` on them; nothing of it is left afterwards."""
    platform = Served(tmp_path_factory.mktemp("ui"), cache, cluster, "served")
    for key in COMPONENTS:
        platform.define(key, values={"replicas": 1})
    platform.define("removed", namespace=REMOVED, values={"replicas": 1})
    platform.run("up")
    ui = platform.start("ui", "--port", str(free_port()))
    assert ui.stdout is not None
    try:
        for line in ui.stdout:
            if "at http://127.0.0.1" in line:
                break
        else:
            raise AssertionError("carbon ui ended")
        yield platform
    finally:
        ui.send_signal(signal.SIGINT)
        ui.communicate(timeout=180)

        async def forget() -> None:
            async with platform.api() as api:
                for name in (platform.namespace, REMOVED):
                    await api.delete(ObjectName("v1", "Namespace", "", name))

        asyncio.run(forget())
    assert until(lambda: not platform.processes("dagster"), "its processes end")


def test_a_deleted_deployment_is_put_back_by_a_tagged_run_and_the_story_is_told(served: Served) -> None:
    served.break_("deleted")
    told = until(lambda: served.closed("deleted"), "it is healed")
    assert told.outcome == "healed"
    assert served.tagged(told) == ["1"]
    assert served.get("Deployment", "deleted") is not None
    story = next(one for one in served.json("incidents")["incidents"] if one["component"] == "deleted")
    (attempt,) = story["attempts"]
    assert story["detected_at"] < story["closed_at"]
    assert 0 <= attempt["requested_s"] <= attempt["started_s"] <= attempt["ended_s"] <= story["closed_s"]
    assert (attempt["helped"], attempt["remedy"], story["outcome"]) == (True, "re-apply", "healed")
    assert "Deployment" in attempt["result"]
    assert served.states()["deleted"] == "verified"


def test_a_run_is_forked_from_a_process_that_has_everything_imported(served: Served) -> None:
    (code_server,) = served.processes("carbon_platform.code_server")
    (fork_server,) = served.children(code_server, "multiprocessing.forkserver")
    served.break_("forked")
    forks: set[int] = set()

    def healed() -> Incident | None:
        forks.update(served.children(fork_server, "multiprocessing.forkserver"))
        return served.closed("forked")

    told = until(healed, "it is healed")
    run = Writer.parse(told.attempts[0].writer)
    assert run is not None
    assert (told.outcome, run.pid in forks) == ("healed", True)
    assert len([*Path(f"/proc/{fork_server}/task").iterdir()]) == 1, "a thread is lost in a fork, its locks are not"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
def test_it_comes_before_what_starts_on_the_same_machine(served: Served) -> None:
    (code_server,) = served.processes("carbon_platform.code_server")
    assert os.getpriority(os.PRIO_PROCESS, code_server) == -5
    session = Path(f"/proc/{code_server}/autogroup")
    assert not session.exists() or session.read_text(encoding="ascii").split()[1:] == ["nice", "-5"]


def test_a_second_carbon_ui_is_refused_and_told_who_is_there(served: Served) -> None:
    done = served.run("ui", "--port", str(free_port()), code=2)
    assert "carbon ui runs on this state already" in done.stderr
    assert "serves it at http://127.0.0.1:" in done.stderr


def test_a_daemon_that_is_killed_while_it_heals_is_followed_by_one_that_heals_once(served: Served) -> None:
    served.break_("killed")
    until(lambda: served.incident("killed"), "it is noticed")
    killed = served.daemon()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    told = until(lambda: served.closed("killed"), "it is healed", 180)
    assert (told.outcome, served.daemon() == killed) == ("healed", False)
    assert served.tagged(told) == [str(attempt.number) for attempt in told.attempts] == ["1"]
    assert served.states()["killed"] == "verified"


def test_the_daemon_begins_when_there_are_schedules_to_see(served: Served) -> None:
    log = served.home / "logs" / "daemon.log"
    until(lambda: "SensorDaemon" in log.read_text(encoding="utf-8"), "the daemon has begun")
    assert "Error loading repository location" not in log.read_text(encoding="utf-8")


def test_two_daemons_start_one_run_for_one_attempt(served: Served) -> None:
    environment = served.environment | {"DAGSTER_HOME": str(served.home / "dagster")}
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "carbon_platform.definitions"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as other:
        try:
            until(lambda: bool(served.processes("dagster._daemon run")), "a second daemon runs")
            served.break_("doubled")
            told = until(lambda: served.closed("doubled"), "it is healed", 180)
        finally:
            os.killpg(other.pid, signal.SIGKILL)
    assert told.outcome == "healed"
    assert served.tagged(told) == [str(attempt.number) for attempt in told.attempts] == ["1"]


def test_with_dagsters_files_locked_for_a_while_it_heals_afterwards(served: Served) -> None:
    files = sorted((served.home / "dagster").rglob("*.db"))
    assert any(file.name == "runs.db" for file in files)
    released = threading.Event()
    with contextlib.ExitStack() as stack:
        for file in files:
            db = stack.enter_context(contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=20)))
            db.execute("begin exclusive")
        served.break_("locked")
        released.wait(20)  # nothing sets it: the files are held for so long
        assert served.closed("locked") is None
    told = until(lambda: served.closed("locked"), "it is healed", 180)
    assert told.outcome == "healed"
    assert served.tagged(told) == [str(attempt.number) for attempt in told.attempts]
    assert served.states()["locked"] == "verified"


def test_when_everything_breaks_at_once_each_is_healed_by_one_run(served: Served) -> None:
    known = {incident.id for incident in served.book.incidents()}
    assert all(incident.closed_at for incident in served.book.incidents())
    runs = served.healing_runs()
    served.break_all()

    def healed() -> list[Incident] | None:
        new = [incident for incident in served.book.incidents() if incident.id not in known]
        over = {incident.component for incident in new if incident.closed_at is not None}
        return new if over.issuperset(COMPONENTS) else None

    told = until(healed, "all are healed", 300)
    assert sorted(incident.component for incident in told) == sorted(COMPONENTS)
    for incident in told:
        assert (incident.outcome, [attempt.remedy for attempt in incident.attempts]) == ("healed", [Remedy.REAPPLY])
        assert served.tagged(incident) == ["1"]
        assert served.get("Deployment", incident.component) is not None
    assert served.healing_runs() - runs == len(COMPONENTS)
    states = served.states()
    assert [states[key] for key in COMPONENTS] == ["verified"] * len(COMPONENTS)


def test_a_component_that_is_removed_while_it_is_broken_is_left_alone(served: Served) -> None:
    """Its namespace admits no Deployment any more: the first attempt fails, the incident stays open."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": REMOVED}}
    served.create(quota | {"spec": {"hard": {"count/deployments.apps": "0"}}})
    served.break_("removed", REMOVED)

    def failed() -> Incident | None:
        found = served.incident("removed")
        return found if found and found.attempts and found.attempts[0].ended_at else None

    told = until(failed, "its first attempt fails")
    assert not told.attempts[0].helped
    served.file("removed").unlink()
    told = until(lambda: served.closed("removed"), "its incident is closed")
    assert told.outcome == "removed from the platform"
    assert served.tagged(told) == [str(attempt.number) for attempt in told.attempts]
    assert "removed" not in served.states()
