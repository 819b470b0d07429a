"""A process that lets others have the processor first."""

import os
from collections.abc import Callable


def at_priority(nice: int, target: Callable[..., None], *arguments: object) -> None:
    """Call `target` in this process, whose priority is from now on so much lower."""
    os.nice(nice)
    target(*arguments)
