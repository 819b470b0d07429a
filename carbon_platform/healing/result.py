"""What a healing run came to: what is written down of it, and shown. Pure."""

import dataclasses

from carbon_platform.errors import CarbonError, DataAtRisk, Overtaken, Unreachable
from carbon_platform.materialization.outcome import Outcome


@dataclasses.dataclass(frozen=True)
class Result:
    """The end of one attempt."""

    helped: bool
    """It was proven that the component works."""
    told: str = ""
    """In a clause, for people."""
    cut_short: bool = False
    """It says nothing about its remedy: the API server was away, or somebody else was at work."""
    changed: bool | None = None
    """It wrote something; None where that is not known."""
    lost: tuple[str, ...] = ()
    """Data and work that are gone."""
    fix: str = ""
    """What a person can do about what it failed for; empty where it says nothing."""


def of_outcome(outcome: Outcome) -> Result:
    """Of a materialization that was finished, well or not."""
    failed = next((check for check in outcome.checks if check.failed), None)
    changes = "; ".join(change.splitlines()[0] for change in outcome.changes)
    told = f"{failed.name}: {failed.detail}" if failed else changes or "nothing had to be changed"
    return Result(outcome.verified, told, False, outcome.applied, outcome.lost, failed.fix if failed else "")


def of_error(error: CarbonError) -> Result:
    """Of one that ended with an error."""
    lost = error.lost if isinstance(error, DataAtRisk) else ()
    return Result(False, error.told, isinstance(error, Unreachable | Overtaken), None, lost, error.fix)
