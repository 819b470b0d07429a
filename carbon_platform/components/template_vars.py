"""Dagster's template variables for one defs.yaml, as its loader gives them, without loading anything else.

The one place that knows how Dagster's loader puts them together.
"""

import dataclasses
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.defs_module import (
    ComponentPath,
    DefsFolderComponent,
    context_with_injected_scope,
    find_defs_or_component_yaml,
)

from carbon_platform.project import project_of
from carbon_platform.source import Source, read
from carbon_platform.spec.fields import TemplateVarsUnknown


@dataclasses.dataclass(frozen=True)
class Variables:
    """What may be named in a file, and what it is."""

    _context: ComponentDeclLoadContext
    _dagsters: Collection[str]

    @property
    def names(self) -> Collection[str]:
        """Not those that Dagster has everywhere: `dg` and the like give nothing that an attribute could be."""
        return self._context.resolution_context.scope.keys() - set(self._dagsters)

    def result(self, expression: str) -> Any:
        """Of a whole `{{ … }}`. Raises ValueError for one that can't be evaluated."""
        try:
            return self._context.resolution_context.resolve_value(expression)
        except Exception as error:  # whatever the variable does
            last = str(error).strip().splitlines()[-1]
            raise ValueError(f"{expression} can't be evaluated: {last}") from error


def template_variables(component: type[dg.Component], file: Path, module: str | None) -> Variables:
    """Those of the file's folder, of the folders above, of the file's own `template_vars_module`, and of its type.

    Raises TemplateVarsUnknown.
    """
    project = project_of(file.absolute())
    if project is None:
        raise TemplateVarsUnknown("template variables are Dagster's: the file has to be in a dg project for them")
    project.make_importable()
    try:
        tree = ComponentTree.for_project(project.root)
        context = tree.decl_load_context
        dagsters = set(context.resolution_context.scope)
        inside = tree.defs_module_path.resolve()
        folder = file.parent.resolve()
        for above in reversed([one for one in folder.parents if one.is_relative_to(inside)]):
            context = context.for_component_loc(ComponentPath.from_path(above))
            context = context_with_injected_scope(context, DefsFolderComponent, _module_of(above))
        context = context.for_component_loc(ComponentPath.from_path(folder))
        return Variables(context_with_injected_scope(context, component, module), dagsters)
    except Exception as error:  # whatever a module of somebody's does
        last = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{last.filename}:{last.lineno}: {type(error).__name__}: {error}"
        raise TemplateVarsUnknown(f"template variables can't be had: {told}") from error


def _module_of(folder: Path) -> str | None:
    file = find_defs_or_component_yaml(folder)
    source = read(file) if file else None
    told = source.data if isinstance(source, Source) else None
    return told.get("template_vars_module") if isinstance(told, dict) else None
