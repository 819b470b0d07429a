"""What stays wrong is asked about less and less often."""

import asyncio
import dataclasses

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Retry:
    """When the same is asked once more, by the clock of the event loop."""

    due: float
    pause: float
    """Seconds until `due` when it was asked; the next pause is twice as long."""

    @classmethod
    def after(cls, last: "Retry | None") -> "Retry":
        """From now on; `last` is None when it was not asked before."""
        pause = min(2 * last.pause, _LONGEST_PAUSE_SECONDS) if last else _FIRST_PAUSE_SECONDS
        return cls(asyncio.get_running_loop().time() + pause, pause)

    @property
    def over(self) -> bool:
        """True when it is due."""
        return asyncio.get_running_loop().time() >= self.due
