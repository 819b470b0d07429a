import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from carbon_platform.checks.base import Check
from carbon_platform.checks.trino import Iceberg, Query, data_key
from carbon_platform.errors import CheckFailed
from tests.unit.checks.declared import declared
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_reach import StubReach

NEXT = "http://trino.elsewhere:8080/v1/statement/executing/q1/1"


def page(**more: Any) -> Answer:
    return 200, {"id": "q1", "stats": {"elapsedTimeMillis": 12}, **more}


class StubTrino:
    """Answers each statement by a function from its text to rows or an error; every answer takes two pages."""

    def __init__(self, rows: Callable[[str], Any]) -> None:
        self.statements: list[str] = []
        self.cancelled = 0
        self._rows = rows
        self._pages: list[Answer] = []

    def __call__(self, request: Request) -> Answer:
        if request.method == "POST":
            self.statements.append(request.body.decode())
            return page(nextUri=NEXT)
        if request.method == "DELETE":
            self.cancelled += 1
            return 204, None
        found = self._rows(self.statements[-1])
        return page(error=found) if isinstance(found, dict) else page(data=found)


async def run(check: Check, trino: Callable[[Request], Answer], **secrets: str) -> dict[str, object]:
    with serving(trino) as port:
        return dict((await check.run(StubReach(ports={"trino": port, "": port}, secrets=secrets))).evidence)


async def failure_of(check: Check, trino: Callable[[Request], Answer]) -> CheckFailed:
    with pytest.raises(CheckFailed) as failure:
        await run(check, trino)
    return failure.value


async def test_a_statement_is_followed_to_its_last_page_whatever_host_the_pages_name() -> None:
    trino = StubTrino(lambda sql: [[1]])
    evidence = await run(Query(type="trino.query", sql="select 1", expect=[[1]]), trino)
    assert evidence == {"rows": 1, "query_ms": 12, "id": "q1"}
    assert trino.cancelled == 0


async def test_other_rows_than_expected_fail_and_are_shown() -> None:
    failure = await failure_of(Query(type="trino.query", sql="select 1", expect=[[1]]), StubTrino(lambda sql: [[2]]))
    assert "gave [[2]], expected [[1]]" in failure.cause


async def test_an_error_on_a_later_page_fails_with_its_name_and_what_helps() -> None:
    error = {"errorName": "NO_NODES_AVAILABLE", "message": "No nodes available\nto run query"}
    failure = await failure_of(Query(type="trino.query", sql="select 1"), StubTrino(lambda sql: error))
    assert failure.cause == "NO_NODES_AVAILABLE: No nodes available to run query"
    assert "workers" in failure.fix


async def test_a_query_that_is_given_up_is_cancelled() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    trino = StubTrino(lambda sql: [[1]])

    def slow(request: Request) -> Answer:
        if request.method == "GET":
            loop.call_soon_threadsafe(asked.set)
            return page(nextUri=NEXT)
        return trino(request)

    with serving(slow) as port:
        task = asyncio.create_task(
            Query(type="trino.query", sql="select 1").run(StubReach(ports={"trino": port, "": port}))
        )
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert trino.cancelled == 1


async def test_a_coordinator_that_is_busy_is_asked_again() -> None:
    answers: list[Answer] = [(503, None), (429, None)]
    trino = StubTrino(lambda sql: [[1]])
    await run(Query(type="trino.query", sql="select 1"), lambda r: answers.pop() if answers else trino(r))
    assert trino.statements == ["select 1"]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"starting": True, "coordinator": True, "uptime": "3.00s"}, "still starting"),
        ({"coordinator": True}, "still starting"),
        ({"starting": False, "coordinator": False}, "leads to a worker"),
    ],
)
async def test_a_coordinator_that_starts_or_is_none_fails_though_it_answers_200(
    info: dict[str, Any], said: str
) -> None:
    assert said in (await failure_of(declared("trino", "trino_info"), lambda request: (200, info))).summary


async def test_a_started_coordinator_tells_its_version() -> None:
    info = {"starting": False, "coordinator": True, "uptime": "3.00m", "nodeVersion": {"version": "476"}}
    assert (await run(declared("trino", "trino_info"), lambda request: (200, info)))["version"] == "476"


async def test_workers_are_counted_without_the_coordinator_and_without_those_shutting_down() -> None:
    rows = [[True, "active"], [False, "shutting_down"], [False, "active"]]
    assert (await run(declared("trino", "trino_nodes"), StubTrino(lambda sql: rows)))["workers"] == 1
    failure = await failure_of(declared("trino", "trino_nodes"), StubTrino(lambda sql: rows[:2]))
    assert failure.summary == "0 Trino workers are active, declared are 1"
    assert "'shutting_down'" in failure.cause


async def test_a_worker_that_joins_late_is_waited_for() -> None:
    asked = iter([[[True, "active"]]] * 2 + [[[True, "active"], [False, "active"]]])
    assert (await run(declared("trino", "trino_nodes", 60), StubTrino(lambda sql: next(asked))))["workers"] == 1


ICEBERG = Iceberg(type="trino.iceberg", bucket="warehouse")


async def test_a_failed_insert_is_told_and_its_table_and_schema_are_dropped() -> None:
    def rows(sql: str) -> Any:
        return {"errorName": "ICEBERG_FILESYSTEM_ERROR", "message": "no"} if sql.startswith("insert") else []

    trino = StubTrino(rows)
    failure = await failure_of(ICEBERG, trino)
    assert failure.summary.startswith("Trino failed: insert into iceberg.carbon_probe_")
    assert [statement.split(" iceberg.")[0] for statement in trino.statements[-2:]] == [
        "drop table if exists",
        "drop schema",
    ]


async def test_rows_that_are_not_those_written_fail() -> None:
    failure = await failure_of(ICEBERG, StubTrino(lambda sql: [[1, "one"]] if sql.startswith("select") else []))
    assert "other rows than it wrote" in failure.summary


async def test_schemas_that_killed_probes_left_are_dropped_and_no_others() -> None:
    old = f"carbon_probe_{int(time.time()) - 4000}_0badcafe"
    trino = StubTrino(lambda sql: [[old], ["market"], ["carbon_probe_new"]] if sql.startswith("show") else [])
    await failure_of(ICEBERG, trino)
    dropped = [s for s in trino.statements if re.match(r"drop schema if exists", s)]
    assert dropped == [f"drop schema if exists iceberg.{old} cascade"]


def test_data_files_outside_of_the_bucket_fail() -> None:
    assert data_key("s3://warehouse/a/data/b.parquet", "warehouse") == "a/data/b.parquet"
    with pytest.raises(CheckFailed, match="not in the declared bucket"):
        data_key("s3://warehouse2/a/data/b.parquet", "warehouse")
