"""What Dagster loads: the platform's assets and checks, the schedules that verify them, the sensor that heals them."""

import importlib
import traceback
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from dagster._core.workspace.autodiscovery import loadable_targets_from_loaded_module
from dagster_async_executor import async_executor

from carbon_platform.components.asset import component_asset
from carbon_platform.components.definition import platform
from carbon_platform.components.operations import among, operations
from carbon_platform.environment import SHIPPED
from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.project import Project
from carbon_platform.settings import settings
from carbon_platform.spec.platform import Component


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions: of the dg project whose folder is among the settings', everything that Dagster loads of it.

    Raises ConfigurationError naming file and line of whatever is wrong in a defs.yaml, or in the project.
    """
    components = platform().components.values()
    project = settings().project
    if project is None:
        return dg.Definitions.merge(alone(), operations())
    own = _own(project)
    inside = (project.definitions or project.root).resolve()
    beside = _assets(one for one in components if not one.file.resolve().is_relative_to(inside))
    return dg.Definitions.merge(own, beside, dg.Definitions() if among(own) else operations())


def alone() -> dg.Definitions:
    """The components' assets and nothing else, whatever project they are in: what the command line materializes."""
    return dg.Definitions.merge(_assets(platform().components.values()), dg.Definitions(executor=async_executor))


def _assets(components: Iterable[Component]) -> dg.Definitions:
    return dg.Definitions(assets=[component_asset(component.key, platform()) for component in components])


def _own(project: Project) -> dg.Definitions:
    if project.module == __name__:
        loaded = dg.load_from_defs_folder(path_within_project=SHIPPED)
        return dg.Definitions.merge(loaded, dg.Definitions(executor=async_executor))
    try:
        return _loaded(project)
    except CarbonError:
        raise
    except Exception as error:
        root = _root(error)
        if isinstance(root, CarbonError):
            # As a new one: an error that is its own cause's cause is told without end.
            raise ConfigurationError(root.summary, root.cause, root.fix, root.evidence) from error
        raise ConfigurationError(
            f"the definitions of {project.root} can't be loaded",
            f"{_place(root, project)}: {type(root).__name__}: {root}",
            "correct it; in that folder `dg check defs` tells the same",
        ) from error


def _loaded(project: Project) -> dg.Definitions:
    """What `dg dev` finds in the project."""
    (target, *_) = loadable_targets_from_loaded_module(importlib.import_module(project.module))
    found = target.target_definition
    found = found() if callable(found) else found
    if not isinstance(found, dg.Definitions):
        raise ConfigurationError(
            f"{project.file} can't be served together with a platform",
            f"what Dagster finds in it is no Definitions but {type(found).__name__}",
            "return dg.Definitions from a function with @dg.definitions",
        )
    return found


def _root(error: BaseException) -> BaseException:
    """What Dagster's loader wraps, once for each folder."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _place(error: BaseException, project: Project) -> str:
    """The last line of the project's own that led to it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(project.source) and "site-packages" not in frame.filename
    ]
    return f"{ours[-1].filename}:{ours[-1].lineno}" if ours else str(project.file)
