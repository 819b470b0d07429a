"""What is known of the platform at one moment."""

import dataclasses
import math
from collections.abc import Mapping

from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.symptoms import Symptom
from carbon_platform.spec.platform import Platform


@dataclasses.dataclass(frozen=True)
class Write:
    """What somebody wrote to an object, who is neither Carbon nor a controller of the cluster."""

    object: str
    by: str
    """The field manager."""
    at: str
    """RFC 3339, in whole seconds."""

    def __str__(self) -> str:
        return f"{self.by} wrote {self.object} at {self.at}"


@dataclasses.dataclass(frozen=True)
class View:
    """What was seen of the platform."""

    platform: Platform | None = None
    cluster_id: str = ""
    unreachable: str = "not looked at yet"
    """Why nothing is known now; empty when the rest holds."""
    symptoms: Mapping[str, tuple[Symptom, ...]] = dataclasses.field(default_factory=dict)
    """By component; releases only, and only what the cluster shows: checks are remembered elsewhere."""
    busy: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Who is at work, by component."""
    settled_at: str = ""
    """What checks said before may come of an API server outage alone: controllers are behind until then."""
    at: float = dataclasses.field(default=math.inf, compare=False)
    """When the look began that saw this, in seconds since the epoch."""
    revisions: Mapping[str, Deployed] | None = None
    """The newest revision of each release that Helm has one of; None when that is not known."""
    writes: Mapping[str, tuple[Write, ...]] = dataclasses.field(default_factory=dict, compare=False)
    """What others wrote to the objects of each component."""
    left_to: str = ""
    """Who else heals something of it, which is busy then; empty when nobody does."""
