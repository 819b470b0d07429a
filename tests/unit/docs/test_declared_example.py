"""The example of a check in the documentation is one: it loads, passes on a server that works, and cleans up."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.checks.http import HttpSteps
from carbon_platform.errors import CheckFailed
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_reach import StubReach

PAGE = Path(__file__).parents[3] / "docs" / "checks.md"


class Catalogue:
    """Keeps items by name, and finds them from the second search on."""

    def __init__(self, *names: str) -> None:
        self.items: dict[str, Any] = {name: {"id": i, "name": name} for i, name in enumerate(names)}
        self.searches = 0

    def __call__(self, request: Request) -> Answer:
        if request.method == "POST":
            name = request.json["name"]
            self.items[name] = {"id": 41, "name": name}
            return 201, self.items[name]
        if request.method == "DELETE":
            return (200 if self.items.pop(request.path.rpartition("/")[2], None) else 404), None
        self.searches += 1
        return 200, {"hits": list(self.items.values()) if self.searches > 1 else []}


def example() -> tuple[HttpSteps, list[str]]:
    found = re.search(r"```yaml\n(endpoints:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    written = yaml.safe_load(found[1])
    return HttpSteps.model_validate(written["checks"][0]), [one["name"] for one in written["endpoints"]]


async def test_the_example_loads_passes_and_leaves_nothing() -> None:
    check, endpoints = example()
    assert list(check.mistakes(endpoints)) == []
    catalogue = Catalogue("somebody's", "carbon_probe_1700000000_0badcafe")
    with serving(catalogue) as port:
        passed = await check.run(StubReach(ports={"api": port}, secrets={"token": "a-token"}))
    assert passed.detail == "found by search"
    assert list(catalogue.items) == ["somebody's"]


async def test_the_example_fails_where_its_product_does() -> None:
    def refuses(request: Request) -> Answer:
        return 401, {"message": "who are you?"}

    with serving(refuses) as port, pytest.raises(CheckFailed, match="POST /items: HTTP 401"):
        await example()[0].run(StubReach(ports={"api": port}, secrets={"token": "a-token"}))
