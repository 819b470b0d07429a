"""One step of a declared check: a request, what is expected of its answer, and what is kept of it."""

import abc
import dataclasses
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from carbon_platform.source import Place, Strict

NAME = r"^[a-z][a-z0-9_]*$"
_STALE = 3600.0
"""Seconds after which the check that made a probe is surely gone."""
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


def shortened(text: str) -> str:
    """One line of at most some hundred characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST else f"{line[:_MOST]}…"
