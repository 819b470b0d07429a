"""Secret values are taken out of whatever programs have said before it is told or recorded."""

import contextlib
from collections.abc import Callable

from carbon_platform.errors import CarbonError
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component


async def redactor(component: Component, session: Session) -> Callable[[str], str]:
    """A function that hides the values of the component's Secrets in a text: a crashing program may have logged one."""
    reach = session.reach(component)
    values = []
    for spec in component.secrets:
        for key, source in spec.keys.items():
            if source.literal is None:
                with contextlib.suppress(CarbonError):
                    values.append(await reach.secret(spec.name, key, spec.namespace))

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, "(hidden)")
        return text

    return clean
