"""What goes wrong with one component is told of that one."""

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from carbon_platform.cluster.reach import Reach
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.errors import Crash
from carbon_platform.inspect import plans
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.records import Record
from carbon_platform.release.prepare import Preparation
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.unit.checks.stub_reach import StubReach


async def test_a_crash_over_one_component_leaves_the_plans_of_the_others(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(component: Component, record: Record, *_: object) -> Planned:
        if component.key == "db":
            raise KeyError("resources")
        return Planned(component, record, None, (), "not installed")

    monkeypatch.setattr(plans, "_look_at_release", look)
    definitions.chart()
    definitions.release("db")
    definitions.release("web", needs=["db"])
    session: Any = SimpleNamespace(records=SimpleNamespace(all=dict))
    found = await plans_of(definitions.load(), ["db", "web"], session)
    assert found["web"].reason == "not installed"
    assert found["db"].reason == "db can't be planned"
    assert isinstance(found["db"].error, Crash)
    assert found["db"].error.cause == "KeyError: 'resources'"


class Hanging(Content):
    """Content that nobody answers about."""

    def objects(self) -> tuple[str, ...]:
        return ()

    async def plan(self, reach: Reach) -> list[ContentChange]:
        await asyncio.Event().wait()
        return []

    async def apply(self, reach: Reach) -> None:
        raise AssertionError("a plan only looks")


async def test_content_that_does_not_answer_is_told_as_that(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions.chart()
    definitions.release("topics")
    platform = definitions.load()
    content = dataclasses.replace(platform.components["topics"], release=None, content=Hanging(type="test.hanging"))
    platform = dataclasses.replace(platform, components={"topics": content})

    async def prepared(*_: object) -> Preparation:
        return Preparation((), ())

    monkeypatch.setattr(plans, "preparation", prepared)
    known = {"topics": Record("topics", verified_at="2026-01-01T10:00:00.000+00:00")}
    session: Any = SimpleNamespace(
        records=SimpleNamespace(all=lambda: known),
        settings=Settings(check_seconds=0.05),
        api=None,
        reach=lambda component: StubReach(),
    )
    found = await plans_of(platform, ["topics"], session)
    assert found["topics"].reason == "the content of topics can't be compared"
    assert found["topics"].error is not None
    assert found["topics"].error.cause == "no answer within 0.05 s"
