"""Ready means steady: a container has to show that it stays, for as long as its own evidence asks."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.steadiness import unproven, unsteady
from tests.unit.health.pods import NOW, ago, container, crashed, declared, event, pod, run, running

LIVENESS = {"httpGet": {"path": "/live", "port": 80}, "initialDelaySeconds": 12, "periodSeconds": 2}
READINESS = {"httpGet": {"path": "/ready", "port": 80}}
DAYS = 86400.0 * 40


def one(status: dict[str, Any], **probes: Any) -> Object:
    return pod(status, phase="Running", spec=declared(**probes))


def left(found: Object, *events: Object) -> float:
    """Seconds for which it has to run on; 0 when it has shown that it stays."""
    return max((one.needs - one.seconds for one in unproven([found], events, NOW)), default=0.0)


@pytest.mark.parametrize(("runs", "seconds"), [(0, 10), (4, 6), (9, 1), (10, 0), (DAYS, 0)])
def test_a_container_that_nothing_asks_has_to_outlive_the_kubelets_first_pause(runs: float, seconds: float) -> None:
    assert left(one(running(runs))) == seconds


def test_what_is_asked_and_answers_has_to_show_nothing_more() -> None:
    assert left(one(running(0), readinessProbe=READINESS)) == 0
    assert left(one(running(0), startupProbe=READINESS)) == 0
    assert left(one(running(0), startupProbe=READINESS, livenessProbe=LIVENESS)) == 0
    assert left(one(running(0), readinessProbe=READINESS, livenessProbe=READINESS | {"periodSeconds": 30})) == 0


def test_what_only_the_liveness_probe_asks_has_to_be_asked_once() -> None:
    for probes in ({"livenessProbe": LIVENESS}, {"livenessProbe": LIVENESS, "readinessProbe": READINESS}):
        assert left(one(running(0), **probes)) == 12 + 2 + 1 + 1
        assert left(one(running(15), **probes)) == 1
        assert left(one(running(16), **probes)) == 0


def test_a_liveness_probe_that_has_failed_has_to_be_asked_again() -> None:
    found = one(running(17), readinessProbe=READINESS, livenessProbe=LIVENESS)
    failed = event(found, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404", last=1)
    before = event(found, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404", last=18)
    assert left(found, failed) == 3
    assert left(found, before) == 0, "that was the run before"


def test_a_first_question_that_comes_late_is_not_waited_for() -> None:
    assert left(one(running(0), livenessProbe=LIVENESS | {"initialDelaySeconds": 600})) == 60


@pytest.mark.parametrize(("runs", "steady"), [(3, False), (20, False), (22, True), (DAYS, True)])
def test_a_container_that_was_restarted_has_to_outlive_what_it_survived_before(runs: float, steady: bool) -> None:
    status = running(runs, restartCount=1, lastState=run(runs + 17, runs + 1))
    for probes in ({}, {"readinessProbe": READINESS}, {"startupProbe": READINESS, "livenessProbe": LIVENESS}):
        assert (left(one(status, **probes)) == 0) == steady


def test_a_restart_after_a_long_run_is_no_loop() -> None:
    status = running(0, restartCount=1, lastState=run(DAYS, 1))
    assert left(one(status, readinessProbe=READINESS)) == 0


def test_a_container_that_is_down_has_shown_nothing() -> None:
    assert unproven([one(crashed(1) | {"lastState": run(9, 8)})], [], NOW)


def test_a_container_of_a_simulated_node_is_run_by_nobody_and_can_not_end() -> None:
    simulated = container(state={"running": {"startedAt": ago(0)}}, started=True)
    assert left(one(simulated)) == 0
    assert left(one(simulated, livenessProbe=LIVENESS)) == 0


def test_a_pod_that_is_done_or_goes_is_not_asked() -> None:
    done, going = one(running(0)), one(running(0))
    done["status"]["phase"] = "Succeeded"
    going["metadata"]["deletionTimestamp"] = ago(1)
    assert unproven([done, going], [], NOW) == []


def test_a_sidecar_is_asked_and_an_init_container_is_not() -> None:
    spec = declared(readinessProbe=READINESS) | {"initContainers": [{"name": "proxy"}, {"name": "schema"}]}
    spec["initContainers"][0]["restartPolicy"] = "Always"
    found = pod(running(20), init=(running(3, name="proxy"), running(3, name="schema")), spec=spec)
    assert [run.container for run in unproven([found], [], NOW)] == ["proxy"]


def test_what_has_to_run_on_is_told_with_why() -> None:
    (first,) = unproven([one(running(1, restartCount=1, lastState=run(9, 2)), readinessProbe=READINESS)], [], NOW)
    assert str(first) == "container main of pod app-7d4b9-x2x4k has to run on: it ended after 7 s the last time"


# Who looks next

LONG_AGO = NOW - datetime.timedelta(days=9)


def looping(runs: float, lasted: float, times: int = 4) -> Object:
    """It runs, and is ready, between two restarts."""
    return one(running(runs, restartCount=times, lastState=run(runs + 1 + lasted, runs + 1, 137)), **{})


def test_a_container_between_two_restarts_is_told_by_who_looks_then() -> None:
    (told,) = unsteady([looping(8, 17)], LONG_AGO, NOW)
    assert told == "container main of pod app-7d4b9-x2x4k was restarted 4 times, last after 17 s (Error)"
    assert unsteady([looping(200, 300)], LONG_AGO, NOW), "a slow loop is one as well"


def test_a_container_that_outlived_its_crashes_is_steady() -> None:
    assert unsteady([looping(23, 17)], LONG_AGO, NOW) == []


def test_a_single_restart_or_one_after_a_long_run_is_an_accident() -> None:
    assert unsteady([looping(3, 17, times=1)], LONG_AGO, NOW) == []
    assert unsteady([looping(3, 3600)], LONG_AGO, NOW) == []


def test_restarts_from_before_the_last_change_are_over() -> None:
    assert unsteady([looping(3, 17)], NOW - datetime.timedelta(seconds=2), NOW) == []
    assert unsteady([looping(3, 17)], NOW - datetime.timedelta(seconds=10), NOW) != []


def test_what_died_with_its_node_did_not_crash() -> None:
    """A node that was restarted twice within ten minutes: every container of it ended twice, and none by itself."""
    died = run(49, 9, 255, "Unknown")
    found = one(running(1, restartCount=2, lastState=died), readinessProbe=READINESS)
    assert unsteady([found], LONG_AGO, NOW) == []
    assert left(found) == 0


ENDS = st.none() | st.builds(lambda began, lasted: run(began + lasted, began), st.floats(0, 900), st.floats(0, 900))


@given(st.floats(0, 900), ENDS, st.integers(0, 9), st.booleans(), st.booleans())
def test_what_runs_for_days_costs_no_wait_whatever_it_was_before(
    runs: float, before: dict[str, Any] | None, times: int, readiness: bool, liveness: bool
) -> None:
    probes = ({"readinessProbe": READINESS} if readiness else {}) | ({"livenessProbe": LIVENESS} if liveness else {})
    status = running(runs + DAYS, restartCount=times, lastState=before or {})
    assert unproven([one(status, **probes)], [], NOW) == []
    assert unsteady([one(status, **probes)], LONG_AGO, NOW) == []


@given(st.floats(0, 90), ENDS, st.integers(0, 9), st.booleans(), st.booleans())
def test_every_wait_for_a_run_without_failures_ends_within_the_bound(
    runs: float, before: dict[str, Any] | None, times: int, readiness: bool, liveness: bool
) -> None:
    probes = ({"readinessProbe": READINESS} if readiness else {}) | ({"livenessProbe": LIVENESS} if liveness else {})
    status = running(runs, restartCount=times, lastState=before or {})
    assert left(one(status, **probes)) <= 66
