"""The types that stand after `type:` in a defs.yaml."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import dagster as dg
from pydantic import BaseModel

from carbon_platform.components.asset import component_asset
from carbon_platform.components.scaffolding import ContentScaffolder, ManifestsScaffolder, ReleaseScaffolder
from carbon_platform.components.template_vars import Variables, template_variables
from carbon_platform.components.written import as_written
from carbon_platform.environment import FILE
from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import settings
from carbon_platform.spec.component import AssetAttributes, ContentAttributes, ManifestsAttributes, ReleaseAttributes
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


@functools.cache
def platform() -> Platform:
    """The platform of this process's settings, loaded once. Raises ConfigurationError with every problem."""
    return load_platform(settings())


@dataclasses.dataclass
class PlatformComponent(dg.Component):
    """A component of the platform, known by its file.

    A subclass may say how its asset looks, by `asset_spec`.
    """

    key: str
    attributes_model: ClassVar[type[AssetAttributes]]
    """What its attributes may say. A type that has this is Carbon's."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The same for Dagster."""
        return as_written(cls.attributes_model)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "PlatformComponent":
        """The attributes are read by `load_platform`, together with those of all others: needs lead to them.

        Raises ConfigurationError for a file that is not among the platform's definitions.
        """
        component = platform().components.get(context.path.name)
        if component is not None and component.file.parent.resolve() == context.path.resolve():
            return cls(component.key)
        raise ConfigurationError(
            f"{context.path / 'defs.yaml'} is not among the platform's definitions",
            f"they are in {', '.join(map(str, settings().definitions))}",
            f"list its folder under `definitions` in {FILE}, or start Dagster in the folder of its project",
        )

    @classmethod
    def template_variables(cls, file: Path, module: str | None) -> Variables:
        """Dagster's template variables for a file with this type. Raises TemplateVarsUnknown."""
        return template_variables(cls, file, module)

    def asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The asset as it is shown; `spec` is what the definition says."""
        return spec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset and its checks. Raises ConfigurationError for a component that was made in Python."""
        if context.path.is_file():
            raise ConfigurationError(
                f"{context.path} makes a component of Carbon's in Python",
                "what the command line reads as well is written as YAML",
                f"write a defs.yaml with the type {type(self).__qualname__} in a folder of its own",
            )
        return dg.Definitions(assets=[component_asset(self.key, platform(), self.asset_spec)])


@dg.scaffold_with(ReleaseScaffolder)
@dataclasses.dataclass
class HelmRelease(PlatformComponent):
    """A Helm release that is deployed, verified and healed."""

    attributes_model = ReleaseAttributes


@dg.scaffold_with(ManifestsScaffolder)
@dataclasses.dataclass
class Manifests(PlatformComponent):
    """Plain objects that are deployed, verified and healed like a release."""

    attributes_model = ManifestsAttributes


@dg.scaffold_with(ContentScaffolder)
@dataclasses.dataclass
class Content(PlatformComponent):
    """Content of a running component, kept as declared."""

    attributes_model = ContentAttributes
