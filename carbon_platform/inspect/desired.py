"""What is desired of a component's release, and what was deployed of it: whoever wants to know asks here."""

from carbon_platform.release.desired import Desired, desired_of, stored
from carbon_platform.release.history import latest
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component


async def wanted(component: Component, session: Session, *, anew: bool = False) -> Desired:
    """What its definition makes of its release now, as `desired_of`."""
    assert component.release is not None, "content is compared with its declaration"
    revision = await latest(session.api, component.release)
    return await desired_of(component, revision, session.helm, session.api, session.settings.cache, anew=anew)


async def deployed(component: Component, session: Session) -> Desired | None:
    """What its newest revision applied; None when it is not installed."""
    assert component.release is not None, "content is compared with its declaration"
    revision = await latest(session.api, component.release)
    return await stored(component, revision, session.api, session.settings.cache) if revision else None
