"""How an evaluation waits until something is to be done."""

import dataclasses

from carbon_platform.healing.loop import Step
from tests.unit.healing.world import DEAD, World, one


def test_holding_returns_at_once_with_a_run_and_looks_again_when_something_changed(world: World) -> None:
    world.step()
    changes = iter([lambda: None, lambda: None, lambda: world.loses("cache")])

    def meanwhile() -> None:
        next(changes)()
        if world.shown:
            world.watcher.seen = dataclasses.replace(world.watcher.seen, symptoms=dict(world.shown))

    world.watcher.meanwhile = meanwhile
    assert one(world.healer.hold(60)).components == ("cache",)
    assert len(world.watcher.waited) == 3


def test_holding_sees_a_check_that_failed_though_the_cluster_shows_nothing(world: World) -> None:
    world.step()
    world.watcher.meanwhile = lambda: world.fails("cache")
    assert one(world.healer.hold(60)).components == ("cache",)


def test_holding_sees_that_a_run_has_ended_and_that_its_process_died(world: World) -> None:
    """Neither shows in the cluster, nor in the records."""
    world.loses("cache")
    request = one(world.step())
    world.begins(request)
    looks = []

    def meanwhile() -> None:
        world.now += 1
        looks.append(world.now)
        world.looked_at()
        if len(looks) == 3:
            world.begins(request, DEAD)

    world.watcher.meanwhile = meanwhile
    assert one(world.healer.hold(60)).number == 2
    assert 3 + 8 <= len(looks) <= 3 + 12 + 2, "after the pause, and no later"


def test_holding_ends_with_nothing_when_nothing_happens(world: World) -> None:
    world.step()
    assert world.healer.hold(0.01) == Step()
