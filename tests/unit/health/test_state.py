"""The state of a component, from what is seen of it and remembered."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.health.state import Sight, State, blocked_need, state
from carbon_platform.records import CheckResult, Record, current, stale_because

BEFORE, THEN, NOW, LATER = "2026-01-01T10", "2026-01-01T11", "2026-01-01T12", "2026-01-01T13"
PASSED, FAILED = CheckResult("ready", True, "fine", NOW), CheckResult("query", False, "no answer", NOW)
HERE = Sight(installed=True, writer=None, unready=())
PROVEN = Record("app", "d", "c", 1, changed_at=THEN, verified_at=NOW, checks=(PASSED,))


def told(
    sight: Sight | None = HERE, record: Record = PROVEN, needs: dict[str, Record] | None = None
) -> tuple[str, str]:
    found, reason = state(sight, record, "d", "c", needs or {})
    return found.value, reason


def but(base: Record = PROVEN, **changed: object) -> Record:
    return dataclasses.replace(base, **changed)


def seen(**changed: object) -> Sight:
    return dataclasses.replace(HERE, **changed)


NOTHING = Record("app")
APPLIED = Record("app", "d", changed_at=THEN)
BROKEN = but(failed_at=LATER, failure="Deployment here/app can't become ready")

STATES = {
    "the cluster is away": (None, PROVEN, {}, "unknown", "can't be reached"),
    "nobody knows anything": (seen(installed=False), NOTHING, {}, "absent", "not installed"),
    "somebody uninstalled it": (seen(installed=False), PROVEN, {}, "absent", "not installed"),
    "somebody is at work on it": (seen(writer="host_1", unready=("x",)), BROKEN, {}, "deploying", "host_1 is at work"),
    "a need is missing": (seen(installed=False), but(BROKEN, blocked=True), {}, "blocked", "can't become ready"),
    "a need is missing on an upgrade": (HERE, but(BROKEN, blocked=True), {}, "blocked", "can't become ready"),
    "its first installation failed": (seen(installed=False), BROKEN, {}, "failed", "can't become ready"),
    "it did not become ready": (seen(unready=("x",)), BROKEN, {}, "failed", "can't become ready"),
    "it failed before it was verified": (HERE, but(failed_at=THEN, failure="x"), {}, "verified", "1 check passed"),
    "it is scaled to nothing": (seen(wanted_pods=False), PROVEN, {}, "off", "on purpose"),
    "it is scaled to nothing and was never verified": (seen(wanted_pods=False), APPLIED, {}, "off", "on purpose"),
    "its pods are not there yet": (seen(unready=("a: 0/1",)), APPLIED, {}, "deployed", "a: 0/1"),
    "its pods went away": (seen(unready=("a: 0/1", "b: 1/2")), PROVEN, {}, "degraded", "a: 0/1; b: 1/2"),
    "its checks never ran": (HERE, APPLIED, {}, "ready", "have not run yet"),
    "its first checks failed": (HERE, but(APPLIED, checks=(PASSED, FAILED)), {}, "ready", "query: no answer"),
    "a check fails now": (HERE, but(checks=(PASSED, FAILED)), {}, "degraded", "query: no answer"),
    "it changed since": (HERE, but(changed_at=LATER), {}, "stale", "its definition or its release changed"),
    "its definition changed since": (HERE, but(digest="other"), {}, "stale", "its definition or its release changed"),
    "its checks changed since": (HERE, but(checks_digest="other"), {}, "stale", "its definition or its release"),
    "a need changed since": (HERE, PROVEN, {"db": but(changed_at=LATER)}, "stale", "verified before db changed"),
    "a need changed before": (HERE, PROVEN, {"db": but(changed_at=NOW)}, "verified", "1 check passed"),
    "a need is not known": (HERE, PROVEN, {"db": Record("db")}, "verified", "1 check passed"),
}


@pytest.mark.parametrize(("sight", "record", "needs", "wanted", "why"), STATES.values(), ids=STATES.keys())
def test_a_component_has_a_state_and_a_reason(
    sight: Sight | None, record: Record, needs: dict[str, Record], wanted: str, why: str
) -> None:
    found, reason = told(sight, record, needs)
    assert found == wanted
    assert why in reason


TIMES = st.sampled_from(["", BEFORE, THEN, NOW, LATER])
RECORDS = st.builds(
    Record,
    component=st.just("app"),
    digest=st.sampled_from(["d", "other", ""]),
    checks_digest=st.sampled_from(["c", "other", ""]),
    revision=st.none() | st.integers(1, 3),
    changed_at=TIMES,
    verified_at=TIMES,
    failed_at=TIMES,
    failure=st.sampled_from(["", "broke"]),
    blocked=st.booleans(),
    checks=st.lists(st.sampled_from([PASSED, FAILED]), max_size=3).map(tuple),
)
SIGHTS = st.builds(
    Sight,
    installed=st.booleans(),
    writer=st.none() | st.just("host_1"),
    unready=st.sampled_from([(), ("a: 0/1",)]),
    wanted_pods=st.booleans(),
)
NEEDS = st.dictionaries(st.sampled_from(["db", "cache"]), RECORDS)


@given(st.none() | SIGHTS, RECORDS, NEEDS)
def test_verified_means_that_everything_says_so(sight: Sight | None, record: Record, needs: dict[str, Record]) -> None:
    found, reason = state(sight, record, "d", "c", needs)
    proven = (
        sight is not None
        and sight.installed
        and sight.writer is None
        and not sight.unready
        and sight.wanted_pods
        and record.verified_at != ""
        and record.digest == "d"
        and record.checks_digest == "c"
        and all(check.passed for check in record.checks)
        and record.verified_at >= record.changed_at
        and record.verified_at >= record.failed_at
        and all(record.verified_at >= need.changed_at for need in needs.values())
    )
    assert (found is State.VERIFIED) == proven
    assert reason


@given(SIGHTS, RECORDS, NEEDS)
def test_only_a_cluster_that_is_away_is_unknown(sight: Sight, record: Record, needs: dict[str, Record]) -> None:
    assert state(sight, record, "d", "c", needs)[0] is not State.UNKNOWN
    assert state(None, record, "d", "c", needs)[0] is State.UNKNOWN


@given(RECORDS)
def test_a_record_is_current_only_after_its_last_change_and_failure(record: Record) -> None:
    found = current(record, "d", "c")
    if found:
        assert record.verified_at >= max(record.changed_at, record.failed_at)
        assert not current(dataclasses.replace(record, changed_at="9"), "d", "c")
        assert not current(dataclasses.replace(record, failed_at="9"), "d", "c")
        assert not current(dataclasses.replace(record, checks=(FAILED,)), "d", "c")
    assert not current(record, "another", "c")
    assert not current(record, "d", "another")


@given(RECORDS, NEEDS)
def test_stale_names_a_need_that_changed_later(record: Record, needs: dict[str, Record]) -> None:
    because = stale_because(record, needs)
    if because is None:
        assert all(need.changed_at <= record.verified_at for need in needs.values())
    else:
        assert needs[because].changed_at > record.verified_at


FAILS_BLOCKED = Record("db", failed_at=LATER, failure="no image", blocked=True)
GRAPH = {"db": (), "api": ("db",), "web": ("api",), "other": ()}
BELOW: dict[str, tuple[dict[str, Record], dict[str, str]]] = {
    "nothing is blocked": ({}, {"api": "", "web": ""}),
    "what it needs is": ({"db": FAILS_BLOCKED}, {"api": "db", "web": "api"}),
    "it was, and works by now": ({"db": but(FAILS_BLOCKED, verified_at="9")}, {"api": "", "web": ""}),
    "it failed for another reason": ({"db": but(FAILS_BLOCKED, blocked=False)}, {"api": "", "web": ""}),
    "one between was deployed before": (
        {"db": FAILS_BLOCKED, "api": Record("api", changed_at=THEN)},
        {"api": "db", "web": ""},
    ),
    "one between failed by itself": (
        {"db": FAILS_BLOCKED, "api": Record("api", failed_at=NOW, failure="x")},
        {"api": "db", "web": ""},
    ),
}


@pytest.mark.parametrize(("records", "waits_for"), BELOW.values(), ids=BELOW.keys())
def test_what_needs_something_blocked_is_blocked_however_far_away(
    records: dict[str, Record], waits_for: dict[str, str]
) -> None:
    assert {key: blocked_need(key, GRAPH, records) for key in waits_for} == waits_for
    assert blocked_need("other", GRAPH, records) == ""
    need = waits_for["web"]
    found, reason = state(seen(installed=False), Record("web"), "d", "c", {}, need)
    assert (found.value, reason) == (
        ("blocked", f"it needs {need}, which is blocked") if need else ("absent", "not installed")
    )
