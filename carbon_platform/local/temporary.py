"""A control plane for as long as the process that made it, for tests and benchmarks: nothing of it outlives that.

A process that is killed can't clean up. So another one waits for its end, and does; should that be killed as well, the
next control plane that is made so ends what it finds.
"""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from carbon_platform.local import supervision
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.local.layout import Layout, kept
from carbon_platform.local.packages import Report
from carbon_platform.local.ports import free_ports
from carbon_platform.release.lease import Writer, dead, this_process

_CREATOR = "creator"
"""A file of the cluster's folder: the process that made it. A cluster that a person brought up has none."""


@contextlib.contextmanager
def temporary(folder: Path, context: str, cache: Path, report: Report) -> Iterator[LocalCluster]:
    """A control plane in a folder that is not there yet, on ports of its own; it is not up yet.

    Gone afterwards with every process and all its data, however this process ends.
    """
    end_abandoned(report)
    api, etcd, peer = free_ports(3)
    layout = Layout(folder, api_port=api, etcd_port=etcd, etcd_peer_port=peer, real_node=False, context=context)
    cluster = LocalCluster(layout, cache, report)
    folder.mkdir(mode=0o700, parents=True)
    (folder / _CREATOR).write_text(str(this_process()), encoding="utf-8")
    command = [sys.executable, "-m", __name__, str(folder), str(os.getpid())]
    # In a session of its own: what kills this process may mean its whole group.
    keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield cluster
    finally:
        cluster.down(delete_data=True)
        # Not SIGTERM: who started this process in the background may have it ignored, here and in what it starts.
        keeper.kill()
        keeper.wait()


def end_abandoned(report: Report) -> None:
    """End the control planes whose creator, of this machine, is dead, and delete their data."""
    for folder in supervision.folders():
        with contextlib.suppress(OSError):
            if dead(Writer.parse((folder / _CREATOR).read_text(encoding="utf-8")), this_process()):
                report(f"ending the control plane that a killed process left in {folder}")
                _end(folder, report)


def _end(folder: Path, report: Report) -> None:
    layout = kept(folder) or Layout(folder, real_node=False)
    LocalCluster(layout, folder, report).down(delete_data=True)


def keep(folder: Path, creator: int) -> None:
    """Wait until this process's parent, the creator, has ended; then end its control plane."""
    with contextlib.suppress(ProcessLookupError):
        waiting = select.poll()
        waiting.register(os.pidfd_open(creator), select.POLLIN)
        if os.getppid() == creator:
            waiting.poll()
    _end(folder, lambda _: None)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
