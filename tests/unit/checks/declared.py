"""The checks that the platform's definitions declare."""

import functools
from pathlib import Path

import carbon_platform
from carbon_platform.checks.steps import StepsCheck
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


@functools.cache
def _platform() -> Platform:
    return load_platform(Settings(defs=str(Path(carbon_platform.__file__).parent / "defs"), env="local"))


def declared(component: str, name: str, patience: float = 0.2) -> StepsCheck:
    """A check of a shipped definition, which waits for so many seconds wherever it waits for anything."""
    check = _platform().components[component].checks[name]
    assert isinstance(check, StepsCheck)
    soon = {"within": patience, "every": 0.01}
    steps = [step.model_copy(update=soon) if step.until else step for step in check.parts["steps"]]
    return check.model_copy(update={"steps": steps})
