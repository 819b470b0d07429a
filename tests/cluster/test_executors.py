"""Assets are plain: whichever executor runs them, they deploy and verify."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.platform import Platform

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_the_same_assets_run_under_dagsters_own_executors(platform: Platform, executor: str) -> None:
    platform.define("base")
    platform.define("app", needs=["base"])
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.other_executors"],
        env=platform.environment | {"TEST_EXECUTOR": executor, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert platform.states() == {"base": "verified", "app": "verified"}
