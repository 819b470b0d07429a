"""The stand-in as a process: the API, a master, a worker, an alert server, or what makes the tables.

`python3 -m tests.stand_ins.dolphinscheduler.process ROLE`; configured by the variables that the chart sets.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

from tests.stand_ins.dolphinscheduler.api import Api, Request, Response, health
from tests.stand_ins.dolphinscheduler.postgres import PostgresKeeper, connection_info, make_tables
from tests.stand_ins.dolphinscheduler.server import http_server
from tests.stand_ins.dolphinscheduler.state import DatabaseLost, Keeper
from tests.stand_ins.dolphinscheduler.work import lead, registration, report, serve, shell

VERSION = "3.4.2"
"""The product's version whose place it takes."""

_PORTS = {"api": 12345, "master": 5679, "worker": 1235, "alert": 50053}
_KINDS = {"master": "MASTER", "worker": "WORKER", "alert": "ALERT_SERVER"}
_HEARTBEAT = 2.0
_STEP = 0.3


def main(role: str) -> None:
    """Play the role until a signal ends it."""
    if role == "tools":
        make_tables(connection_info(), VERSION)
        print(f"stand-in: tables at {VERSION}")
        return
    keeper = PostgresKeeper(connection_info())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    answer = Api(keeper).answer if role == "api" else _health_only(keeper, role)
    server = http_server(("", _PORTS[role]), answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"stand-in: {role} listens on {_PORTS[role]}", flush=True)
    if role == "api":
        ended.wait()
        return
    _play(role, PostgresKeeper(connection_info()), ended)


def _health_only(keeper: Keeper, role: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        if request.path == "/actuator/health":
            return health(keeper, role)
        return Response(200 if request.path == "/actuator/health/liveness" else 404, {"status": "UP"})

    return answer


def _play(role: str, keeper: PostgresKeeper, ended: threading.Event) -> None:
    """Work, and tell that it lives, until the end; then it is registered no more."""
    host, kind = socket.gethostbyname(socket.gethostname()), _KINDS[role]
    threading.Thread(target=_beat, args=(kind, host, ended), daemon=True).start()
    execute = shell(os.environ)
    while not ended.is_set():
        worked = False
        with contextlib.suppress(DatabaseLost):
            if role == "master":
                with keeper.transaction() as state:
                    lead(state)
            elif role == "worker":
                worked = serve(keeper, host, execute)
        if not worked:
            ended.wait(_STEP)
    with contextlib.suppress(DatabaseLost), keeper.transaction() as state:
        state.delete("server", registration(kind, host)["key"])


def _beat(kind: str, host: str, ended: threading.Event) -> None:
    keeper = PostgresKeeper(connection_info())
    while not ended.is_set():
        with contextlib.suppress(DatabaseLost), keeper.transaction() as state:
            report(state, kind, host)
        ended.wait(_HEARTBEAT)


if __name__ == "__main__":
    main(sys.argv[1])
