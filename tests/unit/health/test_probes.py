"""A probe that fails is told with what it asked, what it was answered, and what follows."""

import datetime
from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.diagnosis import pod_cause
from tests.unit.health.pods import NOW, container, crashed, declared, event, pod, run, running, waiting

NOT_FOUND = "Liveness probe failed: HTTP probe failed with statuscode: 404"
LIVENESS = {"httpGet": {"path": "/helthz", "port": 8080}, "periodSeconds": 2, "failureThreshold": 2}
READINESS = {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTPS"}}


def quotes(*statuses: dict[str, Any], **probes: Any) -> Object:
    return pod(*statuses, phase="Running", spec=declared("quotes", **probes))


def restarted(times: int = 2, since: float = 8) -> dict[str, Any]:
    """It runs and is ready between two restarts."""
    return running(since, name="quotes", restartCount=times, lastState=run(since + 18, since + 1, 137))


def killed(about: Object, which: str = "liveness", last: float = 10, count: int = 2) -> Object:
    said = f"Container quotes failed {which} probe, will be restarted"
    return event(about, "Killing", said, count=count, last=last, container="quotes")


def unhealthy(about: Object, said: str = NOT_FOUND, last: float = 11) -> Object:
    return event(about, "Unhealthy", said, count=5, last=last, container="quotes")


def late(found: Object, *events: Object) -> Cause | None:
    return pod_cause(found, events, NOW, late=True)


def test_a_container_that_its_liveness_probe_restarts_is_told_though_it_is_ready_now() -> None:
    found = quotes(restarted(), livenessProbe=LIVENESS, readinessProbe=READINESS)
    cause = pod_cause(found, [unhealthy(found), killed(found)], NOW)
    assert cause is not None
    assert cause.kind is Kind.LIVENESS
    assert cause.why == (
        "the liveness probe of container quotes (HTTP GET /helthz on port 8080) fails: HTTP probe failed with"
        " statuscode: 404, so the kubelet restarts it, 2 times so far"
    )
    assert cause.fix == "correct the path of the liveness probe, or let the program answer there"
    assert cause.evidence == (NOT_FOUND,)


def test_the_kubelets_pause_after_such_restarts_is_no_crash_loop() -> None:
    pauses = waiting("CrashLoopBackOff", "back-off 20s restarting", name="quotes", restartCount=2)
    found = quotes(pauses | {"lastState": run(27, 9, 137)}, livenessProbe=LIVENESS)
    cause = pod_cause(found, [unhealthy(found), killed(found)], NOW)
    assert cause is not None
    assert cause.kind is Kind.LIVENESS


def test_one_restart_for_a_liveness_probe_may_be_an_accident_and_is_told_late() -> None:
    found = quotes(restarted(1), livenessProbe=LIVENESS)
    events = [unhealthy(found), killed(found, count=1)]
    assert pod_cause(found, events, NOW) is None
    told = late(found, *events)
    assert told is not None
    assert told.kind is Kind.LIVENESS


def test_a_container_that_outlived_what_its_liveness_probe_ended_is_well() -> None:
    found = quotes(restarted(3, since=60), livenessProbe=LIVENESS)
    assert late(found, unhealthy(found, last=62), killed(found, last=62)) is None


def test_a_crash_that_no_probe_asked_for_is_a_crash() -> None:
    found = quotes(crashed(3, name="quotes"), livenessProbe=LIVENESS)
    cause = pod_cause(found, [unhealthy(found)], NOW)
    assert cause is not None
    assert cause.kind is Kind.CRASH_LOOP


def test_the_probe_of_another_container_of_the_pod_is_not_its_own() -> None:
    found = quotes(restarted())
    found["spec"]["containers"].append({"name": "agent"})
    other = event(found, "Killing", "Container agent failed liveness probe, will be restarted", last=10)
    assert pod_cause(found, [other], NOW) is None


def test_a_startup_probe_that_never_passes_is_told_as_that() -> None:
    probe = {"tcpSocket": {"port": 5432}}
    found = quotes(restarted() | {"ready": False, "started": False}, startupProbe=probe)
    refused = "Startup probe failed: dial tcp 10.244.0.9:5432: connect: connection refused"
    cause = pod_cause(found, [unhealthy(found, refused), killed(found, "startup")], NOW)
    assert cause is not None
    assert cause.kind is Kind.STARTUP
    assert "(TCP port 5432) fails: dial tcp 10.244.0.9:5432: connect: connection refused" in cause.why
    assert "correct the port of the startup probe" in cause.fix


def unready(**found: Any) -> dict[str, Any]:
    return running(30, name="quotes") | {"ready": False} | found


def test_a_readiness_probe_that_fails_is_told_to_who_waits_no_longer() -> None:
    found = quotes(unready(), readinessProbe=READINESS)
    said = (
        'Readiness probe failed: Get "https://10.244.0.9:8443/ready": http: server gave HTTP response to HTTPS client'
    )
    assert pod_cause(found, [unhealthy(found, said)], NOW) is None, "it may pass"
    cause = late(found, unhealthy(found, said))
    assert cause is not None
    assert cause.kind is Kind.READINESS
    assert "(HTTPS GET /ready on port http)" in cause.why
    assert "correct the scheme of the readiness probe" in cause.fix


def test_what_a_probe_said_of_the_run_before_is_over() -> None:
    found = quotes(unready(), readinessProbe=READINESS)
    cause = late(found, unhealthy(found, "Readiness probe failed: HTTP probe failed with statuscode: 500", last=31))
    assert cause is not None
    assert cause.why.endswith("has not passed")
    assert cause.evidence == ()


def test_a_container_that_nothing_asks_is_not_unready_for_a_probe() -> None:
    assert late(quotes(unready())) is None


def test_the_arguments_of_a_command_are_not_told() -> None:
    probe = {"exec": {"command": ["psql", "--password=hunter2"]}}
    cause = late(quotes(unready(), readinessProbe=probe))
    assert cause is not None
    assert "(command psql)" in cause.why
    assert "hunter2" not in f"{cause} {cause.fix} {cause.evidence}"


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        ("HTTP probe failed with statuscode: 401", "needs no login"),
        ("HTTP probe failed with statuscode: 503", "mend what the program's log says"),
        ("HTTP probe failed with statuscode: 302", "correct what the liveness probe asks for"),
        ('Get "http://10.0.0.1/": context deadline exceeded (Client.Timeout exceeded)', "raise timeoutSeconds"),
        ("dial tcp 10.0.0.1:1: connect: connection refused", "startup probe"),
        ("something else", "log of the container"),
    ],
)
def test_the_fix_follows_from_the_answer(answer: str, fix: str) -> None:
    found = quotes(restarted(), livenessProbe=LIVENESS)
    cause = pod_cause(found, [unhealthy(found, f"Liveness probe failed: {answer}"), killed(found)], NOW)
    assert cause is not None
    assert fix in cause.fix


def test_a_kill_long_before_the_last_end_was_for_something_else() -> None:
    found = quotes(crashed(3, name="quotes") | {"lastState": run(30, 20)}, livenessProbe=LIVENESS)
    once = killed(found, last=300, count=1)
    cause = pod_cause(found, [once], NOW)
    assert cause is not None
    assert cause.kind is Kind.CRASH_LOOP
    assert pod_cause(quotes(container(name="quotes")), [once], NOW + datetime.timedelta(days=1)) is None
