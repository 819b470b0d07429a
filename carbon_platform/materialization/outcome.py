"""What a materialization did and proved: what is recorded, and what people see."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping

from carbon_platform.errors import CarbonError
from carbon_platform.materialization.progress import Event, Step, tell
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import CheckResult


@dataclasses.dataclass(frozen=True)
class Options:
    """What a person asked for beyond the ordinary."""

    redeploy: bool = False
    """Apply and restart even what is already right."""
    confirm: tuple[str, ...] = ()
    """Words that the guard asked for."""
    remedy: Remedy | None = None
    """What healing forces; None when a person materializes."""

    @property
    def forces(self) -> bool:
        """True when something is to be done even to what is as desired."""
        return self.redeploy or self.remedy in {Remedy.RESTART, Remedy.RERUN_JOB}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished materialization. Its checks may have failed; then the component is deployed and not verified."""

    component: str
    revision: int | None
    digest: str
    applied: bool
    changes: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    seconds: Mapping[str, float]
    images: Mapping[str, str]
    """Image reference → digest that runs."""
    endpoints: Mapping[str, str]
    lost: tuple[str, ...] = ()
    """Data and work that are gone: by what a person confirmed, or with pods that were replaced."""

    @property
    def verified(self) -> bool:
        """True when every check passed."""
        return not any(check.failed for check in self.checks)


class Steps:
    """Tells and times the steps of one materialization."""

    def __init__(self, component: str) -> None:
        self._component = component
        self.seconds: dict[str, float] = {}
        self.step = Step.PREFLIGHT

    @contextlib.contextmanager
    def timed(self, step: Step, text: str = "") -> Iterator[None]:
        """A step; how long it took is kept under its name, also when it fails."""
        self.step = step
        self.tell(text)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step.value] = self.seconds.get(step.value, 0.0) + time.monotonic() - started

    def tell(self, text: str) -> None:
        """News within the present step."""
        tell(Event(self._component, self.step, text))

    def failed(self, error: CarbonError) -> None:
        """The end, a bad one."""
        tell(Event(self._component, Step.FAILED, str(error)))

    def done(self, text: str) -> None:
        """The end."""
        tell(Event(self._component, Step.DONE, text))
