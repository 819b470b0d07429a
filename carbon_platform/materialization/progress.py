"""What a materialization tells while it works, to whoever listens: a log, a live table, both."""

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator


class Step(enum.StrEnum):
    """The steps of a materialization, in their order."""

    PREFLIGHT = "preflight"
    CLAIM = "claim"
    RECOVER = "recover"
    PLAN = "plan"
    APPLY = "apply"
    WAIT = "wait"
    VERIFY = "verify"
    DONE = "done"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Event:
    """One piece of news of one component."""

    component: str
    step: Step
    text: str


Listener = Callable[[Event], None]
_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` for every event of this process meanwhile. It is called from the thread that works."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(event: Event) -> None:
    """Tell all who listen."""
    for listener in list(_listeners):
        listener(event)
