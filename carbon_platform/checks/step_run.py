"""Steps taken one after the other: what is known so far, what must not be shown, and what each came to."""

import asyncio
import contextlib
import contextvars
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from carbon_platform import expressions
from carbon_platform.checks.step import Answer, Expectation, Session, Step
from carbon_platform.errors import CheckFailed
from carbon_platform.expressions import NoValue, WrongExpression

_HIDDEN = "***"
_SHORTEST_SECRET = 4
"""What is shorter stands in any text by chance."""


def as_secrets(hidden: Mapping[str, str]) -> dict[str, str]:
    """By the names that expressions have for them."""
    return {f"secret.{name}": value for name, value in hidden.items()}


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
class Secrets:
    """What a check may know and not tell."""

    values: Mapping[str, str]
    shown: frozenset[str]
    """Names of those that may be shown."""


class Run:
    """One run of a check's steps: what is known so far, and what must not be shown."""

    def __init__(
        self, session: Session, secrets: Secrets, probe: str | None, let: Mapping[str, Any], cause: str
    ) -> None:
        """`let` are values that are known from the start, `cause` is what a refusal means. Raises NoValue."""
        self._session, self._secrets, self._probe = session, dict(secrets.values), probe
        self._shown, self._meaning = secrets.shown, cause
        self.captured: dict[str, Any] = {}
        for name, value in let.items():
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
        values = self.values() | as_secrets(self._secrets)
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
