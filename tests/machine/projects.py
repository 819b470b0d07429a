"""Dagster projects, and Dagster's and Carbon's programs in them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
SHOP = Path(__file__).parents[1] / "projects" / "shop"
_SECONDS = 120

SERVED = """
from carbon_platform.definitions import defs
repository = defs().get_repository_def()
names = [one.name for one in (*repository.sensor_defs, *repository.schedule_defs)]
checks = [f"{key.asset_key.to_user_string()}:{key.name}" for key in repository.asset_graph.asset_check_keys]
print(*sorted(names), *sorted(checks))
"""
"""A program that tells what `carbon ui` serves."""


class Project:
    """A Dagster project, and a shell in it without any setting of Carbon's or Dagster's."""

    def __init__(self, folder: Path, home: Path, **environment: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CARBON_", "DAGSTER_"))}
        self.folder = folder
        self.environment = {**kept, "HOME": str(home), "PYTHONPATH": str(folder), **environment}

    def __call__(self, *command: str, code: int = 0) -> str:
        """Everything that the command printed."""
        done = self._run(command, code)
        return done.stdout + done.stderr

    def json(self, *command: str) -> Any:
        """What the command printed as JSON."""
        return json.loads(self._run((*command, "--json"), 0).stdout)

    def _run(self, command: tuple[str, ...], code: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def assets(self) -> dict[str, Any]:
        """Every asset, as `dg list defs` tells of it."""
        return {one["asset_key"]: one for one in self.json("dg", "list", "defs")["assets"]}
