"""The platform's assets under an executor of Dagster's own. Run as a program, it materializes them all."""

import os
import sys

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from carbon_platform.components.asset import component_asset
from carbon_platform.components.definition import platform
from carbon_platform.instance import prepare_instance
from carbon_platform.settings import settings

EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


@dg.definitions
def defs() -> dg.Definitions:
    """The assets alone."""
    assets = [component_asset(key, platform()) for key in platform().components]
    return dg.Definitions(assets=assets, executor=EXECUTORS[os.environ["TEST_EXECUTOR"]])


def main() -> int:
    """0 when every asset was materialized and every check passed."""
    prepare_instance(settings())
    repository = ReconstructableRepository.for_module("tests.cluster.other_executors", "defs")
    with dg.DagsterInstance.get() as instance:
        job = repository.get_reconstructable_job("__ASSET_JOB")
        return 0 if dg.execute_job(job, instance=instance, raise_on_error=False).success else 1


if __name__ == "__main__":
    sys.exit(main())
