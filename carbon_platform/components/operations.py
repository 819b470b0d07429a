"""What looks after a platform beside its assets: the schedules that verify, the sweeps, and the sensor that heals."""

import dagster as dg

from carbon_platform.components.definition import platform
from carbon_platform.components.drift import drift_sweep
from carbon_platform.components.healing import healing_sensor
from carbon_platform.components.schedules import verification_schedules
from carbon_platform.components.sweep import health_sweep

_MARK = "carbon/operations"
"""In the metadata of definitions, which are kept when these are merged."""


def operations() -> dg.Definitions:
    """To be merged into the definitions of the one project that runs the platform.

    Raises ConfigurationError naming file and line of whatever is wrong in a defs.yaml.
    """
    components = platform()
    own = dg.Definitions(
        schedules=verification_schedules(components), sensors=[healing_sensor(components)], metadata={_MARK: True}
    )
    return dg.Definitions.merge(own, health_sweep(components), drift_sweep(components))


def among(definitions: dg.Definitions) -> bool:
    """True when they are merged into these definitions already."""
    return _MARK in definitions.metadata
