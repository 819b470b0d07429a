"""What is live of the platform, kept current by watches in a thread of its own, and what is wrong with it.

It lives as long as its process, not as long as one evaluation of a sensor: nothing is missed in between, and nothing
is listed again. After a lost connection, an expired watch or an API server that went away it goes on by itself.
"""

import asyncio
import dataclasses
import logging
import threading
import time

import tenacity

from carbon_platform.errors import Crash, Unreachable, foreseen
from carbon_platform.healing.following import Following
from carbon_platform.healing.healers import Healers
from carbon_platform.healing.settling import LONGEST_PAUSE_SECONDS, Settling
from carbon_platform.healing.view import View
from carbon_platform.session import open_session
from carbon_platform.settings import Settings

_LOG = logging.getLogger(__name__)


class Watcher:
    """Call `start` once; then `view` is what is known now, and `wait` returns when that may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._view = View()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._settling = Settling()
        self._healers = Healers(settings)

    def start(self) -> None:
        """Watch from now on, in a thread that ends with the process."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="watcher", daemon=True)
            self._thread.start()

    def view(self) -> View:
        """What was seen last."""
        return self._view

    def wait(self, seconds: float) -> bool:
        """Return at once when the view has changed since the last call, or after so many seconds; whether it has."""
        changed = self._changed.wait(seconds)
        self._changed.clear()
        return changed

    def _publish(self, view: View) -> None:
        if view.unreachable and view.unreachable != self._view.unreachable:
            _LOG.warning("the platform can't be seen: %s", view.unreachable)
        elif not view.unreachable and self._view.unreachable not in {"", View.unreachable}:
            _LOG.warning("the platform is seen again")
        if view.left_to != self._view.left_to:
            told = f"{view.left_to} heals it, this process does not" if view.left_to else "this process heals it again"
            _LOG.warning("the platform: %s", told)
        changed, self._view = view != self._view, view
        if changed:
            self._changed.set()

    async def _run(self) -> None:
        retrying = tenacity.AsyncRetrying(wait=tenacity.wait_random_exponential(multiplier=0.5, max=5))
        async for attempt in retrying:
            with attempt:
                try:
                    async with open_session(self._settings) as session:
                        while True:
                            retrying.statistics["attempt_number"] = 1
                            following = Following(self._settings, session, self._publish, self._settling, self._healers)
                            await following.follow()
                except Exception as error:  # whatever it is: it is told, and the watch begins anew
                    if isinstance(error, Unreachable):
                        now = time.monotonic()
                        self._settling.after((now - LONGEST_PAUSE_SECONDS, now))
                    told = foreseen(error, "the watch crashed")
                    _LOG.debug("%s", told)
                    self._publish(
                        dataclasses.replace(
                            self._view,
                            unreachable=told.told if isinstance(told, Crash) else told.summary,
                            symptoms={},
                            busy={},
                        )
                    )
                    raise
