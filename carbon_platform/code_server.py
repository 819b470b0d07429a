"""Dagster's code server, which starts runs from a process that has everything imported already.

A run is a process of its own. Started anew, half of the time until its first line goes into imports, and far more than
half while what it is to heal starts on the same cores. Python's fork server keeps a process that did nothing but
import; each run is a fork of it. The runs that only look let those that heal have the processor first.
"""

import multiprocessing
import multiprocessing.context
import multiprocessing.forkserver
from collections.abc import Callable, Sequence
from typing import Any

import dagster._grpc.server
from dagster._cli import main as dagster_command
from dagster._grpc.server import DagsterApiServer

from carbon_platform.components import drift, sweep
from carbon_platform.priority import at_priority

_IMPORTED = ["carbon_platform.preloaded"]
_ONLY_LOOK = frozenset({drift.JOB, sweep.JOB})
_NICE = 10
"""A tenth of the weight of other processes; all of the processor while nobody else wants it."""


class _Forks(multiprocessing.context.ForkServerContext):
    def Process(self, target: Callable[..., None], args: Sequence[Any]) -> Any:  # type: ignore[override]  # noqa: N802
        """A run, as Dagster asks for it: its second argument is the job."""
        nice = _NICE if args[1].job_name in _ONLY_LOOK else 0
        return super().Process(target=at_priority, args=(nice, target, *args))


class _ForkingServer(DagsterApiServer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._mp_ctx: Any = _Forks()


def main() -> None:
    """`dagster api grpc` with its options, except that runs are forked."""
    multiprocessing.set_forkserver_preload(_IMPORTED)
    multiprocessing.forkserver.ensure_running()
    dagster._grpc.server.DagsterApiServer = _ForkingServer  # type: ignore[misc]
    dagster_command()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
