"""Ready means steady: which containers have not shown yet that they stay. Pure.

A container without a readiness probe counts as ready as soon as it runs, and so does one between two restarts. How
long it has to run on before that counts is asked of its own evidence: what it survived before, and when its liveness
probe has spoken.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carbon_platform.cluster.reach import Object
from carbon_platform.health import events as told
from carbon_platform.health import probes
from carbon_platform.health.containers import (
    MARGIN_SECONDS,
    ContainerStatus,
    died_with_the_node,
    last_run,
    lasted,
    outlived,
    ran,
)

_UNPROBED_SECONDS = 10.0
"""For a container that nothing asks. The kubelet's first pause before it starts one again that ended is as long: what
outlives it is seen running for longer than it would be seen waiting."""
_LONGEST_SECONDS = 60.0
"""Neither a first question that comes later than this nor a crash after a longer run is waited for: whoever looks next
tells of it."""
_FORGOTTEN_SECONDS = 600.0
"""After a run of this length the kubelet counts its pauses anew (MaxContainerBackOff): what was before is over."""
_SLACK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Run:
    """The present run of a container that has to last a while longer before its being ready counts."""

    pod: str
    container: str
    began: str
    """As the kubelet tells it."""
    seconds: float
    """For which it runs, by the node's clock; 0 when it is down."""
    needs: float
    """Seconds for which it has to run."""
    why: str

    def __str__(self) -> str:
        return f"container {self.container} of pod {self.pod} has to run on: {self.why}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Which run of which container."""
        return self.pod, self.container, self.began


def unproven(pods: Iterable[Object], events: Sequence[Object], now: datetime.datetime) -> list[Run]:
    """The runs of the pods' containers that have not lasted long enough yet. `events`: those of the namespace."""
    found = []
    for pod in pods:
        if not stays(pod):
            continue
        for status in _statuses(pod):
            run = _run(pod, status, events, now)
            if run and run.seconds < run.needs:
                found.append(run)
    return found


def unsteady(pods: Iterable[Object], since: datetime.datetime, now: datetime.datetime) -> list[str]:
    """The containers that are restarted again and again since then, each with how it ended last.

    Those that ended twice or more, last by themselves after `since`, and do not run for longer yet than they did
    before that.
    """
    found = []
    for pod in pods:
        for status in _statuses(pod) if stays(pod) else ():
            run, number = last_run(status), status.get("restartCount") or 0
            ended = told.moment(run.get("finishedAt"))
            if number < 2 or ended is None or ended < since or lasted(run) > _FORGOTTEN_SECONDS:
                continue
            if not died_with_the_node(run) and not outlived(status, now):
                how = run.get("reason") or f"exit code {run.get('exitCode')}"
                who = f"container {status.get('name')} of pod {pod['metadata']['name']}"
                found.append(f"{who} was restarted {number} times, last after {lasted(run):.0f} s ({how})")
    return found


def stays(pod: Object) -> bool:
    """True for a pod that is not done, and not being deleted."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in {"Succeeded", "Failed"} and not pod["metadata"].get("deletionTimestamp")


def _statuses(pod: Object) -> Iterable[ContainerStatus]:
    """Of its containers, and of its init containers that are to stay (sidecars)."""
    status = pod.get("status") or {}
    yield from status.get("containerStatuses") or ()
    for one in status.get("initContainerStatuses") or ():
        if probes.spec_of(pod, str(one.get("name"))).get("restartPolicy") == "Always":
            yield one


def _run(pod: Object, status: ContainerStatus, events: Sequence[Object], now: datetime.datetime) -> Run | None:
    """The present run of a container and what is asked of it."""
    name = str(status.get("name"))
    seconds = ran(status, now)
    began = ((status.get("state") or {}).get("running") or {}).get("startedAt") or ""
    needs, why = max(_after_a_crash(status), _by_its_probes(pod, status, events))
    return Run(pod["metadata"]["name"], name, str(began), seconds or 0.0, needs, why) if needs else None


_NOTHING = (0.0, "")


def _after_a_crash(status: ContainerStatus) -> tuple[float, str]:
    """A container that was restarted has to outlive what it survived before."""
    before = (status.get("lastState") or {}).get("terminated") or {}
    if not status.get("restartCount") or not before.get("finishedAt") or lasted(before) > _LONGEST_SECONDS:
        return _NOTHING
    if died_with_the_node(before):
        return _NOTHING
    return lasted(before) + MARGIN_SECONDS, f"it ended after {lasted(before):.0f} s the last time"


def _by_its_probes(pod: Object, status: ContainerStatus, events: Sequence[Object]) -> tuple[float, str]:
    """What nothing has asked yet has shown nothing yet.

    A startup probe that passed has asked; so has a readiness probe, but for what only the liveness probe asks. A
    container without an id is run by nobody (on a simulated node) and can't end.
    """
    name = str(status.get("name"))
    spec = probes.spec_of(pod, name)
    if not status.get("containerID") or spec.get("startupProbe"):
        return _NOTHING
    readiness, liveness = spec.get("readinessProbe"), spec.get("livenessProbe")
    if liveness and not (readiness and _asks(readiness) == _asks(liveness)):
        return _until_liveness_spoke(pod, status, liveness, events)
    if readiness or liveness:
        return _NOTHING
    return _UNPROBED_SECONDS, f"nothing asks it whether it works, and it began less than {_UNPROBED_SECONDS:g} s ago"


def _asks(probe: probes.Probe) -> Mapping[str, Any]:
    """What a probe asks, without how often."""
    return {how: probe[how] for how in ("httpGet", "tcpSocket", "grpc", "exec") if probe.get(how)}


def _until_liveness_spoke(
    pod: Object, status: ContainerStatus, probe: probes.Probe, events: Sequence[Object]
) -> tuple[float, str]:
    """Until the kubelet has asked it once; where it failed, until it did not fail a second time."""
    once = float(probe.get("periodSeconds") or 10) + float(probe.get("timeoutSeconds") or 1) + _SLACK_SECONDS
    began = told.moment(((status.get("state") or {}).get("running") or {}).get("startedAt"))
    failed = probes.failure(probes.LIVENESS, str(status.get("name")), pod, told.about(pod, events))
    if failed and began and told.last(failed) >= began:
        return (told.last(failed) - began).total_seconds() + once, "its liveness probe fails"
    needs = min(float(probe.get("initialDelaySeconds") or 0) + once, _LONGEST_SECONDS)
    return needs, "its liveness probe has not been asked yet"
