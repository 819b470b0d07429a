"""Two who would heal the same: with one book each attempt is made once, with two one of them heals, whoever ends."""

import asyncio
import dataclasses
import datetime
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.healers import HEALERS, healers_before, release_key
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.release.lease import LEASE, Writer, process, this_process
from carbon_platform.session import Session, open_session
from tests.cluster.healing import Healing, healing
from tests.cluster.platform import Platform
from tests.cluster.waiting import until


@pytest.fixture
async def deployed(platform: Platform, session: Session) -> Platform:
    platform.define()
    assert (await platform.up(session)).verified
    return platform


@pytest.fixture
async def beside(
    deployed: Platform, cluster: LocalCluster, cache: Path, tmp_path: Path, namespace: str
) -> AsyncIterator[tuple[Platform, Session]]:
    """The same platform with a state of its own, in which it is proven as well."""
    folder = tmp_path / "beside"
    folder.mkdir()
    other = Platform(folder, cache, cluster, namespace)
    other.define()
    async with open_session(other.settings()) as session:
        assert (await other.up(session)).verified
        yield other, session


async def break_(platform: Platform, api: Api) -> None:
    await api.delete(platform.name("Deployment", "app"))


async def leases(api: Api, namespace: str) -> list[dict[str, Any]]:
    return await api.list(*LEASE, namespace, HEALERS)


async def said(loop: Healing, api: Api, namespace: str) -> None:
    """The cluster shows that this one heals."""

    async def shown() -> bool:
        return loop.watcher._healers.name in {one["metadata"]["name"] for one in await leases(api, namespace)}

    await until(shown, True)


async def test_two_on_one_book_start_one_run_for_one_fault(deployed: Platform, session: Session, api: Api) -> None:
    async with healing(deployed, session) as first, healing(deployed, session) as second:
        await first.quiet()
        await second.quiet()
        await break_(deployed, api)
        for loop in (first, second):
            await loop.view(lambda view: bool(view.symptoms))
        # As two processes would, at the same time.
        steps = await asyncio.gather(*(asyncio.to_thread(loop.step) for loop in (first, second)))
        (request,) = (request for step in steps for request in step.requests)
        await first.run(request)
        told = await second.heal()
        assert (told.outcome, len(told.attempts)) == ("healed", 1)
        assert [*first.ran, *second.ran] == [request]


async def test_with_a_book_of_its_own_the_second_leaves_it_to_the_first_and_says_so(
    deployed: Platform, session: Session, api: Api, beside: tuple[Platform, Session]
) -> None:
    other, other_session = beside
    me = this_process()
    async with healing(deployed, session) as first:
        await first.quiet()
        await said(first, api, deployed.namespace)
        assert await healers_before(other.settings(), other.load(), api) == [f"process {me.pid} on {me.host}"]
        assert await healers_before(deployed.settings(), deployed.load(), api) == [], "that is itself"
        await earlier((await leases(api, deployed.namespace))[0])
        async with healing(other, other_session) as second:
            seen = await second.view(lambda view: bool(view.left_to))
            assert seen.left_to == f"process {me.pid} on {me.host}"
            await break_(deployed, api)
            await second.view(lambda view: bool(view.symptoms))
            await second.nothing(1)
            assert (await first.heal()).outcome == "healed"
            await second.nothing(1)
            assert second.book.incidents() == []


async def earlier(lease: dict[str, Any]) -> None:
    """Return when whatever is made now is younger than the Lease: of one second, the order is by chance."""
    made = datetime.datetime.fromisoformat(lease["metadata"]["creationTimestamp"])
    age = (datetime.datetime.now(datetime.UTC) - made).total_seconds()
    await asyncio.sleep(max(0.0, 1.1 - age))


async def lease_of(api: Api, platform: Platform, writer: Writer) -> ObjectName:
    """The Lease of somebody who heals all of the platform, and was here first."""
    name, _, value = HEALERS.partition("=")
    heals = ",".join(release_key(component) for component in platform.load().components.values())
    metadata = {"name": "carbon.healer-other", "namespace": platform.namespace, "labels": {name: value}}
    lease = {
        "apiVersion": LEASE[0],
        "kind": LEASE[1],
        "metadata": metadata | {"annotations": {"carbon/heals": heals}},
        "spec": {"holderIdentity": str(writer)},
    }
    made = await api.create(lease)
    await earlier(made)
    return ObjectName.of(made)


async def test_when_the_process_that_healed_is_killed_another_heals_at_once(
    deployed: Platform, session: Session, api: Api
) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "input()", stdin=asyncio.subprocess.PIPE)
    await lease_of(api, deployed, process(child.pid))
    async with healing(deployed, session) as loop:
        await loop.view(lambda view: bool(view.left_to))
        await break_(deployed, api)
        await loop.view(lambda view: bool(view.symptoms))
        await loop.nothing(1)
        child.kill()
        await child.wait()
        assert (await loop.heal()).outcome == "healed"


@pytest.mark.rare
@pytest.mark.rare
async def test_when_one_elsewhere_is_silent_for_half_a_minute_another_heals_and_its_lease_goes(
    deployed: Platform, session: Session, api: Api
) -> None:
    name = await lease_of(api, deployed, dataclasses.replace(this_process(), host="elsewhere"))
    async with healing(deployed, session) as loop:
        await loop.view(lambda view: bool(view.left_to))
        await break_(deployed, api)
        assert (await loop.heal(seconds=60)).outcome == "healed"

        async def there() -> bool:
            return await api.get(name) is not None

        await until(there, False)
        (own,) = await leases(api, deployed.namespace)
        assert own["spec"]["holderIdentity"] == str(this_process())
