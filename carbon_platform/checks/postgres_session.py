"""How the PostgreSQL checks connect, and how a refusal is told."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, LiteralString

from pydantic import Field

from carbon_platform.checks.base import Check
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Session = AsyncConnection[Any]

_FIXES = {
    "28": "the password in the Secret and the one in the server differ: set the role's password from the Secret",
    "3D": "create the database: it is declared but not there",
    "53": "the server is out of connections, memory or disk: free some, or raise its limit",
    "57": "the server is starting or stopping: see its log",
    "25": "the server does not take writes: see whether it is a replica or set read-only",
}
"""What helps, by SQLSTATE class (PostgreSQL's manual, appendix A)."""


def refusal(summary: str, state: str | None, message: str) -> CheckFailed:
    """The failure to tell for an error of the server or of the way to it."""
    fix = _FIXES.get((state or "")[:2], "see the server's log")
    return CheckFailed(summary, " ".join(message.split()), fix)


class PostgresCheck(Check):
    """What every PostgreSQL check needs to know: the Secret with the passwords."""

    secret: str = Field("postgres-credentials", description="Secret with the passwords.")
    superuser_key: str = Field("postgres", description="Key of the superuser's password in it.")

    async def superuser(self, reach: Reach) -> "contextlib.AbstractAsyncContextManager[Session]":
        """A session of the superuser in the database `postgres`."""
        host, port = await reach.endpoint()
        password = await reach.secret(self.secret, self.superuser_key)
        return session(host, port, "postgres", password, "postgres")


@contextlib.asynccontextmanager
async def session(host: str, port: int, user: str, password: str, database: str) -> "AsyncIterator[Session]":
    """A session in autocommit; errors of PostgreSQL inside of it become CheckFailed."""
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(
            host=host, port=port, user=user, password=password, dbname=database,
            autocommit=True, connect_timeout=10, application_name="carbon-check",
        )  # fmt: skip
    except psycopg.Error as error:
        # libpq's connection errors carry no SQLSTATE; authentication is the one worth telling apart.
        state = error.sqlstate or ("28000" if "authentication failed" in str(error) else None)
        raise refusal(f"PostgreSQL refused {user} at database {database}", state, str(error)) from error
    try:
        async with connection:
            yield connection
    except psycopg.Error as error:
        raise refusal(f"PostgreSQL failed {user} in database {database}", error.sqlstate, str(error)) from error


async def row(connection: "Session", query: LiteralString, parameters: Any = None) -> tuple[Any, ...]:
    """The one row of a query."""
    cursor = await connection.execute(query, parameters)
    found = await cursor.fetchone()
    if found is None:
        raise CheckFailed("PostgreSQL gave no row where there must be one", query.strip().splitlines()[0])
    return tuple(found)
