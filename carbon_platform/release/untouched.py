"""Objects that are plainly as they were applied, so that the API server need not be asked by a dry run. Pure."""

from collections.abc import Mapping
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.release.managed_fields import same_key, written_by_us_alone


def untouched(live: Object, desired: Object) -> bool:
    """True when applying `desired` as Helm would change nothing, by what is written in the live object alone.

    That is so when live says all that is desired, Helm applied nothing else of it before, and nobody but Helm,
    Carbon and whoever reports its status has written to it. False means only that the API server must say.
    """
    applied = written_by_us_alone(live)
    return applied is not None and _says(live, desired) and _covered(applied, desired)


def _says(live: Any, desired: Any) -> bool:
    """True when each value that is desired is there, as it is written."""
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(k in live and _says(live[k], v) for k, v in desired.items())
    if isinstance(desired, list):
        same = isinstance(live, list) and len(live) == len(desired)
        return same and all(_says(a, b) for a, b in zip(live, desired, strict=True))
    return desired is not None and type(live) is type(desired) and bool(live == desired)


def _covered(fields: Any, desired: Any) -> bool:
    """True when each field (FieldsV1) is one that is desired: applying would remove any other."""
    if not isinstance(fields, Mapping):
        return False
    items = [step for step in fields if step.startswith(("k:", "v:", "i:"))]
    if items and not (isinstance(desired, list) and len(items) == len(desired)):
        return False
    for step, inner in fields.items():
        if step.startswith("f:"):
            name = step.removeprefix("f:")
            if not isinstance(desired, Mapping) or name not in desired or not _covered(inner, desired[name]):
                return False
        elif step.startswith("k:") and not any(same_key(item, step) and _covered(inner, item) for item in desired):
            return False
    return True
