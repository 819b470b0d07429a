"""Who asked for a materialization: what a record tells of it where no attempt of healing did."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

from carbon_platform.release.lease import this_process, told


@dataclasses.dataclass(frozen=True)
class Author:
    """By which way a materialization was asked for, and the run that does it."""

    by: str
    run_id: str = ""


_author: contextvars.ContextVar[Author | None] = contextvars.ContextVar("author", default=None)


@contextlib.contextmanager
def asked_by(author: Author) -> Iterator[None]:
    """What is materialized meanwhile, in this task, was asked for so."""
    token = _author.set(author)
    try:
        yield
    finally:
        _author.reset(token)


def author() -> Author:
    """Who asked for what is materialized now; this process, where nobody said."""
    return _author.get() or Author(told(str(this_process())))
