"""How long after an outage of the API server its controllers are behind."""

import datetime
import math
import time

LONGEST_PAUSE_SECONDS = 60.0
"""Of who watches, before it tries again."""


class Settling:
    """When the cluster has settled after an outage of its API server.

    Who watches tries again after a pause that doubles from 0.8 s to 30 s, jitter doubles that again (client-go's
    Reflector), and the last pause began before the server was back. So long a controller may not act.
    """

    def __init__(self) -> None:
        self._seen, self.at = -math.inf, ""
        """A time as records have it; empty when there was no outage."""

    def after(self, outage: tuple[float, float]) -> None:
        """It was seen from then to then (`time.monotonic`)."""
        since, last = outage
        if last > self._seen:
            self._seen = last
            pause = min(2 * (last - since), LONGEST_PAUSE_SECONDS)
            at = time.time() + pause - (time.monotonic() - last)
            self.at = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
