"""Which process asks for a run, and what becomes of an attempt whose process ends."""

from typing import Any

import pytest

from carbon_platform.healing.decide import Decision, decide
from carbon_platform.healing.loop import Request
from carbon_platform.healing.result import Result
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.lease import Writer
from tests.unit.healing.world import DEAD, ELSEWHERE, LIVING, World, one


def test_an_attempt_whose_process_died_is_ended_and_another_made_after_a_pause(world: World) -> None:
    world.loses("cache")
    first = one(world.step())
    world.begins(first, LIVING)
    assert world.step().requests == ()
    world.begins(first, DEAD)
    step = world.step()
    assert step.requests == ()
    attempt = world.incident("cache").attempts[0]
    assert (attempt.helped, attempt.result) == (False, "its process ended")
    assert step.again_at is not None
    assert 8 <= step.again_at - world.now <= 12
    second = one(world.step(12))
    assert (second.incident, second.number) == (first.incident, 2)


def test_an_attempt_whose_process_died_after_it_had_proven_that_it_works_helped(world: World) -> None:
    world.loses("cache")
    request = one(world.step())
    world.begins(request, DEAD)
    world.now += 5
    world.verifies("cache", changed=True)
    world.step()
    told = world.incident("cache")
    assert (told.attempts[0].helped, told.outcome) == (True, "healed")


def test_a_run_that_never_began_is_asked_for_again_by_the_same_key(world: World) -> None:
    """The daemon was killed between the decision and the run; Dagster starts one run for one key."""
    world.loses("cache")
    first = one(world.step())
    assert world.step(3).requests == ()
    again = one(world.step(2, world.daemon()))
    assert again.key == first.key
    assert world.step(3).requests == (), "and not all the time"
    assert one(world.step(-3600)).key == first.key, "also when the clock was set back"
    assert (again.components, again.remedy) == (first.components, first.remedy)
    assert len(world.incident("cache").attempts) == 1
    world.begins(again)
    assert world.step(100).requests == ()


def test_a_process_whose_look_began_before_another_asked_does_not_ask_as_well(world: World) -> None:
    world.loses("cache")
    one(world.step())
    assert world.step(-0.05, world.daemon()).requests == ()


def test_an_attempt_of_which_nothing_is_heard_for_long_has_failed(world: World) -> None:
    world.loses("cache")
    world.begins(one(world.step()), "another-machine_abcdef12_7_1")
    assert world.step(1700).requests == ()
    world.step(200)
    assert world.incident("cache").attempts[0].result == "nothing was heard of its run"


def test_two_daemons_ask_for_one_run(world: World) -> None:
    world.loses("cache")
    steps = [world.step(0, world.daemon()) for _ in range(2)]
    assert [len(step.requests) for step in steps] == [1, 0]
    assert len(world.incident("cache").attempts) == 1


def test_who_comes_second_looks_again_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may have asked for a daemon that was killed meanwhile: its answer goes nowhere."""
    world.loses("cache")
    first: list[Request] = []
    with monkeypatch.context() as patch:

        def decided_twice(*given: Any) -> list[Decision]:
            patch.undo()
            first.append(one(world.step(0, world.daemon())))
            return decide(*given)

        patch.setattr("carbon_platform.healing.loop.decide", decided_twice)
        second = world.step(0)
    assert (second.requests, second.again_at) == ((), world.now + 1)
    assert one(world.step(5)).key == first[0].key


def test_while_the_daemon_that_asked_lives_no_other_asks_in_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run key means another run to a daemon that loaded the platform under another name."""
    world.loses("cache")
    with monkeypatch.context() as patch:
        patch.setattr("carbon_platform.healing.loop.this_process", lambda: Writer.parse(ELSEWHERE))
        first = one(world.step(0, world.daemon()))
    assert world.step(20).requests == ()
    assert one(world.step(50)).key == first.key, "it is silent for too long"


def test_what_a_daemon_asked_for_that_is_dead_is_asked_for_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.loses("cache")
    with monkeypatch.context() as patch:
        patch.setattr("carbon_platform.healing.loop.this_process", lambda: Writer.parse(DEAD))
        first = one(world.step(0, world.daemon()))
    assert one(world.step(15)).key == first.key


def test_attempts_that_the_api_server_cut_short_say_nothing_about_their_remedy(world: World) -> None:
    world.fails("cache")
    for number in range(1, 6):
        request = one(world.step(1000))
        assert (request.number, request.remedy) == (number, Remedy.VERIFY)
        world.begins(request)
        world.book.ended(request.incident, number, Result(False, "the API server is away", cut_short=True), world.now)
    assert [attempt.cut_short for attempt in world.incident("cache").attempts] == [True] * 5
