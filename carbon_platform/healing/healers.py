"""Who heals what: each platform in each book of incidents has a Lease, and gives way to an earlier one that is kept up.

Those who share both share the Lease, and each attempt is claimed once in the book. Of those with books of their own,
on whatever machine, the one whose Lease the cluster made first heals what both know.
"""

import asyncio
import contextlib
import datetime
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, Conflict
from carbon_platform.release.lease import LEASE, Writer, dead, this_process
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component, Platform

HEALERS = "app.kubernetes.io/managed-by=carbon-healer"
"""A selector of their Leases."""
_MANAGER = HEALERS.partition("=")[2]
_HEALS = "carbon/heals"
"""The annotation with the releases that its holder heals."""
_RENEW_SECONDS = 10.0
_SILENT_SECONDS = 30.0
"""Who was not seen to renew its Lease for so long heals no more, whatever the clocks say."""

_LOG = logging.getLogger(__name__)


class Healers:
    """The Lease of this book, and what is known of the others'. `clock`: seconds that only go forward."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = _name(settings)
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}
        """Of each Lease its version, and since when it has that."""
        self._given_up: list[Object] = []

    def others(self, leases: Iterable[Object]) -> dict[str, str]:
        """What is left to an earlier healer, as `release_key` tells it, and who that is."""
        ordered = sorted(leases, key=_rank)
        self._seen = {name: seen for lease in ordered for name, seen in [self._last_seen(lease)]}
        self._given_up = [lease for lease in ordered if _named(lease) != self.name and not self._kept_up(lease)]
        found: dict[str, str] = {}
        for lease in ordered:
            if _named(lease) == self.name:
                break  # those that came later give way themselves
            if self._kept_up(lease):
                found |= {release: _holder(lease) for release in _healed(lease) if release not in found}
        return found

    def _last_seen(self, lease: Object) -> tuple[str, tuple[str, float]]:
        uid, version = lease["metadata"]["uid"], lease["metadata"]["resourceVersion"]
        known = self._seen.get(uid)
        return uid, known if known and known[0] == version else (version, self._clock())

    def _kept_up(self, lease: Object) -> bool:
        _, since = self._seen[lease["metadata"]["uid"]]
        return not _of_a_dead_process(lease) and self._clock() - since <= _SILENT_SECONDS

    async def keep_up(self, api: Api, told: Callable[[], tuple[str, Sequence[str]] | None]) -> NoReturn:
        """Renew the Lease until cancelled. `told`: its namespace and what is healed; None while that is nothing.

        Without the permission for it healing goes on, and others don't see it.
        """
        last = ""
        while True:
            try:
                place = told()
                if place:
                    await api.apply(self._lease(*place), manager=_MANAGER)
                for lease in self._given_up:
                    with contextlib.suppress(Conflict):  # it was renewed in this very moment
                        await api.delete(ObjectName.of(lease), version=lease["metadata"]["resourceVersion"])
                last = ""
            except CarbonError as error:
                if error.told != last:
                    _LOG.warning("other healers may not see that this one heals: %s", error.told)
                last = error.told
            await asyncio.sleep(_RENEW_SECONDS)

    def _lease(self, namespace: str, heals: Sequence[str]) -> Object:
        name, _, value = HEALERS.partition("=")
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": str(this_process()), "leaseDurationSeconds": int(_SILENT_SECONDS), "renewTime": now}
        metadata: dict[str, Any] = {"name": self.name, "namespace": namespace, "labels": {name: value}}
        metadata["annotations"] = {_HEALS: ",".join(sorted(heals))}
        return {"apiVersion": LEASE[0], "kind": LEASE[1], "metadata": metadata, "spec": spec}


def _name(settings: Settings) -> str:
    """One for each platform in each book. No Lease of a release has such a name."""
    me = this_process()
    told = [me.host, me.boot, *map(str, (settings.state.absolute(), *settings.definitions))]
    return f"carbon.healer-{hashlib.sha256(' '.join(told).encode()).hexdigest()[:12]}"


def release_key(component: Component) -> str:
    """What a component is called in a Lease: definitions of another folder may have another name for it."""
    return f"{component.namespace}/{component.release_name}"


def _rank(lease: Object) -> tuple[str, str]:
    """The cluster's own time; of those made within the same second, any order that all see alike."""
    return lease["metadata"]["creationTimestamp"], lease["metadata"]["uid"]


def _named(lease: Object) -> str:
    return str(lease["metadata"]["name"])


def _healed(lease: Object) -> list[str]:
    return str((lease["metadata"].get("annotations") or {}).get(_HEALS, "")).split(",")


def _written(lease: Object) -> str:
    return str(lease["spec"].get("holderIdentity") or "")


def _of_a_dead_process(lease: Object) -> bool:
    """False for one of another machine: only its silence tells."""
    return dead(Writer.parse(_written(lease)), this_process())


def _holder(lease: Object) -> str:
    writer = Writer.parse(_written(lease))
    return f"process {writer.pid} on {writer.host}" if writer else _written(lease)


async def healers_before(settings: Settings, platform: Platform, api: Api) -> list[str]:
    """Who says in the cluster that they heal something of the platform, and is not known to be dead."""
    ours, mine = {release_key(component) for component in platform.components.values()}, _name(settings)
    leases = [lease for lease in await api.list(*LEASE, None, HEALERS) if _named(lease) != mine]
    return [_holder(lease) for lease in leases if not _of_a_dead_process(lease) and not ours.isdisjoint(_healed(lease))]


async def give_back(settings: Settings, api: Api) -> None:
    """Delete the Lease of a book whose processes have ended; another's is left."""
    for lease in await api.list(*LEASE, None, HEALERS):
        if _named(lease) == _name(settings) and _of_a_dead_process(lease):
            await api.delete(ObjectName.of(lease), version=lease["metadata"]["resourceVersion"])
