"""Which cluster is talked to: the one of the chosen environment, never another."""

import dataclasses
import os
from pathlib import Path

from carbon_platform.environment import IN_CLUSTER, LOCAL_CONTEXT, Context
from carbon_platform.errors import ConfigurationError, Unreachable
from carbon_platform.settings import Settings


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
    """The cluster of the chosen environment.

    Raises ConfigurationError when the kubeconfig of its context is missing, and Unreachable when there is
    no local cluster yet.
    """
    cluster = settings.environment.cluster
    if isinstance(cluster, Context) and cluster.context != LOCAL_CONTEXT:
        return Target(_kubeconfig(cluster), cluster.context)
    if cluster == IN_CLUSTER:
        return Target(None, None)
    file = (isinstance(cluster, Context) and cluster.kubeconfig) or settings.local_cluster / "kubeconfig"
    if not file.is_file():
        raise Unreachable(
            "there is no local cluster on this machine",
            f"{file} does not exist",
            "run 'carbon cluster up', or choose another environment with --env",
        )
    return Target(file, LOCAL_CONTEXT)


def _kubeconfig(cluster: Context) -> Path:
    """The file that holds the context, looked for where kubectl does."""
    told = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = [cluster.kubeconfig] if cluster.kubeconfig else [Path(part) for part in told.split(os.pathsep) if part]
    there = [file for file in files if file.is_file()]
    if not there:
        raise ConfigurationError(
            f"context {cluster.context!r} can't be found",
            f"there is no kubeconfig at {' or '.join(map(str, files))}",
            "name it in environments.yaml, beside the context: kubeconfig: FILE",
        )
    return next((file for file in there if len(there) == 1 or cluster.context in _contexts(file)), there[0])


def _contexts(file: Path) -> list[str]:
    import yaml

    loaded = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return [context["name"] for context in loaded.get("contexts") or ()]
