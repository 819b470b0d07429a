"""Checks that are declared as steps: requests one after the other, what is expected of each answer, what is kept of it.

Steps know nothing of how a request is made: a session does that, one for each protocol.
"""

import abc
import asyncio
import contextlib
import contextvars
import dataclasses
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field, model_validator

from carbon_platform import expressions
from carbon_platform.checks.base import Check, Mistake, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.expressions import NoValue, WrongExpression
from carbon_platform.source import Place, Strict

NAME = r"^[a-z][a-z0-9_]*$"
_RESERVED = frozenset({"answer", "probe", "secret", "took"})
_STALE = 3600.0
"""Seconds after which the check that made a probe is surely gone."""
_HIDDEN = "***"
_SHORTEST_SECRET = 4
"""What is shorter stands in any text by chance."""
_MOST = 300
"""Characters of a value in a message."""


class Expectation(Strict):
    """A condition, and what is said when it is not met."""

    that: str = Field(description="A condition, in CEL; `answer` is the step's answer.")
    cause: str = Field("", description="What it means that it is not met, in a sentence; `${…}` inserts a value.")
    fix: str = Field("", description="What helps.")


def _alone(value: Any) -> Any:
    return {"that": value} if isinstance(value, str) else value


Expected = Annotated[Expectation, BeforeValidator(_alone)]
"""A condition alone may be written as its text."""


class SecretValue(Strict):
    """A value of a Secret."""

    secret: str
    key: str
    namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    hidden: bool = Field(True, description="False for what may be shown, such as a user's name.")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: `value` is `answer` in expressions, `told` says in a line what it was."""

    value: Mapping[str, Any]
    told: str


class Session(Protocol):
    """One conversation with a server."""

    async def ask(self, step: "Step", values: Mapping[str, Any]) -> Answer:
        """Make a step's request. Raises CheckFailed when there is no answer, NoValue when it can't be written."""


class Step(Strict):
    """One request and what is made of its answer. Subclasses say what a request is."""

    name: str | None = Field(None, pattern=NAME, description="Its time in milliseconds is then `took.<name>`.")
    cause: str = Field("", description="What it means that there is no answer, or a refusal, in a sentence.")
    expect: list[Expected] = Field(default_factory=list, description="What must be true of the answer.")
    until: Expected | None = Field(None, description="Ask again until this is true.")
    within: float = Field(10.0, gt=0, description="Seconds for `until`.")
    every: float = Field(0.25, gt=0, description="Seconds between two requests for `until`.")
    capture: dict[str, str] = Field(default_factory=dict, description="Values for later steps, in CEL, by name.")
    capture_secret: dict[str, str] = Field(
        default_factory=dict, description="The same for what nobody may see, such as a token: `secret.<name>` then."
    )

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The request in a few words, as it is written."""

    @abc.abstractmethod
    def requests(self) -> Iterator[tuple[Place, Any]]:
        """The parts in which `${…}` is replaced, and where each stands."""


class Probe(Strict):
    """A name of its own for what the check makes: unique, and telling when it was made."""

    prefix: str = Field("carbon_probe_", pattern=r"^[A-Za-z][A-Za-z0-9_-]*[_-]$")
    separator: str = Field("_", pattern=r"^[_-]$", description="Between its parts.")

    def fresh(self) -> str:
        """A name that nobody else has."""
        return f"{self.prefix}{int(time.time())}{self.separator}{secrets.token_hex(4)}"

    def stale(self, texts: Sequence[str], now: float) -> list[str]:
        """The names inside these texts that killed checks left behind; what is no probe's is never among them."""
        pattern = re.compile(rf"{re.escape(self.prefix)}(\d{{9,11}}){self.separator}[0-9a-f]{{8}}(?![0-9A-Za-z])")
        found = {m[0]: int(m[1]) for text in texts for m in pattern.finditer(text)}
        return sorted(name for name, made in found.items() if now - made > _STALE)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A step that was taken, for whoever watches; secrets are hidden."""

    title: str
    told: str
    milliseconds: float
    verdict: str


_watcher: contextvars.ContextVar[Callable[[Seen], None] | None] = contextvars.ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Callable[[Seen], None]) -> Iterator[None]:
    """Meanwhile every step that a check takes is told to `watcher`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@dataclasses.dataclass(frozen=True)
class _Secrets:
    values: Mapping[str, str]
    shown: frozenset[str]
    """Names of those that may be shown."""


class _Run:
    """One run of a check's steps: what is known so far, and what must not be shown."""

    def __init__(self, session: Session, secrets: "_Secrets", probe: str | None, check: "StepsCheck") -> None:
        self._session, self._secrets, self._probe = session, dict(secrets.values), probe
        self._shown, self._meaning = secrets.shown, check.cause
        self.captured: dict[str, Any] = {}
        for name, value in check.let.items() if probe is not None or check.probe is None else ():
            self.captured[name] = expressions.evaluate(value, self.values()) if isinstance(value, str) else value

    def values(self, answer: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What expressions may name."""
        found = dict(self.captured)
        if self._probe is not None:
            found["probe"] = self._probe
        return found if answer is None else {**found, "answer": answer}

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for name, secret in self._secrets.items():
            if len(secret) >= _SHORTEST_SECRET and name not in self._shown:
                text = text.replace(secret, _HIDDEN)
        return text

    async def take(self, step: Step) -> None:
        """Raises CheckFailed when the answer is not as expected."""
        began = time.perf_counter()
        verdict, told = "as expected", ""
        try:
            answer = await self._until(step)
            told = answer.told
            for expectation in step.expect:
                self._expect(step, expectation, answer)
            self._keep(step, answer)
        except CheckFailed as error:
            hidden = CheckFailed(*(self.hide(part) for part in (error.summary, error.cause, error.fix)))
            verdict, told = hidden.summary, told or hidden.cause
            raise hidden from None
        finally:
            took = (time.perf_counter() - began) * 1000
            if step.name:
                self.captured[f"took.{step.name}"] = round(took, 1)
            watcher = _watcher.get()
            if watcher:
                watcher(Seen(self.hide(step.title), self.hide(told), took, verdict))

    async def _until(self, step: Step) -> Answer:
        loop = asyncio.get_running_loop()
        end = loop.time() + step.within
        while True:
            answer = await self._ask(step)
            if step.until is None or self._met(step.until, answer):
                return answer
            if loop.time() >= end:
                raise self._failure(step, step.until, answer, f", for {step.within:g} s")
            await asyncio.sleep(step.every)

    async def _ask(self, step: Step) -> Answer:
        values = self.values() | _as_secrets(self._secrets)
        try:
            return await self._session.ask(step, values)
        except NoValue as error:
            raise CheckFailed(f"{step.title} can't be asked", str(error), "correct the check") from error
        except CheckFailed as error:
            meaning = step.cause or self._meaning
            if not meaning:
                raise
            raise CheckFailed(meaning, f"{error.summary}: {error.cause}", error.fix) from error

    def _met(self, expectation: Expectation, answer: Answer) -> bool:
        try:
            return expressions.holds(expectation.that, self.values(answer.value))
        except NoValue:
            return False

    def _expect(self, step: Step, expectation: Expectation, answer: Answer) -> None:
        if not self._met(expectation, answer):
            raise self._failure(step, expectation, answer, "")

    def _failure(self, step: Step, expectation: Expectation, answer: Answer, lasting: str) -> CheckFailed:
        cause = ""
        with contextlib.suppress(NoValue):  # it may speak of what this answer has not
            cause = expressions.fill(expectation.cause, self.values(answer.value))
        if cause:
            return CheckFailed(cause, f"{step.title}{lasting}: {answer.told}", expectation.fix)
        return CheckFailed(f"{step.title}{lasting}: not so: {expectation.that}", answer.told, expectation.fix)

    def _keep(self, step: Step, answer: Answer) -> None:
        values = self.values(answer.value)
        try:
            found = {name: expressions.evaluate(one, values) for name, one in step.capture.items()}
            for name, one in step.capture_secret.items():
                self._secrets[name] = str(expressions.evaluate(one, values))
        except NoValue as error:
            raise CheckFailed(
                f"{step.title}: the answer has not what is needed of it", f"{error} ({answer.told})", "see what answers"
            ) from error
        self.captured |= found

    def reached(self, step: Step) -> bool:
        """True when all that the step's request speaks of is known."""
        names = {*self.values(), *(f"secret.{name}" for name in self._secrets)}
        try:
            for _, part in step.requests():
                for text in expressions.texts(part):
                    for expression in expressions.inserted(text):
                        expressions.check(expression, names)
        except WrongExpression:
            return False
        return True


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
        secrets = _Secrets(values, frozenset(name for name, one in self.secrets.items() if not one.hidden))
        async with self.session(reach, _as_secrets(values)) as session:
            run = _Run(session, secrets, self.probe.fresh() if self.probe else None, self)
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

    async def _clean(self, run: _Run, *, quietly: bool) -> None:
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

    async def _sweep(self, session: Session, secrets: _Secrets) -> None:
        if self.probe is None:
            return
        # Another check may be at it, or the search lag behind: what is left now goes the next time.
        with contextlib.suppress(CheckFailed):
            looking = _Run(session, secrets, None, self)
            for step in self.parts["leftovers"]:
                await looking.take(step)
            found = [str(one) for value in looking.captured.values() if isinstance(value, list) for one in value]
            for name in self.probe.stale(found, time.time()):
                left = _Run(session, secrets, name, self)
                for step in self.parts["remove"]:
                    await left.take(step)

    def _passed(self, run: _Run, milliseconds: float) -> Passed:
        values = run.values()
        evidence: dict[str, str | int | float | bool] = {}
        try:
            for name, expression in self.evidence.items():
                evidence[name] = _flat(expressions.evaluate(expression, values), run.hide)
            detail = run.hide(expressions.fill(self.detail, values))
        except NoValue as error:
            raise CheckFailed("what was seen can't be told", str(error), "correct `evidence` and `detail`") from error
        evidence.setdefault("took_ms", round(milliseconds, 1))
        number = len(self.parts["steps"])
        return Passed(detail or f"{number} step{'s' if number > 1 else ''} as expected", evidence)


class ServerSteps(StepsCheck):
    """Steps that a server of the component is asked in."""

    endpoint: str | None = Field(None, description="Which of the component's endpoints; the first if unsaid.")

    def mistakes(self, endpoints: Collection[str]) -> Iterator[Mistake]:
        """Also an endpoint that is not declared."""
        if not endpoints:
            yield Mistake((), "the component declares no endpoint to ask")
        elif self.endpoint is not None and self.endpoint not in endpoints:
            there = ", ".join(sorted(endpoints))
            yield Mistake(("endpoint",), f"there is no endpoint {self.endpoint!r}; there are: {there}")
        yield from super().mistakes(endpoints)


def _as_secrets(hidden: Mapping[str, str]) -> dict[str, str]:
    """By the names that expressions have for them."""
    return {f"secret.{name}": value for name, value in hidden.items()}


def _flat(value: Any, hide: Callable[[str], str]) -> str | int | float | bool:
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, bool | int) else hide(shortened(str(value)))


def shortened(text: str) -> str:
    """One line of at most some hundred characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST else f"{line[:_MOST]}…"


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
