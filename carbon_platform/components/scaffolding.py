"""What `dg scaffold defs` writes for a component type: a defs.yaml that loads, to be made one's own."""

from typing import Any

import dagster as dg

from carbon_platform.errors import ConfigurationError

_HEAD = """type: {type}
attributes:
  title: {name}
  description: What it is for.
  group: {group}
  namespace: {namespace}
"""
_RELEASE = """  # Or `path`, a chart folder here or above; or `oci` and `version`.
  chart: {{repo: https://charts.example.org, name: {release}, version: 1.0.0}}
  values: {{}}
  # Components that must be verified before it is deployed.
  needs: []
  # What proves that it works; each with its `type`.
  checks: []
"""
_MANIFESTS = """  objects:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {{name: {release}}}
      data: {{}}
  # Or files with such objects, as globs.
  files: []
  # Components that must be verified before it is deployed.
  needs: []
"""
_CONTENT = """  # What it lives in.
  needs: []
  content:
    type: kafka.topics
    topics:
      - {{name: {release}, partitions: 1, replication: 1}}
"""


class _Scaffolder(dg.Scaffolder[Any]):
    body = ""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the defs.yaml. Raises ConfigurationError where a component in Python was asked for."""
        if request.scaffold_format != "yaml":
            raise ConfigurationError(
                f"{request.type_name} can't be scaffolded in Python",
                "what the command line reads as well is written as YAML",
                "leave --format out",
            )
        name = request.target_path.name
        release = name.replace("_", "-")
        told = {"type": request.type_name, "name": name, "release": release, "group": "platform", "namespace": release}
        (request.target_path / "defs.yaml").write_text((_HEAD + self.body).format(**told), encoding="utf-8")


class ReleaseScaffolder(_Scaffolder):
    """For HelmRelease."""

    body = _RELEASE


class ManifestsScaffolder(_Scaffolder):
    """For Manifests."""

    body = _MANIFESTS


class ContentScaffolder(_Scaffolder):
    """For Content."""

    body = _CONTENT
