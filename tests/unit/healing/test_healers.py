"""Who heals what: the earlier Lease that is kept up, told by the cluster's order and by renewals that were seen."""

import dataclasses
from typing import Any

import pytest

from carbon_platform.healing.healers import Healers
from carbon_platform.release.lease import this_process
from tests.definitions import Definitions

ELSEWHERE = str(dataclasses.replace(this_process(), host="node-7", pid=12))
LIVING = str(this_process())
DEAD = str(dataclasses.replace(this_process(), pid=4_000_000, started="1"))


class Cluster:
    """Leases as the cluster has them, and a clock that only goes forward."""

    def __init__(self, definitions: Definitions) -> None:
        self.now = 0.0
        self.leases: dict[str, dict[str, Any]] = {}
        self.healers = Healers(definitions.settings(), lambda: self.now)

    def made(self, name: str, holder: str, *heals: str, at: str = "2026-01-01T12:00:00Z") -> None:
        metadata = {"name": name, "namespace": "here", "uid": name, "resourceVersion": "1", "creationTimestamp": at}
        annotations = {"carbon/heals": ",".join(heals)}
        self.leases[name] = {"metadata": metadata | {"annotations": annotations}, "spec": {"holderIdentity": holder}}

    def renewed(self, name: str) -> None:
        metadata = self.leases[name]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def left(self, seconds: float = 0) -> dict[str, str]:
        """What is left to others, so much later."""
        self.now += seconds
        return self.healers.others(self.leases.values())


@pytest.fixture
def cluster(definitions: Definitions) -> Cluster:
    return Cluster(definitions)


def test_alone_everything_is_ones_own(cluster: Cluster) -> None:
    assert cluster.left() == {}
    cluster.made(cluster.healers.name, LIVING, "here/app")
    assert cluster.left(3600) == {}


def test_what_an_earlier_one_heals_is_left_to_it_and_nothing_else(cluster: Cluster) -> None:
    cluster.made("other", ELSEWHERE, "here/app", "here/db")
    assert cluster.left() == dict.fromkeys(["here/app", "here/db"], "process 12 on node-7")
    cluster.made(cluster.healers.name, LIVING, "here/app", "here/cache", at="2026-01-01T12:00:01Z")
    assert set(cluster.left()) == {"here/app", "here/db"}


def test_one_that_came_later_gives_way_itself(cluster: Cluster) -> None:
    cluster.made(cluster.healers.name, LIVING, "here/app")
    cluster.made("other", ELSEWHERE, "here/app", at="2026-01-01T12:00:01Z")
    assert cluster.left() == {}


def test_of_two_made_in_one_second_each_sees_the_same_one_first(cluster: Cluster) -> None:
    cluster.made("zzz", ELSEWHERE, "here/app")
    cluster.made(cluster.healers.name, LIVING, "here/app")
    assert cluster.left() == {}, "its uid comes later"
    cluster.made("aaa", ELSEWHERE, "here/app")
    assert set(cluster.left()) == {"here/app"}


def test_who_is_not_seen_to_renew_is_over_after_half_a_minute_whatever_it_says_of_the_time(cluster: Cluster) -> None:
    cluster.made("other", ELSEWHERE, "here/app")
    cluster.leases["other"]["spec"]["renewTime"] = "1999-01-01T00:00:00.000000Z"
    assert cluster.left()
    assert cluster.left(29)
    cluster.renewed("other")
    cluster.leases["other"]["spec"]["renewTime"] = "2099-01-01T00:00:00.000000Z"
    assert cluster.left()
    assert cluster.left(29)
    assert cluster.left(2) == {}
    cluster.renewed("other")
    assert cluster.left(), "it is back"


def test_a_process_of_this_machine_that_is_dead_is_over_at_once(cluster: Cluster) -> None:
    cluster.made("other", DEAD, "here/app")
    assert cluster.left() == {}


def test_those_who_share_a_book_share_a_lease_and_others_have_their_own(definitions: Definitions) -> None:
    settings = definitions.settings()
    assert Healers(settings).name == Healers(definitions.settings()).name
    elsewhere = settings.model_copy(update={"home": definitions.folder / "another"})
    assert Healers(elsewhere).name != Healers(settings).name
