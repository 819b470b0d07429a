"""Declared checks of whatever speaks SQL."""

import abc
import contextlib
import datetime
import decimal
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from carbon_platform import expressions
from carbon_platform.checks import postgres_session, trino_session
from carbon_platform.checks.step import Answer, Session, Step, shortened
from carbon_platform.checks.steps import ServerSteps
from carbon_platform.cluster.reach import Reach
from carbon_platform.expressions import NoValue
from carbon_platform.source import Place
from carbon_platform.wording import counted

if TYPE_CHECKING:
    from carbon_platform.checks.trino_session import Trino

_MOST_ROWS = 1000
"""Rows that are kept: what a check asks for is small."""
_SHOWN_ROWS = 3
_INSERTED = re.compile(r"[A-Za-z0-9_.:+-]*")


class SqlStep(Step):
    """A statement. `answer` has `rows`, a list of lists, and `ms`."""

    sql: str = Field(min_length=1, description="One statement; `${…}` inserts a name or a number, nothing else.")

    @property
    def title(self) -> str:
        """The statement, in one line."""
        return shortened(self.sql)

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """The statement."""
        yield ("sql",), self.sql


class SqlQuery(ServerSteps[SqlStep]):
    """Statements one after the other, what is expected of their rows, and what is always done at the end."""

    summary: ClassVar[str] = "Each statement runs to its end and gives what is expected."

    speaks: Literal["postgres", "trino"] = Field(description="The protocol.")
    user: str = Field("carbon-check", min_length=1, description="May come from a Secret, as `${secret.<name>}`.")
    password: str | None = Field(None, description="Such as `${secret.password}`.")
    database: str = Field("postgres", description="PostgreSQL's; Trino has catalogues in its names.")

    def said(self) -> Mapping[Place, Any]:
        """Credentials."""
        return {("user",): self.user, ("password",): self.password}

    @contextlib.asynccontextmanager
    async def session(self, reach: Reach, values: Mapping[str, str]) -> AsyncIterator[Session]:
        """One session for all steps."""
        host, port = await reach.endpoint(self.endpoint)
        user = expressions.fill(self.user, values)
        if self.speaks == "trino":
            async with trino_session.session(host, port, user, self.deadline or 60) as trino:
                yield _Sql(_OfTrino(trino))
            return
        password = expressions.fill(self.password or "", values)
        async with postgres_session.session(host, port, user, password, self.database) as connection:
            yield _Sql(_OfPostgres(connection))


class _Server(abc.ABC):
    @abc.abstractmethod
    async def rows(self, sql: str) -> list[list[Any]]:
        """What a statement gives. Raises CheckFailed with what the server says."""


class _OfTrino(_Server):
    def __init__(self, trino: "Trino") -> None:
        self._trino = trino

    async def rows(self, sql: str) -> list[list[Any]]:
        return (await self._trino.query(sql)).rows


class _OfPostgres(_Server):
    def __init__(self, connection: "postgres_session.Session") -> None:
        self._connection = connection

    async def rows(self, sql: str) -> list[list[Any]]:
        import psycopg

        try:
            cursor = await self._connection.execute(sql.encode())
            found = await cursor.fetchmany(_MOST_ROWS) if cursor.description else []
        except psycopg.Error as error:
            raise postgres_session.refusal(
                f"PostgreSQL failed: {shortened(sql)}", error.sqlstate, str(error)
            ) from error
        return [[_plain(value) for value in row] for row in found]


class _Sql:
    def __init__(self, server: _Server) -> None:
        self._server = server

    async def ask(self, step: Step, values: Mapping[str, Any]) -> Answer:
        """Run one statement to its end."""
        assert isinstance(step, SqlStep)
        began = time.perf_counter()
        rows = (await self._server.rows(expressions.fill(step.sql, values, _name)))[:_MOST_ROWS]
        shown = shortened(str(rows[:_SHOWN_ROWS])) + ("…" if len(rows) > _SHOWN_ROWS else "")
        told = f"{counted(len(rows), 'row')} {shown if rows else ''}".strip()
        return Answer({"rows": rows, "ms": round((time.perf_counter() - began) * 1000, 1)}, told)


def _name(text: str) -> str:
    """What can't be anything else than a name or a number, wherever it is put."""
    if not _INSERTED.fullmatch(text):
        raise NoValue(f"{text!r} is put into a statement, and is no name or number")
    return text


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


CHECKS = {"query": SqlQuery}
