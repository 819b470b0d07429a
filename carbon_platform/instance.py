"""Carbon's Dagster instance: where its storage is, and that it is configured."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from carbon_platform.environment import SHIPPED
from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import Settings

_CONFIGURATION = Path(__file__).with_name("dagster.yaml")
_COMPONENTS_ALONE = Path(__file__).with_name("dagster_components.yaml")
"""What only data assets need is off. Those of another project have Dagster's own defaults."""


def prepare_instance(settings: Settings) -> Path:
    """Make DAGSTER_HOME with Carbon's dagster.yaml and point the environment at it; a DAGSTER_HOME already set wins.

    Raises ConfigurationError when the folder can't be written.
    """
    chosen = os.environ.get("DAGSTER_HOME")
    home = Path(chosen) if chosen else settings.dagster_home
    target = home / "dagster.yaml"
    wanted = _CONFIGURATION.read_bytes()
    if settings.project is None or settings.project.definitions == SHIPPED:
        wanted += b"\n" + _COMPONENTS_ALONE.read_bytes()
    try:
        if not chosen and not (target.is_file() and target.read_bytes() == wanted):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(wanted)
    except OSError as error:
        raise ConfigurationError(
            f"{home} can't be written", str(error), "set CARBON_HOME to a folder of yours"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextlib.contextmanager
def opening(home: Path) -> Iterator[None]:
    """One process at a time: two that make the tables of a new storage at once break each other."""
    with (home / "opening.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
