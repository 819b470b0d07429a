"""What somebody added to an object of a release: applying leaves it, so it is taken out by itself."""

from collections.abc import Collection

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Conflict, Unreachable
from carbon_platform.release.managed_fields import Path, additions, without
from carbon_platform.spec.rules import Rules

_ATTEMPTS = 10


async def without_additions(applied: Object, live: Object, rules: Rules, api: Api) -> tuple[tuple[Path, ...], Object]:
    """What of an applied object somebody added and can be taken out again, and the object as it would be then.

    `applied` is what the dry run of applying says. This is a dry run too, so that what the server fills in for
    itself in place of what is taken out shows. What the API server does not let go of (an immutable field) stays.
    Raises Conflict when the object has changed since `live` was read.
    """
    found = additions(applied, rules)
    if not found:
        return (), applied

    async def taken_out(paths: Collection[Path]) -> Object:
        rest = without(applied, paths)
        rest["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return await api.replace(rest, dry_run=True)

    try:
        return found, await taken_out(found)
    except Rejected:
        pass
    after, out = applied, list[Path]()
    for path in found:
        try:
            after = await taken_out((*out, path))
            out.append(path)
        except Rejected:
            continue
    return tuple(out), after


async def take_out(name: ObjectName, paths: Collection[Path], api: Api) -> None:
    """Take these fields and list items out of a live object; nothing when they, or the object, are gone already.

    Raises Conflict when somebody else keeps changing the object, and Unreachable.
    """
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((Conflict, Unreachable)),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            live = await api.get(name)
            rest = without(live, paths) if live else None
            if rest is not None and rest != live:
                await api.replace(rest)
