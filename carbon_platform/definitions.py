"""What Dagster loads: the platform's assets and checks, the schedules that verify them, the sensor that heals them."""

from pathlib import Path

import dagster as dg
from dagster_async_executor import async_executor

from carbon_platform.components.asset import component_asset
from carbon_platform.components.definition import platform
from carbon_platform.components.drift import drift_sweep
from carbon_platform.components.healing import healing_sensor
from carbon_platform.components.schedules import verification_schedules
from carbon_platform.components.sweep import health_sweep
from carbon_platform.settings import settings

OWN_DEFS = Path(__file__).parent / "defs"


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions. Raises ConfigurationError naming file and line of whatever is wrong in a defs.yaml."""
    components = platform()
    if settings().defs == OWN_DEFS:
        assets = dg.load_from_defs_folder(path_within_project=OWN_DEFS)
    else:
        # A folder outside a Dagster project: the same assets, without the project around them.
        assets = dg.Definitions(assets=[component_asset(c) for c in components.components.values()])
    own = dg.Definitions(
        schedules=verification_schedules(components), sensors=[healing_sensor(components)], executor=async_executor
    )
    return dg.Definitions.merge(assets, own, health_sweep(components), drift_sweep(components))
