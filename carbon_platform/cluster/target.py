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
        return Target(_kubeconfig(settings, settings.context), settings.context)
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


def _kubeconfig(settings: Settings, context: str) -> Path:
    """The file that holds the context, looked for where kubectl does."""
    told = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = [settings.kubeconfig] if settings.kubeconfig else [Path(part) for part in told.split(os.pathsep) if part]
    there = [file for file in files if file.is_file()]
    if not there:
        raise ConfigurationError(
            f"context {context!r} can't be found",
            f"there is no kubeconfig at {' or '.join(map(str, files))}",
            "set CARBON_KUBECONFIG",
        )
    return next((file for file in there if len(there) == 1 or context in _contexts(file)), there[0])


def _contexts(file: Path) -> list[str]:
    import yaml

    loaded = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return [context["name"] for context in loaded.get("contexts") or ()]
