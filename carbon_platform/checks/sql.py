"""Declared checks of whatever speaks SQL."""

import abc
import asyncio
import contextlib
import datetime
import decimal
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from carbon_platform import expressions
from carbon_platform.checks.base import Mistake
from carbon_platform.checks.steps import Answer, Session, Step, StepsCheck, shortened
from carbon_platform.checks.trino_session import trino
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.source import Place

_MOST_ROWS = 1000
"""Rows that are kept: what a check asks for is small."""


class SqlStep(Step):
    """A statement. `answer` has `rows`, a list of lists, and `ms`."""

    sql: str = Field(min_length=1, description="`${…}` inserts a name or a number; values of text are quoted.")

    @property
    def title(self) -> str:
        """The statement."""
        return shortened(self.sql)

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """The statement."""
        yield ("sql",), self.sql
