"""What a run takes, from a look at everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cli.up import images_of, to_run
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.content.base import ContentChange
from carbon_platform.errors import CarbonError
from carbon_platform.inspect.plans import Planned
from carbon_platform.records import Record
from carbon_platform.release.history import Revision
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.spec.platform import Platform
from tests.definitions import Definitions

NEEDS = {"db": [], "cache": [], "api": ["db"], "web": ["api", "cache"], "docs": []}
DEPLOYED = Revision(1, "deployed", {})
CHANGE = Change(Action.UPDATE, ObjectName("v1", "ConfigMap", "here", "a"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    definitions = Definitions(tmp_path_factory.mktemp("platform"))
    definitions.chart()
    for key, needs in NEEDS.items():
        definitions.release(key, needs=needs)
    return definitions.load()


def plans_of(
    platform: Platform,
    key: str,
    reason: str = "",
    *,
    changes: tuple[Change, ...] = (),
    revision: Revision | None = DEPLOYED,
    content: tuple[ContentChange, ...] = (),
    error: CarbonError | None = None,
) -> Planned:
    plan = None if error else Plan(key, "d", changes, revision)
    return Planned(platform.components[key], Record(key), plan, content, reason, error)


def run(platform: Platform, *found: Planned, forced: set[str] | None = None) -> list[str]:
    looks = {key: plans_of(platform, key) for key in platform.order} | {one.component.key: one for one in found}
    return to_run(platform, looks, forced or set())


def test_where_nothing_is_to_do_nothing_is_run(platform: Platform) -> None:
    assert run(platform) == []


def test_what_changes_is_run_with_what_needs_it_in_order(platform: Platform) -> None:
    assert run(platform, plans_of(platform, "db", "1 object to change", changes=(CHANGE,))) == ["db", "api", "web"]


def test_what_is_not_installed_wakes_what_needs_it(platform: Platform) -> None:
    assert run(platform, plans_of(platform, "cache", "not installed", revision=None)) == ["cache", "web"]


def test_what_is_only_not_verified_wakes_nobody(platform: Platform) -> None:
    assert run(platform, plans_of(platform, "db", "never verified")) == ["db"]


def test_what_could_not_be_looked_at_is_run_with_what_needs_it(platform: Platform) -> None:
    assert run(platform, plans_of(platform, "api", "denied", error=CarbonError("denied"))) == ["api", "web"]


def test_what_a_person_redeploys_wakes_what_needs_it(platform: Platform) -> None:
    assert run(platform, forced={"api"}) == ["api", "web"]


def test_what_was_not_chosen_is_not_woken(platform: Platform) -> None:
    looks = {"db": plans_of(platform, "db", "not installed", revision=None), "api": plans_of(platform, "api")}
    assert to_run(platform, looks, set()) == ["db", "api"]


def test_images_are_those_of_every_pod_that_would_start_of_whatever_kind(platform: Platform) -> None:
    def change(kind: str, spec: dict[str, object]) -> Change:
        desired = {"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
        return Change(Action.DEFERRED, ObjectName("example.org/v1", kind, "here", "a"), desired=desired)

    pods = [{"spec": {"containers": [{"image": image}], "initContainers": [{"image": "wait"}]}} for image in "ab"]
    workload = change("Deployment", {"template": pods[0]})
    custom = change("Thing", {"groups": [{"template": pod} for pod in pods]})
    two = plans_of(platform, "web", changes=(custom, CHANGE))
    looks = {"db": plans_of(platform, "db", changes=(workload,)), "web": two}
    assert sorted(images_of(looks)) == ["a", "b", "wait"]


@given(st.dictionaries(st.sampled_from(sorted(NEEDS)), st.sampled_from(["", "unproven", "changes"])))
def test_a_run_is_in_order_and_has_everything_with_something_to_do(platform: Platform, told: dict[str, str]) -> None:
    looks = [plans_of(platform, k, r, changes=(CHANGE,) if r == "changes" else ()) for k, r in told.items()]
    todo = run(platform, *looks)
    assert {key for key, reason in told.items() if reason} <= set(todo)
    assert todo == [key for key in platform.order if key in todo]
    for key, reason in told.items():
        if reason == "changes":
            assert {other for other, needs in NEEDS.items() if key in needs} <= set(todo)
