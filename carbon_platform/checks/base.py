"""What a functional check is, and how its outcome is told."""

import abc
import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from carbon_platform.cluster.reach import Reach
from carbon_platform.source import Place

Evidence = Mapping[str, str | int | float | bool]
"""What was seen, as flat facts: numbers stay numbers so that they can be plotted. Never a secret value."""


@dataclasses.dataclass(frozen=True)
class Passed:
    """A check that passed: one sentence for a person, and what was seen."""

    detail: str
    evidence: Evidence = dataclasses.field(default_factory=dict)


class Mistake(NamedTuple):
    """What is wrong in a check as it is written, and where in it."""

    at: Place
    text: str


class Check(BaseModel, abc.ABC):
    """One check of a defs.yaml: its fields are the parameters a person may write.

    A subclass lives in `checks/<module>.py`, is named in that module's `CHECKS` as
    `{"<name>": TheClass}`, and is written `type: <module>.<name>` in a defs.yaml.
    Its module imports client libraries inside `run`, never at the top: a defs.yaml is
    validated without them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    summary: ClassVar[str] = ""
    """What a pass proves, in one sentence."""

    type: str
    name: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$", description="Name shown; the type by default.")
    deadline: float | None = Field(None, gt=0, description="Seconds this check may take; the setting by default.")

    def told_summary(self) -> str:
        """What a pass proves, for people."""
        return self.summary or f"{self.type} passes"

    def mistakes(self, endpoints: Collection[str]) -> Iterator[Mistake]:
        """What is wrong in it beside its types, in a component that has these endpoints."""
        yield from ()

    @abc.abstractmethod
    async def run(self, reach: Reach) -> Passed:
        """Do the component's own work once, and clean up after it.

        Raises CheckFailed(summary, cause, fix, evidence) when the component does not work. Any other exception
        counts as a failed check too. Must be safe to run at any time beside real users, and repeatedly.
        """
