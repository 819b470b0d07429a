"""What somebody changed of the live objects, found by asking the API server only where their content changed."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError
from carbon_platform.healing.retry import Retry
from carbon_platform.healing.symptoms import edit_of
from carbon_platform.release.plan import Change, compare
from carbon_platform.spec.rules import Rules

_LOG = logging.getLogger(__name__)
_AT_ONCE = 16
_ANSWER_SECONDS = 10.0
"""What can't be told of one object within so long does not keep back what is known of the others."""


class Edits:
    """The live objects that are not as desired, kept current by `update`."""

    def __init__(self, api: Api, find: Callable[[ObjectName], Object | None]) -> None:
        """`find`: the live object, without a request; None when there is none."""
        self._api, self._find = api, find
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._versions: dict[ObjectName, str] = {}
        self._fingerprints: dict[ObjectName, str] = {}
        self._found: dict[ObjectName, Change] = {}
        self._unanswered: dict[ObjectName, Retry] = {}
        """Comparisons that failed: the edit that may be there is looked for again."""

    @property
    def found(self) -> Mapping[ObjectName, Change]:
        """What would put it back, by object; what is not edited is not in it."""
        return self._found

    async def update(self, desired: Iterable[tuple[Object, Rules]]) -> None:
        """Ask the API server about the objects that somebody wrote since, but only those whose content changed.

        Each comes with what its definition says of it. What it did not answer is asked again, less and less
        often.
        """
        written = []
        for obj, rules in desired:
            name = ObjectName.of(obj)
            live = self._find(name)
            if live is None:
                for known in (self._found, self._versions, self._fingerprints, self._unanswered):
                    known.pop(name, None)
                continue
            unanswered = self._unanswered.get(name)
            if self._changed(name, live) or (unanswered and unanswered.over):
                written.append((obj, rules))
        await asyncio.gather(*(self._compare(obj, rules) for obj, rules in written))

    def _changed(self, name: ObjectName, live: Object) -> bool:
        """True when its content is not what it was when this was asked last."""
        version = live["metadata"]["resourceVersion"]
        if self._versions.get(name) == version:
            return False
        self._versions[name] = version
        fingerprint, before = _fingerprint(live), self._fingerprints.get(name)
        self._fingerprints[name] = fingerprint
        return fingerprint != before

    async def _compare(self, obj: Object, rules: Rules) -> None:
        name = ObjectName.of(obj)
        try:
            async with self._limit, asyncio.timeout(_ANSWER_SECONDS):
                found = await compare(obj, self._api, rules)
        except (CarbonError, TimeoutError) as error:
            # Whether the API server answers at all is the watches' business; this is about one object of one component.
            retry = Retry.after(self._unanswered.get(name))
            self._unanswered[name] = retry
            why = error if isinstance(error, CarbonError) else f"no answer within {_ANSWER_SECONDS:g} s"
            _LOG.warning("%s can't be compared, and is again in %g s: %s", name, retry.pause, why)
            return
        self._unanswered.pop(name, None)
        edit = edit_of(found)
        if edit:
            self._found[name] = edit
        else:
            self._found.pop(name, None)


def _fingerprint(live: Object) -> str:
    """Changes when something is written that a person or a program could have meant; not with status."""
    kept = {key: value for key, value in live.items() if key not in {"status", "metadata"}}
    metadata = live["metadata"]
    kept["metadata"] = {key: metadata.get(key) for key in ("labels", "annotations")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()
