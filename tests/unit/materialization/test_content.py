"""Content: what of it is there, what healing leaves to people, and what is known of its data."""

import dataclasses

import pytest

from carbon_platform.cluster.reach import Reach
from carbon_platform.content.base import Content, ContentChange
from carbon_platform.materialization.content import in_sync, left_alone, there
from carbon_platform.materialization.outcome import Options
from carbon_platform.materialization.record import of_record
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record
from carbon_platform.release.ledger import Ledger
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions

EDIT = ContentChange("topic a", "retention.ms: 5 → 9")
GONE = ContentChange("topic b", "create", creates=True)
SECRETS = [{"name": "login", "keys": {"password": {"generate": 16}, "user": {"literal": "carbon"}}}]


class TwoTopics(Content):
    """Two topics."""

    def objects(self) -> tuple[str, ...]:
        return ("topic a", "topic b")

    async def plan(self, reach: Reach) -> list[ContentChange]:
        return []

    async def apply(self, reach: Reach) -> None:
        pass


def component(definitions: Definitions, policy: str = "correct") -> Component:
    definitions.chart()
    definitions.release("app", drift={"policy": policy}, secrets=SECRETS)
    return dataclasses.replace(definitions.load().components["app"], release=None, content=TwoTopics(type="test.two"))


def test_what_would_be_made_is_not_there() -> None:
    assert there(TwoTopics(type="test.two"), [EDIT]) == ("topic a", "topic b")
    assert there(TwoTopics(type="test.two"), [EDIT, GONE]) == ("topic a",)


@pytest.mark.parametrize(
    ("policy", "changes", "warning"),
    [
        ("correct", [EDIT], False),
        ("report", [EDIT], True),
        ("report", [EDIT, GONE], False),
        ("report", [], False),
        ("correct", [], False),
    ],
)
def test_edits_that_are_to_be_told_only_are_a_warning_and_what_is_gone_is_not(
    definitions: Definitions, policy: str, changes: list[ContentChange], warning: bool
) -> None:
    one = component(definitions, policy)
    found = in_sync(one, changes)
    assert (found.passed, found.warning, found.failed) == (not changes, warning, bool(changes) and not warning)
    assert left_alone(one, changes, Options(remedy=Remedy.REAPPLY)) is warning
    assert not left_alone(one, changes, Options()), "a person applies them"


def test_what_was_verified_as_it_is_defined_now_was_all_there(definitions: Definitions) -> None:
    one = component(definitions)
    deployed = Record("app", digest=one.digest, changed_at="2026-01-01", verified_at="2026-01-02")
    assert of_record(deployed, one) == Ledger(generated=("here/login/password",), content=("topic a", "topic b"))
    begun = dataclasses.replace(deployed, changed_at="2026-01-03")
    assert of_record(begun, one).content == (), "perhaps they were never made"


def test_another_definition_and_a_rollback_make_nothing_unknown(definitions: Definitions) -> None:
    one = component(definitions)
    had = {"volumes": {"here/data": "1"}, "generated": ("here/old/key",), "content": ("topic old",)}
    for digest in ("", "another", one.digest):
        known = of_record(Record("app", digest=digest, **had), one)  # type: ignore[arg-type]
        assert known.volumes == had["volumes"]
        assert {"here/old/key"} <= {*known.generated}
        assert known.content == ("topic old",)


def test_content_that_was_there_is_put_back_by_a_command_that_is_not_refused(definitions: Definitions) -> None:
    one = component(definitions)
    assert in_sync(one, []).fix == ""
    assert in_sync(one, [GONE]).fix == "carbon up app"
    assert in_sync(one, [GONE], [GONE.object]).fix == f"carbon up app --confirm 'content:{GONE.object}'"
