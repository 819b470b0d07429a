"""What a piece of content is: desired state inside a running component."""

import abc
import dataclasses
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from carbon_platform.cluster.reach import Reach


@dataclasses.dataclass(frozen=True)
class ContentChange:
    """One difference between desired and live content."""

    object: str
    """What it is about, e.g. `topic prices.raw`."""
    change: str
    """What apply would do, e.g. `create with 6 partitions` or `retention.ms: 604800000 → 86400000`."""
    destroys_data: bool = False
    """True if applying it would lose data; such a change is refused without a person's word."""
    creates: bool = False
    """True if the object is not there and would be made, with nothing in it. One that was there before is lost: it is
    made anew on a person's word only."""


class Content(BaseModel, abc.ABC):
    """Content of a defs.yaml: its fields are what a person declares.

    A subclass lives in `content/<module>.py`, is named in that module's `CONTENT` as
    `{"<name>": TheClass}`, and is written `type: <module>.<name>` under `content:` in a defs.yaml.
    Client libraries are imported inside the methods.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    summary: ClassVar[str] = ""

    type: str

    @abc.abstractmethod
    def objects(self) -> tuple[str, ...]:
        """What it declares that holds data, by the names that its changes have; empty when it declares none."""

    @abc.abstractmethod
    async def plan(self, reach: Reach) -> list[ContentChange]:
        """What differs between declared and live; reads only. Empty when nothing is to do."""

    @abc.abstractmethod
    async def apply(self, reach: Reach) -> None:
        """Make live what is declared; idempotent; never deletes what it does not know."""
