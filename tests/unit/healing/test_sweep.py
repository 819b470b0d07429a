"""The sweep: every component is told about, whatever one of its checks does; what can't be seen is unknown."""

import asyncio
import dataclasses
import datetime
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import CheckFailed, Unreachable
from carbon_platform.healing.sweep import sweep
from carbon_platform.materialization.verify import verify
from carbon_platform.records import Record, Records
from carbon_platform.release.lease import this_process
from carbon_platform.settings import Settings
from carbon_platform.spec.component import DriftSpec, HealSpec
from carbon_platform.spec.platform import Component, Platform
from tests.unit.checks.stub_reach import StubReach

Body = Callable[[], Awaitable[None]]


async def passes() -> None:
    """A check that is content."""


async def fails() -> None:
    raise CheckFailed("no answer", "the port is closed", "open it")


async def crashes() -> None:
    raise ZeroDivisionError("a bug")


async def hangs() -> None:
    await asyncio.Event().wait()


class Declared(Content):
    """Content that is as declared."""

    def objects(self) -> tuple[str, ...]:
        return ()

    async def plan(self, reach: Reach) -> list[ContentChange]:
        return []

    async def apply(self, reach: Reach) -> None:
        raise AssertionError("a sweep only looks")


class Crashing(Declared):
    """Content that can't be compared."""

    async def plan(self, reach: Reach) -> list[ContentChange]:
        raise ZeroDivisionError("a bug")


class StubApi:
    """Stands in for the API server: it knows one lease, or is away."""

    def __init__(self) -> None:
        self.away, self.lease = False, None
        self.outages = 0
        """How often it will have been away while checks ran."""
        self.nodes: list[Object] = []

    async def get(self, name: ObjectName) -> Object | None:
        if self.away:
            raise Unreachable("the API server can't be reached")
        return self.lease

    async def list(self, api_version: str, kind: str) -> list[Object]:
        return self.nodes

    async def was_away(self, since: float) -> bool:
        self.outages -= 1
        return self.outages >= 0


class StubSession:
    """Stands in for a session: records are real."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder, check_seconds=0.2)
        self.records, self.api = Records(folder / "records.db", "cluster"), StubApi()

    def reach(self, component: Component) -> StubReach:
        return StubReach()


BEFORE = "2026-01-01T10:00:00.000+00:00"


@pytest.fixture
def session(tmp_path: Path) -> Any:
    return StubSession(tmp_path)


def component(key: str, **checks: Body) -> Component:
    def probe(body: Body) -> Check:
        class Probe(Check):
            async def run(self, reach: Reach) -> Passed:
                await body()
                return Passed("fine")

        return Probe(type="test.probe")

    bare: dict[str, Any] = {field.name: () for field in dataclasses.fields(Component)}
    told = {
        "key": key,
        "namespace": "here",
        "heal": HealSpec(),
        "drift": DriftSpec(),
        "release": None,
        "content": Declared(type="test.declared"),
    }
    return Component(**bare | told | {"checks": {name: probe(body) for name, body in checks.items()}})


def platform(session: Any, *components: Component) -> Platform:
    """All of them deployed as they are defined, and proven."""
    for one in components:
        session.records.put(
            Record(one.key, one.digest, one.checks_digest, changed_at=BEFORE, verified_at=BEFORE, verified_revision=1)
        )
    return Platform("local", {one.key: one for one in components})


async def test_a_check_that_hangs_fails_or_crashes_is_told_and_the_others_are_told_as_well(session: Any) -> None:
    made = platform(
        session,
        component("a", query=passes, write=hangs),
        component("b", query=crashes),
        component("c", query=fails),
        component("d", query=passes),
    )
    async with asyncio.timeout(5):
        swept = await sweep(made, list(made.components), session, 0.0)
    assert [(one.component, one.healthy, one.unknown) for one in swept] == [
        ("a", False, ""),
        ("b", False, ""),
        ("c", False, ""),
        ("d", True, ""),
    ]
    details = [[check.detail for check in one.checks if not check.passed] for one in swept]
    assert details == [["no answer within 0.2 s"], ["ZeroDivisionError: a bug"], ["no answer: the port is closed"], []]
    told = session.records.all()
    assert [told[key].verified_at > BEFORE for key in "abcd"] == [False, False, False, True]
    assert [[c.name for c in told[key].checks if not c.passed] for key in "abc"] == [["write"], ["query"], ["query"]]


async def test_a_check_that_fails_for_a_moment_is_no_finding(session: Any) -> None:
    answers = iter([fails, passes])

    async def recovers() -> None:
        await next(answers)()

    (swept,) = await sweep(platform(session, component("a", query=recovers)), ["a"], session, 5.0)
    assert swept.healthy


async def test_a_crash_outside_a_check_is_a_finding_about_one_component(session: Any) -> None:
    crashing = dataclasses.replace(component("a", query=passes), content=Crashing(type="test.crashing"))
    broken, healthy = await sweep(platform(session, crashing, component("b", query=passes)), ["a", "b"], session, 0.0)
    assert (broken.healthy, broken.unknown) == (False, "")
    assert broken.checks[0].detail == "the look at it crashed: ZeroDivisionError: a bug"
    assert healthy.healthy


async def test_an_api_server_that_is_away_is_unknown_and_nothing_is_recorded(session: Any) -> None:
    made = platform(session, component("a", query=fails))
    before = session.records.all()
    session.api.away = True
    (swept,) = await sweep(made, ["a"], session, 0.0)
    assert (swept.healthy, swept.unknown) == (False, "the API server can't be reached")
    assert session.records.all() == before


async def test_a_check_that_failed_while_the_api_server_was_away_is_run_again(session: Any) -> None:
    results = iter([fails, passes])

    async def query() -> None:
        await next(results)()

    made = platform(session, component("a", query=query))
    session.api.outages = 1
    (swept,) = await sweep(made, ["a"], session, 0.0)
    assert swept.healthy


async def test_where_the_api_server_goes_away_each_time_nothing_is_known_or_recorded(session: Any) -> None:
    made = platform(session, component("a", query=fails))
    before = session.records.all()
    session.api.outages = 1000
    (swept,) = await sweep(made, ["a"], session, 0.0)
    assert swept.unknown == "a can't be checked: the API server or the nodes go away each time"
    assert session.records.all() == before


def lease() -> Object:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return {"spec": {"holderIdentity": str(this_process()), "renewTime": now, "leaseDurationSeconds": 30}}


async def test_what_somebody_is_at_work_on_is_unknown_unless_a_person_asks(session: Any) -> None:
    made = platform(session, component("a", query=fails))
    session.api.lease = lease()
    (swept,) = await sweep(made, ["a"], session, 0.0)
    assert "is at work on it" in swept.unknown
    (asked,) = await sweep(made, ["a"], session, 0.0, asked=True)
    assert [check.name for check in asked.checks if not check.passed] == ["query"]


async def test_what_was_never_verified_is_unknown_unless_a_person_asks(session: Any) -> None:
    made = platform(session, component("a", query=fails))
    session.records.put(Record("a"))
    (swept,) = await sweep(made, ["a"], session, 0.0)
    assert swept.unknown == "it was never verified"
    (asked,) = await sweep(made, ["a"], session, 0.0, asked=True)
    assert not asked.healthy


async def test_only_what_is_asked_for_is_swept_in_the_platforms_order(session: Any) -> None:
    made = platform(session, *(component(key, query=passes) for key in ("c", "a", "b")))
    assert [one.component for one in await sweep(made, ["c", "a"], session, 0.0)] == ["a", "c"]


CHANGES = {
    "applied": {"changed_at": "2026-01-02T10:00:00.000+00:00"},
    "verified": {"verified_at": "2026-01-02T10:00:00.000+00:00"},
    "failed": {"failed_at": "2026-01-02T10:00:00.000+00:00", "failure": "no room"},
    "applied by a clock that was set back": {"changed_at": "2026-01-01T09:00:00.000+00:00"},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("body", [passes, fails])
async def test_what_was_seen_before_a_change_is_told_and_not_recorded(
    session: Any, body: Body, changed: dict[str, str]
) -> None:
    async def meanwhile() -> None:
        session.records.update("a", lambda record: dataclasses.replace(record, **changed))
        await body()

    made = platform(session, component("a", query=meanwhile))
    results = await verify(made.components["a"], session)
    assert [result.passed for result in results] == [True, body is passes]
    assert session.records.get("a") == dataclasses.replace(
        Record("a", made.components["a"].digest, made.components["a"].checks_digest, verified_revision=1),
        **{"changed_at": BEFORE, "verified_at": BEFORE} | changed,
    )


async def test_a_verification_ends_a_quarantine_and_one_of_another_definition_does_not(session: Any) -> None:
    made = platform(session, component("a", query=passes))
    for digest, left in (("another", "too often"), (made.components["a"].digest, "")):
        session.records.update("a", lambda r, d=digest: dataclasses.replace(r, digest=d, quarantined="too often"))
        await verify(made.components["a"], session)
        assert session.records.get("a").quarantined == left


async def test_a_clock_that_was_set_back_keeps_no_result_from_being_recorded(session: Any) -> None:
    made = platform(session, component("a", query=fails))
    session.records.update("a", lambda record: dataclasses.replace(record, verified_at="2999-01-01T00:00:00.000+00:00"))
    await verify(made.components["a"], session)
    assert [check.passed for check in session.records.get("a").checks] == [True, False]
