"""The types that stand after `type:` in a defs.yaml."""

import dataclasses
import functools

import dagster as dg
from pydantic import BaseModel

from carbon_platform.components.asset import component_asset
from carbon_platform.settings import settings
from carbon_platform.spec.component import ContentAttributes, ManifestsAttributes, ReleaseAttributes
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform


@functools.cache
def platform() -> Platform:
    """The platform of this process's settings, loaded once. Raises ConfigurationError with every problem."""
    return load_platform(settings())


@dataclasses.dataclass
class PlatformComponent(dg.Component):
    """A component of the platform, known by the name of its folder."""

    key: str

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "PlatformComponent":
        """The attributes are read by `load_platform`, together with those of all others: here only the name counts."""
        return cls(context.path.name)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset and its checks."""
        return dg.Definitions(assets=[component_asset(platform().components[self.key])])


@dataclasses.dataclass
class HelmRelease(PlatformComponent):
    """A Helm release that is deployed, verified and healed."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What its attributes may say."""
        return ReleaseAttributes


@dataclasses.dataclass
class Manifests(PlatformComponent):
    """Plain objects that are deployed, verified and healed like a release."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What its attributes may say."""
        return ManifestsAttributes


@dataclasses.dataclass
class Content(PlatformComponent):
    """Content of a running component, kept as declared."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What its attributes may say."""
        return ContentAttributes
