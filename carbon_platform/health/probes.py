"""What the kubelet's probes of a container say: what they ask, what they are answered, what follows. Pure."""

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health import events as told
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.wording import counted

Probe = Mapping[str, Any]
"""A probe as a pod's spec has it."""
STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"
_KINDS = {STARTUP: Kind.STARTUP, READINESS: Kind.READINESS, LIVENESS: Kind.LIVENESS}
_FAILED = re.compile(r"\b(Startup|Readiness|Liveness) probe (?:failed|errored)[^:]*:\s*(.*)", re.DOTALL)
_RESTARTED_FOR = re.compile(r"Container (?P<name>\S+) failed (?P<which>liveness|startup) probe")
_SECOND = datetime.timedelta(seconds=1)
"""Times of the API are whole seconds."""
_FIXES = (
    (r"statuscode: 404", "correct the path of the {which} probe, or let the program answer there"),
    (r"statuscode: 40[13]", "let the {which} probe ask for a path that needs no login"),
    (r"statuscode: 5", "mend what the program's log says it is not well for, or correct what the {which} probe asks"),
    (r"statuscode: ", "correct what the {which} probe asks for"),
    (r"connection refused", "correct the port of the {which} probe, or let the program listen there"),
    (
        r"timeout|timed out|deadline exceeded",
        "raise timeoutSeconds of the {which} probe, or end what keeps the program busy",
    ),
    (r"HTTP response to HTTPS|malformed HTTP|tls:|x509", "correct the scheme of the {which} probe"),
    (r"executable file not found|no such file", "correct the command of the {which} probe"),
)
_SLOW_START = "; a start that takes long wants a startup probe"


def probe_of(pod: Object, container: str, which: str) -> Probe | None:
    """A probe of a container; None where the spec has none."""
    found: Probe | None = spec_of(pod, container).get(f"{which}Probe")
    return found


def spec_of(pod: Object, container: str) -> Mapping[str, Any]:
    """What the pod's spec says of one of its containers; empty where it says nothing."""
    spec = pod.get("spec") or {}
    every = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return next((one for one in every if one.get("name") == container), {})


def failure(which: str, container: str, pod: Object, events: Iterable[Object]) -> Object | None:
    """The event in which a probe of the container was last told to fail, or None."""
    found = [
        event
        for event in told.of_reason(events, "Unhealthy")
        if (match := _FAILED.search(told.message(event)))
        and match[1].lower() == which
        and _of_container(event, container, pod)
    ]
    return max(found, key=told.last, default=None)


def _of_container(event: Object, container: str, pod: Object) -> bool:
    field = str((event.get("involvedObject") or {}).get("fieldPath") or "")
    if field:
        return field.endswith(f"{{{container}}}")
    return len((pod.get("spec") or {}).get("containers") or ()) < 2


def ended_by(status: Mapping[str, Any], pod: Object, events: Sequence[Object]) -> str:
    """The probe for which the kubelet ended the last run of a container; empty when it was something else."""
    run = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    began, ended = told.moment(run.get("startedAt")), told.moment(run.get("finishedAt"))
    for event in told.of_reason(events, "Killing"):
        match = _RESTARTED_FOR.search(told.message(event))
        if match and match["name"].strip('"') == status.get("name") and began and ended:
            if began <= told.last(event) <= ended + _SECOND:
                return match["which"]
            # An event is told of once in a while where it repeats: the kubelet has done this to the container before.
            if told.count(event) > 1 and failure(match["which"], str(status.get("name")), pod, events):
                return match["which"]
    return ""


def ending(which: str, status: Mapping[str, Any], pod: Object, events: Sequence[Object]) -> Cause:
    """The cause for which the kubelet restarts a container again and again: this probe of it fails."""
    number = status.get("restartCount") or 0
    times = f"{counted(number, 'time')} so far"
    return _cause(which, status, pod, events, f", so the kubelet restarts it, {times}")


def waited_for(status: Mapping[str, Any], pod: Object, events: Sequence[Object]) -> Cause | None:
    """The cause for which a container that runs is not ready: a probe of it has not passed. It may, in a while."""
    running = (status.get("state") or {}).get("running")
    if not isinstance(running, Mapping) or status.get("ready"):
        return None
    which = STARTUP if status.get("started") is False else READINESS
    if probe_of(pod, str(status.get("name")), which) is None:
        return None
    since = told.moment(running.get("startedAt")) or told.NEVER
    recent = [event for event in events if told.last(event) >= since]
    return _cause(which, status, pod, recent, "")


def _cause(which: str, status: Mapping[str, Any], pod: Object, events: Sequence[Object], then: str) -> Cause:
    container = str(status.get("name"))
    event = failure(which, container, pod, events)
    said = _FAILED.search(told.message(event)) if event else None
    answer = " ".join(said[2].split()) if said else ""
    result = f"fails: {answer}" if answer else "has not passed"
    why = f"the {which} probe of container {container}{_asks(which, container, pod)} {result}{then}"
    return Cause(_KINDS[which], ObjectName.of(pod), why, _fix(which, answer), (told.message(event),) if event else ())


def _fix(which: str, answer: str) -> str:
    fix = next((fix for said, fix in _FIXES if re.search(said, answer, re.IGNORECASE)), "")
    fix = fix or "correct what the {which} probe asks, or what the log of the container says"
    slow = which == LIVENESS and re.search(r"refused|timeout|deadline", answer)
    return fix.replace("{which}", which) + (_SLOW_START if slow else "")


def _asks(which: str, container: str, pod: Object) -> str:
    """What the probe asks, in parentheses. Of a command only the program: its arguments may be anything."""
    probe = probe_of(pod, container, which) or {}
    http, tcp, grpc, command = (probe.get(how) for how in ("httpGet", "tcpSocket", "grpc", "exec"))
    if isinstance(http, Mapping):
        scheme = str(http.get("scheme") or "HTTP")
        return f" ({scheme} GET {http.get('path') or '/'} on port {http.get('port')})"
    if isinstance(tcp, Mapping):
        return f" (TCP port {tcp.get('port')})"
    if isinstance(grpc, Mapping):
        return f" (gRPC port {grpc.get('port')})"
    if isinstance(command, Mapping):
        return f" (command {next(iter(command.get('command') or ()), '')})"
    return ""
