"""How the way of an image onto the node is told while it lasts."""

import time
from collections.abc import Callable

Progress = Callable[[str, str, float], None]
"""Told at each step: the image, what happens to it, and the seconds since its first step."""

ALL = "images"
"""Stands for the image where a step is about all of them."""


class Steps:
    """Tells steps, with the time that has passed for each image."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._began: dict[str, float] = {}

    def tell(self, image: str, step: str) -> None:
        """Say what happens to an image now."""
        now = self._clock()
        self._progress(image, step, now - self._began.setdefault(image, now))

    def tell_all(self, step: str) -> None:
        """Say what happens that is not about one image."""
        self.tell(ALL, step)
