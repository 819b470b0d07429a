"""A gate for data assets: they don't run while what they need of the platform is not verified."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

import dagster as dg

from carbon_platform.components.definition import platform
from carbon_platform.errors import CarbonError, ConfigurationError
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus, statuses
from carbon_platform.settings import settings
from carbon_platform.source import nearest

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def require_verified(*components: str) -> Callable[[Callable[_Given, _Result]], Callable[_Given, _Result]]:
    """For the function of an asset, an op or a check: it is not called while one of these components isn't verified.

        @dg.asset(deps=["trino"])
        @require_verified("trino")
        def orders() -> None: ...

    What `carbon status` says when the step begins is what counts, whichever job or schedule it is part of. The step
    fails then, naming the component, why, and what would help, with a link to its asset; a retry policy may wait for
    healing. Raises ConfigurationError when the first step begins and there is no such component.
    """
    if not components or not all(isinstance(key, str) for key in components):
        raise TypeError('name what is required: @require_verified("trino")')

    def gated(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: _Given.args, **kwargs: _Given.kwargs) -> Any:
                await asyncio.to_thread(_refuse_unverified, components)
                return await function(*args, **kwargs)

            return cast(Callable[_Given, _Result], later)

        @functools.wraps(function)
        def now(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
            # A step may be called from a loop that runs already: the look has one of its own.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(_refuse_unverified, components).result()
            return function(*args, **kwargs)

        return now

    return gated


def _refuse_unverified(components: Sequence[str]) -> None:
    """Raise Failure for the first that is not verified."""
    known = platform().components
    for key in components:
        if key not in known:
            raise ConfigurationError(
                f"{key} is required to be verified, and is no component{nearest(key, known)}",
                f"there are: {', '.join(known)}",
                "correct the name in require_verified",
            )
    seen, _ = asyncio.run(statuses(platform(), components, settings()))
    for one in seen:
        if one.state is not State.VERIFIED:
            raise _failure(one)


def _failure(seen: ComponentStatus) -> dg.Failure:
    key, told = seen.component.key, CarbonError.read(seen.reason)
    why = told.cause or told.summary
    metadata: dict[str, Any] = {
        "component": dg.MetadataValue.asset(dg.AssetKey(key)),
        "state": seen.state.value,
        "cause": why,
        "fix": told.fix or f"carbon doctor {key}",
    }
    return dg.Failure(f"{key} is {seen.state.value}, not verified: {why}", metadata=metadata)
