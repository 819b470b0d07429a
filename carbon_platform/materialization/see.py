"""What is seen of every component in the cluster: state, pods, checks. Reads only, a few calls for all of them."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from carbon_platform.cluster.reach import Object
from carbon_platform.errors import Unreachable
from carbon_platform.health.state import Sight, State, state
from carbon_platform.health.status import WORKLOADS, status
from carbon_platform.materialization.session import open_session
from carbon_platform.records import CheckResult, Record
from carbon_platform.release.history import Revision, latest
from carbon_platform.release.lease import live_holder
from carbon_platform.settings import Settings
from carbon_platform.spec.platform import Component, Platform


@dataclasses.dataclass(frozen=True)
class Seen:
    """One component as `carbon status` tells it."""

    component: Component
    state: State
    reason: str
    revision: int | None
    running: int
    total: int
    checks: tuple[CheckResult, ...]


_KINDS = (("v1", "Pod"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"))


async def see(platform: Platform, keys: Sequence[str], settings: Settings) -> tuple[list[Seen], str]:
    """Every component of `keys`, and why the cluster can't be reached (empty when it can)."""
    try:
        async with open_session(settings) as session:
            records = session.records.all()
            namespaces = {platform.components[key].namespace for key in keys}
            live = await asyncio.gather(*(session.api.list(*kind) for kind in _KINDS))
            mine = [o for objects in live for o in objects if o["metadata"].get("namespace") in namespaces]

            async def one(key: str) -> Seen:
                component = platform.components[key]
                holder = live_holder(session.api, component.namespace, component.release_name)
                if component.release is None:
                    return _seen(component, None, await holder, mine, records)
                revision, writer = await asyncio.gather(latest(session.api, component.release), holder)
                return _seen(component, revision, writer, mine, records)

            return list(await asyncio.gather(*(one(key) for key in keys))), ""
    except Unreachable as error:
        unknown, reason = state(None, Record(""), "", "", {})
        return [Seen(platform.components[key], unknown, reason, None, 0, 0, ()) for key in keys], str(error)


def _seen(
    component: Component,
    revision: Revision | None,
    writer: str | None,
    live: Sequence[Object],
    records: Mapping[str, Record],
) -> Seen:
    record = records.get(component.key, Record(component.key))
    own = [o for o in live if component.release and _of_release(o, component)]
    workloads = [o for o in own if o["kind"] in WORKLOADS]
    pods = [o for o in live if o["kind"] == "Pod" and any(_owns(w, o) for w in workloads)]
    unready = [f"{o['kind']} {o['metadata']['name']}: {s.message}" for o in workloads if not (s := status(o)).ready]
    if revision is not None and revision.pending:
        unready.append(f"revision {revision.number} is {revision.status}")
    sight = Sight(
        installed=revision is not None if component.release else bool(record.changed_at or record.verified_at),
        writer=writer,
        unready=tuple(unready),
        wanted_pods=not workloads or any(o["spec"].get("replicas", 1) for o in workloads),
    )
    needs = {need: records.get(need, Record(need)) for need in component.needs}
    now, reason = state(sight, record, component.digest, component.checks_digest, needs)
    running = sum(_running(pod) for pod in pods)
    checks = record.checks if sight.installed else ()
    return Seen(component, now, reason, revision.number if revision else None, running, len(pods), checks)


def _of_release(obj: Object, component: Component) -> bool:
    annotations = obj["metadata"].get("annotations") or {}
    return bool(
        component.release
        and annotations.get("meta.helm.sh/release-name") == component.release.name
        and annotations.get("meta.helm.sh/release-namespace") == component.release.namespace
    )


def _owns(workload: Object, pod: Object) -> bool:
    wanted = (workload["spec"].get("selector") or {}).get("matchLabels") or {"": ""}
    labels = pod["metadata"].get("labels") or {}
    return bool(pod["metadata"]["namespace"] == workload["metadata"]["namespace"] and wanted.items() <= labels.items())


def _running(pod: Object) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return bool(statuses) and all(s.get("ready") for s in statuses) and not pod["metadata"].get("deletionTimestamp")
