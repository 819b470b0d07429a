"""Symptoms with their causes, asked for when the symptoms change, and else less and less often."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Collection

from carbon_platform.errors import Unreachable, foreseen
from carbon_platform.healing.retry import Retry
from carbon_platform.healing.symptoms import Symptom

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 10.0
"""What can't be told of one component within so long does not keep back what is known of the others."""
Symptoms = tuple[Symptom, ...]


@dataclasses.dataclass(frozen=True)
class _Explained:
    """What was wrong with a component, and why."""

    symptoms: Symptoms
    told: Symptoms
    """The same with causes."""
    retry: Retry


class Explanations:
    """What was told of each component last."""

    def __init__(self, why: Callable[[str, Symptoms], Awaitable[Symptoms]]) -> None:
        """`why` asks the cluster for the causes of a component's symptoms."""
        self._why = why
        self._known: dict[str, _Explained] = {}

    def forget(self, keys: Collection[str]) -> None:
        """What is decided about these components afterwards rests on how they are then."""
        for key in keys:
            self._known.pop(key, None)

    def forget_all_but(self, keys: Collection[str]) -> None:
        """The others have no symptoms any more."""
        self.forget(self._known.keys() - set(keys))

    async def of(self, key: str, symptoms: Symptoms) -> Symptoms:
        """The symptoms with their causes: as they were told, until it is time to ask again."""
        last = self._known.get(key)
        same = last if last and last.symptoms == symptoms else None
        if same and not same.retry.over:
            return same.told
        retry = Retry.after(same.retry if same else None)
        told = same.told if same else symptoms
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                told = await self._why(key, symptoms)
        except Unreachable:
            raise
        except TimeoutError:
            _LOG.warning("why %s is not as it should be could not be told within %g s", key, _ANSWER_SECONDS)
        except Exception as error:  # about one component: the others are watched all the same
            _LOG.warning("%s", foreseen(error, f"why {key} is not as it should be could not be told"))
        self._known[key] = _Explained(symptoms, told, retry)
        return told
