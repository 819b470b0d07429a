"""Why a container does not run: its image, what it needs to be created, its command, and how it ends. Pure."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health import events as told
from carbon_platform.health import probes
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.wording import counted

ContainerStatus = Mapping[str, Any]
"""What the kubelet says of a container in the status of its pod."""
_CRASHES = 2
"""Restarts of a container after which its crash is no accident of starting in the wrong order."""
_DIED_WITH_THE_NODE = frozenset({"Unknown", "ContainerStatusUnknown"})
"""What the kubelet says of containers that were gone when it, or their runtime, came back."""
_NO_LOOP_SECONDS = 60
"""A container that ran for so long before it crashed is not in a loop yet."""
_SLOW_LOOP_SECONDS = 600
"""Nor, for what the kubelet itself ends, after so long: it forgets what was before, and counts its pauses anew."""
_FIRST_PAUSE = re.compile(r"\bback-off 10s\b")
"""What the kubelet says of a container that crashed again, and had not for a while before: it may well come up now."""
MARGIN_SECONDS = 5.0
"""So much longer than before: times of the API are whole seconds, and what a container waits for is never exact."""
_PULLS = 4
"""Failure events of an image pull (two for each try) after which the reason is no passing one."""
_PULL_HOPELESS = re.compile(
    r"not found|does not exist|no such (host|image)|manifest unknown|unauthorized|authorization failed|denied"
    r"|forbidden|invalid reference|connection refused|not present with pull policy",
    re.IGNORECASE,
)
_PASSES = re.compile(r"failed to sync (?:secret|configmap) cache")
"""The kubelet has not read it yet, and tries again."""
_CANT_START = re.compile(r"executable file not found|no such file or directory|permission denied|exec format error")
_MISSING = (
    (
        re.compile(r"(?:couldn't find key|references non-existent (?:secret|config) key:?) (\S+)"),
        Kind.KEY,
        "add key {0}, or correct its name",
    ),
    (re.compile(r"secrets? \"([^\"]+)\" not found"), Kind.SECRET, "create Secret {0}, or correct its name"),
    (re.compile(r"configmaps? \"([^\"]+)\" not found"), Kind.CONFIG_MAP, "create ConfigMap {0}, or correct its name"),
    (
        re.compile(r"exec: \"([^\"]+)\": executable file not found"),
        Kind.COMMAND,
        "correct command {0}, or take an image that has it",
    ),
    (
        re.compile(r"runAsNonRoot"),
        Kind.CONFIGURATION,
        "set runAsUser to a number that is not 0, or take an image whose user is one",
    ),
)
_EXITS = {
    126: "a command that can't be executed",
    127: "a command that was not found",
    134: "SIGABRT",
    137: "SIGKILL",
    139: "SIGSEGV",
    143: "SIGTERM",
}


def container_cause(
    pod: Object, status: ContainerStatus, events: Sequence[Object], now: datetime.datetime, *, late: bool
) -> Cause | None:
    """The cause for which a container does not run, or not for long; `events` are the pod's.

    Only what does not pass by itself; with `late` also what may.
    """
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        return _image(pod, status, reason, said, events)
    if reason in {"CreateContainerConfigError", "CreateContainerError"}:
        return _not_created(pod, status, said)
    return (
        _command(pod, status, said)
        or _ended_by_a_probe(pod, status, events, now, late=late)
        or _crash(pod, status, reason, said, now, late=late)
        or (probes.waited_for(status, pod, events) if late else None)
    )


def missing(said: str, otherwise: Kind) -> tuple[Kind, str, str]:
    """What the kubelet misses before it can start a container, what would help, and the name of what is missing."""
    for pattern, kind, fix in _MISSING:
        match = pattern.search(said)
        if match:
            subject = match[1] if match.groups() else ""
            return kind, fix.replace("{0}", subject), subject
    return otherwise, "correct in the pod what the message names", ""


def _not_created(pod: Object, status: ContainerStatus, said: str) -> Cause | None:
    if _PASSES.search(said):
        return None
    kind, fix, subject = missing(said, Kind.CONFIGURATION)
    why = f"container {status.get('name')} can't be created: {said}"
    return Cause(kind, ObjectName.of(pod), why, fix, (said,), subject)


def _image(pod: Object, status: ContainerStatus, reason: str, said: str, events: Sequence[Object]) -> Cause | None:
    tried = [told.message(event) for event in told.of_reason(events, "Failed", "InspectFailed")]
    story = next((text for text in [said, *tried] if _PULL_HOPELESS.search(text)), "")
    hopeless = reason in {"InvalidImageName", "ErrImageNeverPull"} or told.times(events, "Failed") >= _PULLS
    if not story and not hopeless:
        return None
    fix = "correct the image's name and tag, or make it available on the node or in a registry it reaches"
    why = f"image {status.get('image')} of container {status.get('name')} can't be pulled"
    evidence = (story or max(tried, key=len, default=said),)
    return Cause(Kind.IMAGE, ObjectName.of(pod), why, fix, evidence, str(status.get("image")))


def last_run(status: ContainerStatus) -> Mapping[str, Any]:
    """The last run of a container that has ended; empty when none has."""
    state, before = status.get("state") or {}, status.get("lastState") or {}
    return state.get("terminated") or before.get("terminated") or {}


def lasted(run: Mapping[str, Any]) -> float:
    """Seconds between the start and the end of a run; 0 when they are not told."""
    began, ended = told.moment(run.get("startedAt")), told.moment(run.get("finishedAt"))
    return (ended - began).total_seconds() if began and ended else 0.0


def died_with_the_node(run: Mapping[str, Any]) -> bool:
    """True for a run that ended because its node, or the container runtime of it, did: that is no crash."""
    return run.get("reason") in _DIED_WITH_THE_NODE


def ran(status: ContainerStatus, now: datetime.datetime) -> float | None:
    """Seconds for which the container runs by now; None when it does not."""
    running = (status.get("state") or {}).get("running")
    return told.age(running.get("startedAt"), now) if isinstance(running, Mapping) else None


def outlived(status: ContainerStatus, now: datetime.datetime) -> bool:
    """True when the container runs for longer than it did before it was last restarted: what ended it then is over."""
    seconds = ran(status, now)
    return seconds is not None and (not last_run(status) or seconds > lasted(last_run(status)) + MARGIN_SECONDS)


def _down(status: ContainerStatus) -> bool:
    """True when it has ended, and does not run again yet."""
    state = status.get("state") or {}
    return bool(state.get("terminated")) or (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"


def _command(pod: Object, status: ContainerStatus, said: str) -> Cause | None:
    run, state = last_run(status), status.get("state") or {}
    waits = (state.get("waiting") or {}).get("reason") == "RunContainerError"
    if not waits and not (_down(status) and run.get("reason") in {"StartError", "ContainerCannotRun"}):
        return None
    text = next((text for text in (said, str(run.get("message") or "")) if _CANT_START.search(text)), "")
    if not text or ("no such file" in text and not status.get("restartCount")):
        return None
    fix = "correct the command, or take an image that has it"
    if "exec format error" in text:
        fix = "take an image for the architecture of the node"
    why = f"the command of container {status.get('name')} can't be run: {text}"
    return Cause(Kind.COMMAND, ObjectName.of(pod), why, fix, (text,))


def _ended_by_a_probe(
    pod: Object, status: ContainerStatus, events: Sequence[Object], now: datetime.datetime, *, late: bool
) -> Cause | None:
    ends = (status.get("restartCount") or 0) + _down(status)
    if ends < (1 if late else _CRASHES) or lasted(last_run(status)) > _SLOW_LOOP_SECONDS or outlived(status, now):
        return None
    which = probes.ended_by(status, pod, events)
    return probes.ending(which, status, pod, events) if which else None


def _crash(
    pod: Object, status: ContainerStatus, waiting: str, said: str, now: datetime.datetime, *, late: bool
) -> Cause | None:
    run, number = last_run(status), status.get("restartCount") or 0
    if not run or died_with_the_node(run) or status.get("ready"):
        return None
    if late and (not number or outlived(status, now)):
        return None
    # Restarts are counted for the life of the pod, but the pause starts anew after ten minutes without a crash.
    before = (status.get("lastState") or {}).get("terminated") or {}
    first = _FIRST_PAUSE.search(said) or (not waiting and lasted(before) > _NO_LOOP_SECONDS)
    if not late and (number < _CRASHES or not _down(status) or first):
        return None
    times = counted(number, "time")
    name, who = ObjectName.of(pod), f"container {status.get('name')}"
    if run.get("reason") == "OOMKilled":
        limits = (probes.spec_of(pod, str(status.get("name"))).get("resources") or {}).get("limits") or {}
        limit = f"its limit of {limits['memory']}" if "memory" in limits else "the node could give it"
        why = f"{who} was killed {times} for using more memory than {limit}"
        fix = f"raise the memory limit of {who}, or make it use less"
        fix = fix if "memory" in limits else f"give {who} a memory request"
        return Cause(Kind.OUT_OF_MEMORY, name, why, fix)
    code = run.get("exitCode")
    meaning = f" ({_EXITS[code]})" if code in _EXITS else ""
    why = f"{who} ended with exit code {code}{meaning} and was restarted {times}"
    log = f"kubectl logs {name.name} -n {name.namespace} -c {status.get('name')} --previous"
    fix = f"correct what its last log lines name ({log}): the values, or what it depends on"
    return Cause(Kind.CRASH_LOOP, name, why, fix)
