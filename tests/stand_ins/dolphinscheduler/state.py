"""The stand-in's state: documents by kind and id, in PostgreSQL or, for unit tests, in memory."""

import contextlib
import copy
import hashlib
import threading
from collections.abc import Iterator
from typing import Any, Protocol

INITIAL_PASSWORD = "dolphinscheduler123"
"""What every new installation of the product has."""

Document = dict[str, Any]


class DatabaseLost(Exception):
    """The database can't be used; the text is the driver's."""


class State(Protocol):
    """All state, within one transaction."""

    def new_id(self) -> int:
        """A number that was never given before."""

    def get(self, kind: str, key: int) -> Document | None:
        """One document, or None."""

    def all(self, kind: str) -> list[Document]:
        """The documents of a kind, by id."""

    def put(self, kind: str, key: int, body: Document) -> None:
        """Write one document."""

    def delete(self, kind: str, key: int) -> None:
        """Remove one document."""

    def password_hash(self, user: str) -> str | None:
        """MD5 of a user's password, as the product keeps it."""


class Keeper(Protocol):
    """Where the state is kept."""

    def transaction(self) -> contextlib.AbstractContextManager[State]:
        """The state for one piece of work, which is kept wholly or not at all. Raises DatabaseLost."""


def md5(text: str) -> str:
    """As hexadecimal digits."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class MemoryState:
    """State and its keeper in memory; `lost` plays a database that can't be reached."""

    def __init__(self) -> None:
        self.users = {"admin": md5(INITIAL_PASSWORD)}
        self.lost = False
        self._documents: dict[tuple[str, int], Document] = {}
        self._next = 1
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[State]:
        if self.lost:
            raise DatabaseLost("connection refused")
        with self._lock:
            yield self

    def new_id(self) -> int:
        self._next += 1
        return self._next

    def get(self, kind: str, key: int) -> Document | None:
        return copy.deepcopy(self._documents.get((kind, key)))

    def all(self, kind: str) -> list[Document]:
        return [
            copy.deepcopy(body) for (k, _), body in sorted(self._documents.items(), key=lambda i: i[0]) if k == kind
        ]

    def put(self, kind: str, key: int, body: Document) -> None:
        self._documents[kind, key] = copy.deepcopy(body)

    def delete(self, kind: str, key: int) -> None:
        self._documents.pop((kind, key), None)

    def password_hash(self, user: str) -> str | None:
        return self.users.get(user)
