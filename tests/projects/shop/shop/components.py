"""Component types of this project."""

import dataclasses

import dagster as dg

from carbon_platform.components import HelmRelease


@dataclasses.dataclass
class TeamRelease(HelmRelease):
    """A release whose asset says whose it is."""

    def asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(owners=["team:shop"])
