"""Dagster's code server, which starts runs from a process that has everything imported already.

A run is a process of its own. Started anew, half of the time until its first line goes into imports, and far more than
half while what it is to heal starts on the same cores. Python's fork server keeps a process that did nothing but
import; each run is a fork of it.
"""

import logging
import multiprocessing
import multiprocessing.forkserver
from typing import Any

import dagster._grpc.server
from dagster._cli import main as dagster_command
from dagster._grpc.server import DagsterApiServer

import carbon_platform

_IMPORTED = ["carbon_platform.preloaded"]


class _ForkingServer(DagsterApiServer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._mp_ctx: Any = multiprocessing.get_context("forkserver")


def _log_with_times() -> None:
    """What this package itself warns of, as Dagster's own lines are; nobody else sets that up."""
    told = logging.StreamHandler()
    told.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    logging.getLogger(carbon_platform.__name__).addHandler(told)


def main() -> None:
    """`dagster api grpc` with its options, except that runs are forked."""
    _log_with_times()
    multiprocessing.set_forkserver_preload(_IMPORTED)
    multiprocessing.forkserver.ensure_running()
    dagster._grpc.server.DagsterApiServer = _ForkingServer  # type: ignore[misc]
    dagster_command()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
