"""What a definition says of the objects of its release, where the objects do not say it themselves. Pure.

It is asked by whoever reads an object, and never written into one: it would differ from what Helm applied.
"""

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, model_validator

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, group_kind, is_custom
from carbon_platform.source import Strict

_Said = TypeVar("_Said")
_OF_KUBERNETES = frozenset(kind for _, kind in BUILT_IN)


def _custom(pattern: str) -> str:
    kind, _, group = pattern.partition("/")[0].partition(".")
    if not is_custom(f"{group}/v1", kind) if group else kind in _OF_KUBERNETES:
        raise ValueError(f"{kind} is a kind of Kubernetes' own; where another kind is meant, write Kind.group")
    return pattern


Of = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*(\.[a-z0-9][-.a-z0-9]*)?(/[-.a-z0-9*?\[\]]+)?$")]
"""Which objects are meant: `Kind.group`, or `Kind` of whatever group; then `/` and a pattern of names, or all."""
OfCustom = Annotated[Of, AfterValidator(_custom)]
"""Which custom resources are meant."""


class ReadyRule(Strict):
    """When a custom resource is ready: all that is said here has to be so, and nothing else."""

    conditions: list[str] = Field(default_factory=list, description="Conditions that have to be True.")
    fields: dict[str, str | bool | int] = Field(
        default_factory=dict, description="Fields by their path, such as status.state, each with its value."
    )
    pods: int | None = Field(None, ge=0, description="So many of its pods have to be ready.")

    @model_validator(mode="after")
    def _something(self) -> "ReadyRule":
        if not (self.conditions or self.fields or self.pods is not None):
            raise ValueError("give at least one of conditions, fields, pods")
        return self


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is said of objects, by which objects are meant. Of two that mean one, that which names it counts."""

    ready: Mapping[str, ReadyRule] = dataclasses.field(default_factory=dict)
    left: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """Patterns of the paths of fields that are others' to write."""
    replaced_by: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The annotation of a custom resource's pod templates that changes with them."""
    idempotent: Sequence[str] = ()
    """Patterns of the names of Jobs that may run twice."""
    managers: Sequence[str] = ()
    """Field managers that may write to any of them."""

    def ready_of(self, obj: Object) -> ReadyRule | None:
        """When it is ready; None where nothing is said of it."""
        return _of(obj, self.ready)

    def left_of(self, obj: Object) -> Sequence[str]:
        """Patterns of the fields of it that are left to others."""
        return _of(obj, self.left) or ()

    def replaced_by_of(self, obj: Object) -> str | None:
        """The annotation by which pods of an earlier template are told."""
        return _of(obj, self.replaced_by)

    def may_run_twice(self, job: Object) -> bool:
        """True for a Job of which it is said that running it twice does no harm."""
        return any(fnmatch.fnmatchcase(job["metadata"]["name"], pattern) for pattern in self.idempotent)

    def meaningless(self, objects: Iterable[Object]) -> list[str]:
        """What of this means none of these objects, which are all that there are: a typo, most often."""
        every = list(objects)
        jobs = [obj["metadata"]["name"] for obj in every if group_kind(obj) == "Job.batch"]
        said = {"ready": self.ready, "leave": self.left, "replaces_pods": self.replaced_by}
        found = [
            f"{key}: {pattern}"
            for key, patterns in said.items()
            for pattern in patterns
            if not any(_means(pattern, obj) for obj in every)
        ]
        return found + [f"idempotent_jobs: {one}" for one in self.idempotent if not fnmatch.filter(jobs, one)]


NO_RULES = Rules()


def _of(obj: Object, said: Mapping[str, _Said]) -> _Said | None:
    meant = [pattern for pattern in said if _means(pattern, obj)]
    return said[max(meant, key=lambda pattern: "/" in pattern)] if meant else None


def _means(pattern: str, obj: Object) -> bool:
    kind, _, names = pattern.partition("/")
    return kind in {group_kind(obj), obj["kind"]} and fnmatch.fnmatchcase(obj["metadata"]["name"], names or "*")
