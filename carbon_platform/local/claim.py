"""Which cluster of this machine has its pod network and firewall rules: one at a time."""

import contextlib
from pathlib import Path

from carbon_platform.local.layout import Layout

_FILE = Path("/run/carbon-local-cluster")
"""The folder of the cluster that has them. A restart of the machine takes it away, and all that it stands for."""


def holder() -> Path | None:
    """Folder of the cluster that has pods on this machine, or left something of them behind."""
    with contextlib.suppress(OSError):
        return Path(_FILE.read_text(encoding="utf-8"))
    return None


def take(layout: Layout) -> None:
    """Note that this cluster has them now."""
    _FILE.write_text(str(layout.folder), encoding="utf-8")


def give_up() -> None:
    """Note that nothing of a cluster is on this machine any more."""
    _FILE.unlink(missing_ok=True)
