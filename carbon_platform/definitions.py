"""What Dagster loads: the platform's assets and checks, the schedules that verify them, the sensor that heals them."""

import dagster as dg
from dagster_async_executor import async_executor

from carbon_platform.components.asset import component_asset
from carbon_platform.components.definition import platform
from carbon_platform.components.operations import operations
from carbon_platform.environment import SHIPPED
from carbon_platform.settings import settings


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions. Raises ConfigurationError naming file and line of whatever is wrong in a defs.yaml."""
    shipped = SHIPPED in settings().definitions
    assets = dg.load_from_defs_folder(path_within_project=SHIPPED) if shipped else dg.Definitions()
    # Folders outside a Dagster project: the same assets, without the project around them.
    others = [c for c in platform().components.values() if not (shipped and c.file.is_relative_to(SHIPPED))]
    beside = dg.Definitions(assets=[component_asset(component.key, platform()) for component in others])
    return dg.Definitions.merge(assets, beside, operations(), dg.Definitions(executor=async_executor))
