"""The scripts of the commodity price workflow, run by bash against something that speaks Trino's protocol."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carbon_platform.content.dolphinscheduler import WorkflowContent
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="the scripts need curl")

Answer = Callable[[str], dict[str, Any]]


class StubTrino:
    """Answers each statement in two pages, as compact JSON in Trino's own order of keys."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.answer: Answer = lambda sql: {}
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stub.statements.append(self.rfile.read(int(self.headers["content-length"])).decode())
                self._send({"nextUri": f"http://127.0.0.1:{stub.port}/next"})

            def do_GET(self) -> None:
                self._send(stub.answer(stub.statements[-1]))

            def _send(self, page: dict[str, Any]) -> None:
                body = json.dumps({"id": "q1", **page, "stats": {"state": "FINISHED"}}, separators=(",", ":")).encode()
                if "error" in page:
                    body = json.dumps({"id": "q1", "stats": {}, **page}, separators=(",", ":")).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def trino() -> Iterator[StubTrino]:
    stub = StubTrino()
    thread = threading.Thread(target=stub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    stub.server.shutdown()
    thread.join()
    stub.server.server_close()


def run(task: str, trino: StubTrino) -> subprocess.CompletedProcess[str]:
    content = load_platform(Settings()).components["dolphinscheduler_etl_workflow"].content
    assert isinstance(content, WorkflowContent)
    (found,) = (one for one in content.workflow.tasks if one.name == task)
    script = content.workflow.script(found)
    assert "trino=http://trino.data-platform:8080" in script
    script = script.replace("http://trino.data-platform:8080", f"http://127.0.0.1:{trino.port}").replace(
        "--retry 5", ""
    )
    return subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60, check=False)


def failing(sql: str) -> dict[str, Any]:
    return {"error": {"message": "no", "errorName": "ICEBERG_FILESYSTEM_ERROR"}}


def test_ingestion_replaces_the_days_prices(trino: StubTrino) -> None:
    done = run("ingest", trino)
    assert done.returncode == 0, done.stderr
    delete, insert = trino.statements
    names = re.findall(r"\('([a-z-]+)', decimal '[0-9.]+', 'USD', timestamp '[0-9-]+ 00:00:00 UTC'\)", insert)
    assert "gold" in names
    assert insert.startswith("insert into iceberg.market.prices values ('")
    assert delete.endswith(f" in ('', {', '.join(repr(name) for name in names)})")


def test_the_quality_check_notes_each_rule_and_passes_when_none_is_broken(trino: StubTrino) -> None:
    trino.answer = lambda sql: {"data": [[0]]} if "count(*)" in sql else {}
    done = run("quality-check", trino)
    assert done.returncode == 0, done.stderr
    assert trino.statements[-1].count("true, bigint '0'") == 2


def test_a_broken_rule_is_noted_and_fails_the_task(trino: StubTrino) -> None:
    trino.answer = lambda sql: {"data": [[3 if "price <= 0" in sql else 0]]} if "count(*)" in sql else {}
    done = run("quality-check", trino)
    assert done.returncode == 1
    assert "broken rules: price-is-positive" in done.stderr
    assert "'price-is-positive', false, bigint '3'" in trino.statements[-1]


def test_the_report_shows_prices_and_rules_and_fails_without_prices(trino: StubTrino) -> None:
    trino.answer = lambda sql: {"data": [["gold", "2033.500000", "USD"]]} if "prices" in sql.split("where")[0] else {}
    done = run("report", trino)
    assert '[["gold","2033.500000","USD"]]' in done.stdout
    trino.answer = lambda sql: {}
    assert "no prices of" in run("report", trino).stderr


@pytest.mark.parametrize("task", ["ingest", "quality-check", "report"])
def test_a_statement_that_fails_fails_the_task_with_trinos_words(task: str, trino: StubTrino) -> None:
    trino.answer = failing
    done = run(task, trino)
    assert done.returncode != 0
    assert "ICEBERG_FILESYSTEM_ERROR" in done.stderr
    assert len(trino.statements) == 1
