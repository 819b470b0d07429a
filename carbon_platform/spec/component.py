"""The attributes of a component in its defs.yaml, as a person writes them."""

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from carbon_platform.environment import DNS_LABEL, Name
from carbon_platform.source import Strict
from carbon_platform.spec.fields import Cron, Duration, from_environment
from carbon_platform.spec.rules import Of, OfCustom, ReadyRule


def _relative(glob: str) -> str:
    if not glob or glob.startswith("/"):
        raise ValueError(f"{glob!r} is not relative to the defs.yaml's folder")
    return glob


RelativeGlob = Annotated[str, AfterValidator(_relative)]


class ChartRef(Strict):
    """Where a chart is: a folder of ours, a chart repository, or an OCI registry."""

    path: str | None = Field(None, description="A chart folder, looked for from the defs.yaml's folder upwards.")
    repo: str | None = Field(None, description="URL of a chart repository; with `name` and `version`.")
    name: str | None = None
    oci: str | None = Field(None, description="oci://… reference; with `version`.")
    version: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ChartRef":
        forms = {
            "path": self.path is not None and not (self.repo or self.name or self.oci or self.version),
            "repo": self.repo is not None and bool(self.name and self.version) and not (self.path or self.oci),
            "oci": self.oci is not None and bool(self.version) and not (self.path or self.repo or self.name),
        }
        if sum(forms.values()) != 1:
            raise ValueError("give either {path}, or {repo, name, version}, or {oci, version}")
        return self


class SecretSource(Strict):
    """A value that another Secret holds."""

    secret: str
    key: str
    namespace: str | None = None


class SecretKey(Strict):
    """Where the value of one key of a Secret comes from, the first time. Only a copy changes later, with its source."""

    generate: int | None = Field(None, ge=8, le=256, description="So many random letters and digits.")
    literal: str | None = Field(None, description="For what is no secret but belongs beside one, such as a user name.")
    value_from: SecretSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "SecretKey":
        if sum(v is not None for v in (self.generate, self.literal, self.value_from)) != 1:
            raise ValueError("give one of generate, literal, value_from")
        return self


class SecretSpec(Strict):
    """A Secret that must exist before the release is applied. Keys that are missing are added; none is changed."""

    name: str = Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    namespace: str | None = None
    keys: dict[str, SecretKey] = Field(min_length=1)


class EndpointSpec(Strict):
    """A Service port that people and checks use."""

    name: str
    service: str
    port: int = Field(ge=1, le=65535)
    namespace: str | None = None
    host: str | None = Field(None, description="Public host name, where there is one.")
    scheme: Literal["http", "https", "tcp"] = "tcp"


class HealSpec(Strict):
    """How often Carbon may try by itself to heal the component."""

    budget: int = Field(
        3,
        ge=0,
        description="Attempts of one incident that may fail before it is quarantined; 0: left to people.",
    )
    limit: int = Field(
        9,
        ge=1,
        description="Attempts of any kind for the same cause, per window: what breaks again each time ends here.",
    )
    window: Duration = Field(3600.0, description="Over which `limit` counts.")


class DriftSpec(Strict):
    """What is done about changes that nobody made through Carbon."""

    policy: Literal["report", "correct"] = Field(
        "correct", description="`correct` puts them right; `report` only tells of them."
    )
    managers: list[str] = Field(
        default_factory=list, description="Field managers that may write to its objects, besides the cluster's own."
    )


class VerifySpec(Strict):
    """When the functional checks run without being asked."""

    cron: Cron | None = None


class AnyOverlay(Strict):
    """What is said differently where an environment names it, of whatever type the component is."""

    needs: list[str] | None = Field(None, description="Replaces `needs`.")


class Overlay(AnyOverlay):
    """That of a Helm release."""

    chart: ChartRef | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    needs_registry: bool = Field(
        False,
        description="Its images come from a public registry alone: blocked without one is no failure.",
    )


class ManifestsOverlay(AnyOverlay):
    """That of objects."""

    objects: list[dict[str, Any]] = Field(
        default_factory=list, description="Merged over those of the same kind and name, or in addition."
    )
    files: list[RelativeGlob] = Field(default_factory=list, description="In addition.")


class AssetAttributes(Strict):
    """What every asset of the platform says of itself."""

    @model_validator(mode="before")
    @classmethod
    def _with_environment(cls, written: Any) -> Any:
        """Also where Dagster reads them, which resolves templates only afterwards."""
        return from_environment(written, os.environ)

    title: str
    description: str = ""
    group: str = Field(pattern=r"^[A-Za-z0-9_]+$", description="What it is shown with; any name.")
    owners: list[str] = Field(default_factory=list)
    kinds: list[str] = Field(
        default_factory=list,
        max_length=3,
        description="Words shown as badges in the lineage; Dagster has icons for many products.",
    )
    critical: bool = Field(False, description="Counts among the critical services.")
    namespace: str = Field(pattern=DNS_LABEL)
    needs: list[str] = Field(default_factory=list)
    secrets: list[SecretSpec] = Field(default_factory=list)
    endpoints: list[EndpointSpec] = Field(default_factory=list)
    checks: list[dict[str, Any]] = Field(default_factory=list)
    verify: VerifySpec = Field(default_factory=VerifySpec)
    heal: HealSpec = Field(default_factory=HealSpec)
    drift: DriftSpec = Field(default_factory=DriftSpec)
    deadline: Duration | None = Field(None, description="For becoming ready; the setting by default.")


class InstalledAttributes(AssetAttributes):
    """What is installed by Helm."""

    release: str | None = Field(None, pattern=DNS_LABEL, max_length=53, description="Release name; the folder's.")
    namespaces: list[str] = Field(default_factory=list, description="Further namespaces its objects live in.")
    stateful: bool = Field(False, description="It keeps data: backup gate and data guards apply.")
    ready: dict[OfCustom, ReadyRule] = Field(
        default_factory=dict, description="When custom resources are ready, by kind."
    )
    leave: dict[Of, list[str]] = Field(
        default_factory=dict, description="Fields that are others' to write, as patterns of paths, by kind."
    )
    replaces_pods: dict[OfCustom, str] = Field(
        default_factory=dict,
        description="The annotation of its pod templates that changes with them, by the kind of a custom resource "
        "whose operator leaves running pods on an earlier one.",
    )
    idempotent_jobs: list[str] = Field(default_factory=list, description="Jobs that may run twice, as patterns.")


class ReleaseAttributes(InstalledAttributes):
    """A Helm release: `type: carbon_platform.components.HelmRelease`."""

    chart: ChartRef
    values: dict[str, Any] = Field(default_factory=dict)
    overlays: dict[Name, Overlay] = Field(default_factory=dict)


class ManifestsAttributes(InstalledAttributes):
    """Plain objects: `type: carbon_platform.components.Manifests`."""

    objects: list[dict[str, Any]] = Field(default_factory=list, description="As they are written for kubectl.")
    files: list[RelativeGlob] = Field(
        default_factory=list, description="Files of such objects, as globs seen from the defs.yaml."
    )
    overlays: dict[Name, ManifestsOverlay] = Field(default_factory=dict)


class ContentAttributes(AssetAttributes):
    """Content of a running component: `type: carbon_platform.components.Content`."""

    content: dict[str, Any]


ATTRIBUTES: dict[str, type[AssetAttributes]] = {
    "carbon_platform.components.HelmRelease": ReleaseAttributes,
    "carbon_platform.components.Manifests": ManifestsAttributes,
    "carbon_platform.components.Content": ContentAttributes,
}
"""What may stand after `type:`, and the attributes it then takes."""


class DefsFile(Strict):
    """A whole defs.yaml."""

    type: str
    attributes: dict[str, Any]
    template_vars_module: Any = None
    requirements: Any = None
    post_processing: Any = None
    """These three are Dagster's."""
