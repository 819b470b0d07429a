"""A volume that an empty one has taken the place of: everything works, and the data is gone."""

import dataclasses
from collections.abc import Collection

from carbon_platform.materialization.record import recall
from carbon_platform.materialization.session import Session
from carbon_platform.records import CheckResult
from carbon_platform.release.guard import word_for_empty
from carbon_platform.release.volumes import replaced_volumes
from carbon_platform.spec.platform import Component


async def with_volumes(
    ready: CheckResult, component: Component, session: Session, confirmed: Collection[str] = ()
) -> CheckResult:
    """The check `ready`, failed when a volume is another than when it was last verified and nobody accepted that."""
    replaced = await replaced_volumes(session.records.get(component.key).volumes, session.api)
    if replaced:
        # Somebody may have accepted that from another machine.
        replaced = await replaced_volumes((await recall(component, session)).volumes, session.api)
    words = {claim: word_for_empty(claim) for claim in replaced}
    found = [claim for claim in replaced if words[claim] not in confirmed]
    if not found:
        return ready
    told = "; ".join(f"{claim} is another one than when it was last verified: its data is gone" for claim in found)
    accept = " ".join(f"--confirm {words[claim]}" for claim in found)
    return dataclasses.replace(
        ready,
        passed=False,
        detail=told if ready.passed else f"{ready.detail}; {told}",
        fix=f"restore the data; if it is restored, or may be gone: carbon up {component.key} {accept}",
    )
