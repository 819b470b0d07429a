"""Which environment, where things are kept on this machine, and how long anything may take."""

import functools
import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from carbon_platform.environment import (
    SHIPPED,
    Environment,
    Environments,
    choose,
    find,
    folders,
    read_environments,
)
from carbon_platform.errors import ConfigurationError
from carbon_platform.project import Project, project_of, project_with

_IN_FILE = "in environments.yaml, and choose it with --env NAME or CARBON_ENV=NAME"
_GONE = {
    "profile": f"name an environment and its `overlays` {_IN_FILE}",
    "context": f"write `cluster: {{context: NAME}}` of an environment {_IN_FILE}",
    "kubeconfig": f"write `cluster: {{context: NAME, kubeconfig: FILE}}` of an environment {_IN_FILE}",
    "domain": f"write the `domain` of an environment {_IN_FILE}",
}
"""Settings of 0.1, and what to write in their place."""


def gone(name: str, written: str) -> ConfigurationError:
    """The error for a setting of 0.1 that somebody used; `written`: as an option or as a variable."""
    return ConfigurationError(f"{written} is gone", "environments have taken its place", _GONE[name])


def _listed(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "carbon"


class Settings(BaseSettings):
    """Everything that differs between machines and people. Each field is the variable `CARBON_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CARBON_", env_ignore_empty=True, extra="ignore", frozen=True)

    env: str | None = Field(
        None, description="The environment by name. Unset: `local`; inside a pod, the one of the cluster around it."
    )
    environments: Path | None = Field(
        None,
        description="The file that names environments. Unset: environments.yaml here or above the definitions.",
    )
    home: Path = Field(
        default_factory=lambda: _xdg("XDG_STATE_HOME", ".local/state"),
        description="Carbon's state: Dagster's storage, records, the local cluster.",
    )
    cache: Path = Field(
        default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"),
        description="What can be made again: programs, images, renders.",
    )
    defs: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_listed)] = Field(
        None,
        description="The platform: folders with a folder per component. Unset: what environments.yaml says, else the"
        " definitions of the dg project one stands in, else the shipped ones.",
    )
    api_port: int = Field(6443, ge=1, le=65535, description="Port of the local cluster's API server.")
    helm: Path | None = Field(None, description="The Helm program. Unset: Carbon's own, then PATH.")
    wait_seconds: float = Field(
        600, gt=0, description="Deadline for a release to become ready, unless it says its own."
    )
    check_seconds: float = Field(60, gt=0, description="Deadline of one functional check, unless it says its own.")
    settle_seconds: float = Field(
        30, ge=0, description="How long a check may go on failing after a deployment before that counts."
    )
    api_seconds: float = Field(120, gt=0, description="How long a run carries on while the API server does not answer.")
    writer_seconds: float = Field(
        900, ge=0, description="How long to wait for another writer of the same release: its deployment and its checks."
    )
    helm_processes: int = Field(
        default_factory=lambda: 2 * (os.cpu_count() or 1),
        ge=1,
        description="Helm processes at the same time: each waits for the API server half of its time.",
    )

    @functools.cached_property
    def all_environments(self) -> Environments:
        """Every environment there is. Raises ConfigurationError with every problem of the file."""
        return read_environments(self.environments or find(self._told_definitions or self._own_definitions))

    @functools.cached_property
    def environment(self) -> Environment:
        """The chosen one. Raises ConfigurationError when there is none, naming those there are."""
        return choose(self.all_environments, self.env, in_pod="KUBERNETES_SERVICE_HOST" in os.environ)

    @property
    def definitions(self) -> tuple[Path, ...]:
        """The folders that the platform is in."""
        return self._told_definitions or self.all_environments.definitions or self._own_definitions

    @property
    def _told_definitions(self) -> tuple[Path, ...]:
        return folders(self.defs or (), Path())

    @functools.cached_property
    def _own_definitions(self) -> tuple[Path, ...]:
        """Those of the dg project that this process was started in; else those that come with Carbon."""
        project = project_of(Path.cwd())
        return folders([str((project and project.definitions) or "shipped")], Path())

    @functools.cached_property
    def project(self) -> Project | None:
        """The dg project that the definitions are of: the first of which a folder is; None when they are of none.

        The one that comes with Carbon, which is one in a checkout only, gives way to any other.
        """
        ordered = sorted(self.definitions, key=lambda folder: folder == SHIPPED)
        return next((project for folder in ordered if (project := project_with(folder))), None)

    @property
    def state(self) -> Path:
        """Where records, incidents and Dagster's storage of the environment are."""
        return self.environment.state or self.home

    @property
    def local_cluster(self) -> Path:
        """Folder of the local cluster; its kubeconfig is `kubeconfig` in it."""
        return self.home / "cluster"

    @property
    def dagster_home(self) -> Path:
        """Dagster's storage."""
        return self.state / "dagster"


@functools.cache
def settings() -> Settings:
    """The settings of this process, from its environment.

    Raises ConfigurationError naming every wrong variable and what is allowed.
    """
    for name in _GONE:
        if os.environ.get(f"CARBON_{name.upper()}"):
            raise gone(name, f"CARBON_{name.upper()}")
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"CARBON_{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(
            "wrong environment variables", "; ".join(wrong), "correct or unset these variables"
        ) from error
