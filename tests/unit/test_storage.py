import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from carbon_platform.storage import SqliteStorage

SECONDS = 10


@pytest.fixture
def instance(tmp_path: Path):
    custom = {"module": SqliteStorage.__module__, "class": "SqliteStorage", "config": {"base_dir": str(tmp_path)}}
    ref = InstanceRef.from_dir(str(tmp_path), overrides={"storage": {"custom": custom}})
    with dg.DagsterInstance.from_ref(ref) as made:
        yield made


def tell(instance: dg.DagsterInstance, run_id: str, text: str) -> None:
    instance.report_engine_event(text, job_name="job", run_id=run_id)


def told(storage: SqliteEventLogStorage, run_id: str) -> list[str]:
    return [entry.dagster_event.message or "" for entry in storage.get_logs_for_run(run_id) if entry.dagster_event]


def dagsters_own(folder: Path) -> SqliteEventLogStorage:
    return SqliteEventLogStorage(str(folder / "history" / "runs"))


def test_dagsters_own_storage_reads_what_was_stored_while_it_is_still_open(instance, tmp_path):
    tell(instance, "one", "first")
    tell(instance, "one", "second")

    assert told(dagsters_own(tmp_path), "one") == ["first", "second"]


def test_what_dagsters_own_storage_wrote_is_read_and_gone_on_with(tmp_path):
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as before:
        tell(before, "one", "first")
    storage = SqliteStorage.from_local(str(tmp_path))

    assert told(storage.event_log_storage, "one") == ["first"]
    storage.dispose()


def test_who_watches_a_run_hears_of_an_event_while_the_connection_stays_open(instance, tmp_path):
    tell(instance, "one", "first")
    watching, heard = dagsters_own(tmp_path), threading.Event()
    watching.watch("one", None, lambda entry, _cursor: heard.set() if "news" in (entry.message or "") else None)

    tell(instance, "one", "news")

    assert heard.wait(SECONDS)
    watching.dispose()


def test_more_runs_can_be_written_in_turns_than_are_kept_open(instance):
    runs = [f"run-{number}" for number in range(12)]
    for text in ("first", "second"):
        for run_id in runs:
            tell(instance, run_id, text)

    assert all(told(instance.event_log_storage, run_id) == ["first", "second"] for run_id in runs)


def test_after_a_wipe_there_is_nothing_and_events_can_be_stored_again(instance):
    tell(instance, "one", "first")
    instance.event_log_storage.wipe()
    tell(instance, "one", "second")

    assert told(instance.event_log_storage, "one") == ["second"]


def test_many_threads_can_create_runs_at_once(instance):
    def create(number: int) -> None:
        instance.add_run(dg.DagsterRun(job_name="job", run_id=f"run-{number}"))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)

    assert instance.get_runs_count() == 16


def test_processes_that_open_a_new_storage_at_once_all_get_one(tmp_path):
    program = f"from carbon_platform.storage import SqliteStorage; SqliteStorage.from_local({str(tmp_path)!r})"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(3)]
    complaints = [process.communicate(timeout=120)[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], complaints


def test_a_power_cut_can_not_break_what_is_stored(instance):
    tell(instance, "one", "first")
    with instance.event_log_storage.run_connection("one") as connection:
        mode = connection.exec_driver_sql("pragma journal_mode").scalar()
        synchronous = connection.exec_driver_sql("pragma synchronous").scalar()

    assert (mode, synchronous) == ("wal", 1), "a write-ahead log, synced at each checkpoint"
