"""Which cluster is talked to: the one the user named, the one we run in, or the local one; never another."""

import dataclasses
import os
from pathlib import Path

from carbon_platform.errors import ConfigurationError, Unreachable
from carbon_platform.settings import Settings

LOCAL_CONTEXT = "carbon-local"


@dataclasses.dataclass(frozen=True)
class Target:
    """A cluster: a context of a kubeconfig file, or (with neither) the cluster this process runs in."""

    kubeconfig: Path | None
    context: str | None

    @property
    def local(self) -> bool:
        """True for the local cluster of this machine."""
        return self.context == LOCAL_CONTEXT

    def __str__(self) -> str:
        return self.context or "the cluster around this pod"


def target(settings: Settings) -> Target:
    """The cluster that the settings mean.

    Raises ConfigurationError when the kubeconfig of a named context is missing, and Unreachable when there is
    no local cluster yet.
    """
    if settings.context is not None and settings.context != LOCAL_CONTEXT:
        file = settings.kubeconfig or Path(os.environ.get("KUBECONFIG", Path.home() / ".kube" / "config"))
        if not file.is_file():
            raise ConfigurationError(
                f"context {settings.context!r} can't be found",
                f"there is no kubeconfig at {file}",
                "set CARBON_KUBECONFIG",
            )
        return Target(file, settings.context)
    if settings.context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return Target(None, None)
    file = settings.kubeconfig or settings.local_cluster / "kubeconfig"
    if not file.is_file():
        raise Unreachable(
            "there is no local cluster on this machine",
            f"{file} does not exist",
            "run 'carbon cluster up', or name a cluster with --context",
        )
    return Target(file, LOCAL_CONTEXT)
