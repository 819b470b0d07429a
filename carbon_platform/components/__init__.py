"""The Dagster component types: a defs.yaml becomes an asset with its checks."""

from carbon_platform.components.definition import Content, HelmRelease, Manifests
from carbon_platform.components.gate import require_verified
from carbon_platform.components.operations import operations

# A defs.yaml names its type by the dotted path of this package: it is part of the interface.
__all__ = ["Content", "HelmRelease", "Manifests", "operations", "require_verified"]
