"""All components at a glance, on terminals of any width and in a pipe."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cli.overview import in_order, overview
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.records import CheckResult
from carbon_platform.spec.platform import Component, Platform
from tests.definitions import Definitions

IMAGE = """Pod data/catalog-7d4b9-x2x4k can't become ready: image can't be pulled
cause: image docker.io/example/catalog:v1.6.0 of container catalog can't be pulled
fix: correct the image's name and tag, or make it available on the node or in a registry it reaches"""
STATES = {
    "kafka": (State.VERIFIED, "all 2 checks passed"),
    "catalog": (State.BLOCKED, IMAGE),
    "redis": (State.DEGRADED, "ConfigMap redis is gone"),
    "workflow_of_the_whole_platform": (State.BLOCKED, "it needs catalog, which is blocked"),
    "trino": (State.STALE, "verified before kafka changed"),
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    definitions = Definitions(tmp_path_factory.mktemp("platform"))
    definitions.chart()
    for key in STATES:
        endpoints = [{"name": "server", "service": key[:5], "port": 6379}] if key != "trino" else []
        definitions.release(key, endpoints=endpoints)
    return definitions.load()


@pytest.fixture
def seen(platform: Platform) -> list[ComponentStatus]:
    passed = CheckResult("ready", True, "fine", "2026-01-01T00:00:00")
    checks = (passed, dataclasses.replace(passed, name="roundtrip"))
    return [
        ComponentStatus(platform.components[key], state, reason, 1, 2, 3, () if state is State.BLOCKED else checks)
        for key, (state, reason) in STATES.items()
    ]


GOLDEN = {
    40: """
1 degraded · 1 stale · 1 verified · 2 blocked
redis                           degraded
    ConfigMap redis is gone
trino                           stale
    verified before kafka changed
kafka                           verified
    2/2 checks, 2/3 pods
catalog                         blocked
    image docker.io/example/catalog:v1.…
workflow_of_the_whole_platform  blocked
    it needs catalog, which is blocked
""",
    80: """
1 degraded · 1 stale · 1 verified · 2 blocked
COMPONENT                       STATE     REASON
redis                           degraded  ConfigMap redis is gone
trino                           stale     verified before kafka changed
kafka                           verified  2/2 checks, 2/3 pods
catalog                         blocked   image docker.io/example/catalog:v1.6.…
workflow_of_the_whole_platform  blocked   it needs catalog, which is blocked
""",
    100: """
1 degraded · 1 stale · 1 verified · 2 blocked
COMPONENT                       STATE     REASON
redis                           degraded  ConfigMap redis is gone
trino                           stale     verified before kafka changed
kafka                           verified  2/2 checks, 2/3 pods
catalog                         blocked   image docker.io/example/catalog:v1.6.0 of container catal…
workflow_of_the_whole_platform  blocked   it needs catalog, which is blocked
""",
    200: """
1 degraded · 1 stale · 1 verified · 2 blocked
COMPONENT                       STATE     PODS  CHECKS  REV  GROUP  ENDPOINT         REASON
redis                           degraded  2/3   2/2     1    data   redis.here:6379  ConfigMap redis is gone
trino                           stale     2/3   2/2     1    data   -                verified before kafka changed
kafka                           verified  2/3   2/2     1    data   kafka.here:6379
catalog                         blocked   2/3   -       1    data   catal.here:6379  image docker.io/example/catalog:v1.6.0 of container catalog can't be pulled
workflow_of_the_whole_platform  blocked   2/3   -       1    data   workf.here:6379  it needs catalog, which is blocked
""",  # noqa: E501 - as a terminal shows it
}


@pytest.mark.parametrize("width", GOLDEN)
def test_what_is_wrong_comes_first_and_fits(seen: list[ComponentStatus], width: int) -> None:
    lines = [line.plain for line in overview(seen, width)]
    assert "\n".join(lines) == GOLDEN[width].strip()


def test_in_a_pipe_every_line_is_whole(seen: list[ComponentStatus]) -> None:
    assert [line.plain for line in overview(seen, None)] == GOLDEN[200].strip().splitlines()


def some(component: Component) -> Any:
    reason = st.text(st.characters(codec="utf-8"), max_size=90)
    number = st.integers(0, 12)
    return st.builds(
        ComponentStatus, st.just(component), st.sampled_from(State), reason, st.none(), number, number, st.just(())
    )


@given(st.data(), st.integers(36, 250))
def test_nothing_is_lost_or_too_long(platform: Platform, data: st.DataObject, width: int) -> None:
    found = [data.draw(some(component)) for component in platform.components.values()]
    lines = overview(found, width)
    assert all(line.cell_len <= width for line in lines[1:])
    told = "\n".join(line.plain for line in lines)
    assert all(one.component.key in told and one.state.value in told for one in found) or width < 42
    assert sorted(one.component.key for one in in_order(found)) == sorted(platform.components)
