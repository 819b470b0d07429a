"""Which cluster, which profile, where state is kept, and how long anything may take."""

import functools
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from carbon_platform.errors import ConfigurationError

Profile = Literal["local", "production"]


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "carbon"


class Settings(BaseSettings):
    """Everything that differs between machines and people. Each field is the variable `CARBON_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CARBON_", extra="ignore", frozen=True)

    profile: Profile = Field("local", description="Sizes, images and hosts: `local` or `production`.")
    context: str | None = Field(
        None, description="The kubeconfig context to use. Unset: the local cluster, and no other."
    )
    kubeconfig: Path | None = Field(None, description="Kubeconfig that holds `context`. Unset: kubectl's own rule.")
    domain: str = Field("254carbon.com", description="Public host names of components end in it.")
    home: Path = Field(
        default_factory=lambda: _xdg("XDG_STATE_HOME", ".local/state"),
        description="Carbon's state: Dagster's storage, records, the local cluster.",
    )
    cache: Path = Field(
        default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"),
        description="What can be made again: programs, images, renders.",
    )
    defs: Path = Field(
        default=Path(__file__).parent / "defs", description="The platform: a folder per component with its defs.yaml."
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

    @property
    def local_cluster(self) -> Path:
        """Folder of the local cluster; its kubeconfig is `kubeconfig` in it."""
        return self.home / "cluster"

    @property
    def dagster_home(self) -> Path:
        """Dagster's storage."""
        return self.home / "dagster"


@functools.cache
def settings() -> Settings:
    """The settings of this process, from its environment.

    Raises ConfigurationError naming every wrong variable and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"CARBON_{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(
            "wrong settings in the environment", "; ".join(wrong), "correct or unset these variables"
        ) from error
