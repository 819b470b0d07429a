"""Checks that are declared as steps: requests one after the other, what is expected of each answer, what is kept of it.

Steps know nothing of how a request is made: a session does that, one for each protocol.
"""

import abc
import contextlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from pydantic import Field, model_validator

from carbon_platform import expressions
from carbon_platform.checks.base import Check, Mistake, Passed
from carbon_platform.checks.step import NAME, Probe, SecretValue, Session, Step, shortened
from carbon_platform.checks.step_run import Run, Secrets, as_secrets
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.expressions import NoValue, WrongExpression
from carbon_platform.source import Place
from carbon_platform.wording import counted

_RESERVED = frozenset({"answer", "probe", "secret", "took"})


class StepsCheck(Check):
    """What all checks that are declared as steps have; a subclass says of which kind the steps are."""

    proves: str = Field("", description="What a pass proves, in one sentence.")
    secrets: dict[str, SecretValue] = Field(
        default_factory=dict, description="Values of Secrets by name: `${secret.<name>}` in requests, nowhere else."
    )
    probe: Probe | None = Field(
        None, description="With it, `probe` is a name of its own for what the steps make, and `remove` takes it away."
    )
    let: dict[str, Any] = Field(
        default_factory=dict,
        description="Values by name that all steps may speak of: a text is CEL and may speak of those before it, "
        "anything else stands for itself.",
    )
    cause: str = Field(
        "", description="What it means that a request is refused or has no answer, where the step does not say so."
    )
    detail: str = Field("", description="What is said of a pass; `${…}` inserts a value.")
    evidence: dict[str, str] = Field(default_factory=dict, description="What is recorded of a pass, in CEL, by name.")

    @property
    @abc.abstractmethod
    def parts(self) -> Mapping[str, Sequence[Step]]:
        """The steps by where they stand: `steps`, `finally`, `remove`, `leftovers`."""

    def at(self, part: str, position: int) -> Place:
        """Where a step stands."""
        return (part,) if part == "leftovers" else (part, position)

    def said(self) -> Mapping[Place, Any]:
        """What it says beside its steps and may speak of secrets, by where it stands."""
        return {}

    @abc.abstractmethod
    def session(self, reach: Reach, values: Mapping[str, str]) -> contextlib.AbstractAsyncContextManager[Session]:
        """A conversation with the server; `values` are the secrets. Raises CheckFailed when it is not reached."""

    def told_summary(self) -> str:
        """What a pass proves."""
        return self.proves or self.summary

    @model_validator(mode="after")
    def _removable(self) -> "StepsCheck":
        if self.parts["remove"] and self.probe is None:
            raise ValueError("`remove` takes a probe away: say `probe`, or use `finally`")
        if self.probe is not None and not self.parts["remove"]:
            raise ValueError("`probe` makes something: say in `remove` how it is taken away")
        return self

    def mistakes(self, endpoints: Collection[str]) -> Iterator[Mistake]:
        """Expressions that are wrong, and names that mean nothing where they stand."""
        base = {"probe"} if self.probe else set[str]()
        for name, value in self.let.items():
            yield from _wrong(("let", name), value, base) if isinstance(value, str) else ()
            yield from _unfit(("let", name), name, base, ())
            base.add(name)
        hidden = {f"secret.{name}" for name in self.secrets}
        for place, text in ((place, text) for place, part in self.said().items() for text in expressions.texts(part)):
            for expression in expressions.inserted(text):
                yield from _wrong(place, expression, hidden)
        known = set(base)
        for part, steps in self.parts.items():
            # A probe is also removed by a check that never took the steps: it knows the probe's name alone.
            names, mine = (set(base), set(hidden)) if part in {"remove", "leftovers"} else (known, hidden)
            for i, step in enumerate(steps):
                yield from _mistakes(step, self.at(part, i), names, mine)
        for text in expressions.inserted(self.detail):
            yield from _wrong(("detail",), text, known)
        for name, expression in self.evidence.items():
            yield from _wrong(("evidence", name), expression, known)

    async def run(self, reach: Reach) -> Passed:
        """Take the steps; whatever they made is gone afterwards, and what killed checks left behind."""
        values = {
            name: await reach.secret(one.secret, one.key, one.namespace or reach.namespace)
            for name, one in self.secrets.items()
        }
        secrets = Secrets(values, frozenset(name for name, one in self.secrets.items() if not one.hidden))
        async with self.session(reach, as_secrets(values)) as session:
            run = Run(session, secrets, self.probe.fresh() if self.probe else None, self.let, self.cause)
            began = time.perf_counter()
            try:
                for step in self.parts["steps"]:
                    await run.take(step)
            except BaseException:
                await self._clean(run, quietly=True)
                raise
            await self._clean(run, quietly=False)
            await self._sweep(session, secrets)
            return self._passed(run, (time.perf_counter() - began) * 1000)

    async def _clean(self, run: Run, *, quietly: bool) -> None:
        """All that is always done, whatever of it fails; the first failure is told, unless there is another to tell."""
        failures = []
        for step in (*self.parts["finally"], *self.parts["remove"]):
            if run.reached(step):
                try:
                    await run.take(step)
                except CheckFailed as error:
                    failures.append(error)
        if failures and not quietly:
            raise failures[0]

    async def _sweep(self, session: Session, secrets: Secrets) -> None:
        if self.probe is None:
            return
        # Another check may be at it, or the search lag behind: what is left now goes the next time.
        with contextlib.suppress(CheckFailed):
            looking = Run(session, secrets, None, {}, self.cause)
            for step in self.parts["leftovers"]:
                await looking.take(step)
            found = [str(one) for value in looking.captured.values() if isinstance(value, list) for one in value]
            for name in self.probe.stale(found, time.time()):
                left = Run(session, secrets, name, self.let, self.cause)
                for step in self.parts["remove"]:
                    await left.take(step)

    def _passed(self, run: Run, milliseconds: float) -> Passed:
        values = run.values()
        evidence: dict[str, str | int | float | bool] = {}
        try:
            for name, expression in self.evidence.items():
                evidence[name] = _flat(expressions.evaluate(expression, values), run.hide)
            detail = run.hide(expressions.fill(self.detail, values))
        except NoValue as error:
            raise CheckFailed("what was seen can't be told", str(error), "correct `evidence` and `detail`") from error
        evidence.setdefault("took_ms", round(milliseconds, 1))
        return Passed(detail or f"{counted(len(self.parts['steps']), 'step')} as expected", evidence)


_Step = TypeVar("_Step", bound=Step)


class ServerSteps(StepsCheck, Generic[_Step]):
    """Steps of one kind, that a server of the component is asked in."""

    endpoint: str | None = Field(None, description="Which of the component's endpoints; the first if unsaid.")
    steps: list[_Step] = Field(min_length=1)
    finally_: list[_Step] = Field(
        default_factory=list, alias="finally", description="Always taken, as far as what they speak of is known."
    )
    remove: list[_Step] = Field(default_factory=list, description="Takes away what is called `probe`.")
    leftovers: _Step | None = Field(
        None, description="Lists names, as a capture: those that are of probes of killed checks are removed."
    )

    @property
    def parts(self) -> Mapping[str, Sequence[Step]]:
        """The steps by where they stand."""
        return {
            "steps": self.steps,
            "finally": self.finally_,
            "remove": self.remove,
            "leftovers": [self.leftovers] if self.leftovers else [],
        }

    def mistakes(self, endpoints: Collection[str]) -> Iterator[Mistake]:
        """Also an endpoint that is not declared."""
        if not endpoints:
            yield Mistake((), "the component declares no endpoint to ask")
        elif self.endpoint is not None and self.endpoint not in endpoints:
            there = ", ".join(sorted(endpoints))
            yield Mistake(("endpoint",), f"there is no endpoint {self.endpoint!r}; there are: {there}")
        yield from super().mistakes(endpoints)


def _flat(value: Any, hide: Callable[[str], str]) -> str | int | float | bool:
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, bool | int) else hide(shortened(str(value)))


def _mistakes(step: Step, at: Place, names: set[str], hidden: set[str]) -> Iterator[Mistake]:
    """Those of one step; what it captures is added to `names` and `hidden`."""
    for place, part in step.requests():
        for text in expressions.texts(part):
            for expression in expressions.inserted(text):
                yield from _wrong((*at, *place), expression, names | hidden)
    seen = names | {"answer"}
    expectations = [(("expect", i), one) for i, one in enumerate(step.expect)]
    for place, expectation in [*expectations, *([(("until",), step.until)] if step.until else [])]:
        yield from _wrong((*at, *place), expectation.that, seen, condition=True)
        for expression in expressions.inserted(expectation.cause):
            yield from _wrong((*at, *place, "cause"), expression, seen)
    for key, captures in (("capture", step.capture), ("capture_secret", step.capture_secret)):
        for name, expression in captures.items():
            yield from _wrong((*at, key, name), expression, seen)
            yield from _unfit((*at, key, name), name, names, hidden)
    names |= set(step.capture)
    hidden |= {f"secret.{name}" for name in step.capture_secret}
    if step.name:
        names.add(f"took.{step.name}")


def _unfit(at: Place, name: str, names: Collection[str], hidden: Collection[str]) -> Iterator[Mistake]:
    if not re.match(NAME, name) or name in _RESERVED:
        yield Mistake(
            at, f"{name!r} can't be a name here: lower case letters, digits, _; not {', '.join(sorted(_RESERVED))}"
        )
    elif name in names or f"secret.{name}" in hidden:
        yield Mistake(at, f"{name!r} is another value already")


def _wrong(at: Place, expression: str, names: Collection[str], *, condition: bool = False) -> Iterator[Mistake]:
    try:
        expressions.check(expression, names, condition=condition)
    except WrongExpression as error:
        yield Mistake(at, f"{error}; known here: {', '.join(sorted(names)) or 'nothing'}")
