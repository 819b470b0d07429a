"""Waiting for a real cluster in tests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def until(look: Callable[[], Awaitable[Any]], wanted: Any, seconds: float = 120) -> None:
    """Return when `look()` is `wanted`; fail with what it is instead when that is not so in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while (seen := await look()) != wanted:
        assert asyncio.get_running_loop().time() < deadline, f"still {seen!r}, not {wanted!r}"
        await asyncio.sleep(0.1)
