"""Jobs that the cluster cleans away by itself once they have finished: that they are gone is right. Pure."""

from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind


def vanishes(desired: Object) -> bool:
    """True for a Job that is declared to go some time after it has finished (`ttlSecondsAfterFinished`)."""
    spec = desired.get("spec")
    declared = isinstance(spec, dict) and spec.get("ttlSecondsAfterFinished") is not None
    return declared and group_kind(desired) == "Job.batch"


def cleaned_away(desired: Object, applied: Iterable[Object]) -> bool:
    """True when an object that is not there is a Job that was `applied` just so, and has gone as declared."""
    name = ObjectName.of(desired)
    return vanishes(desired) and any(ObjectName.of(o) == name and o.get("spec") == desired["spec"] for o in applied)
