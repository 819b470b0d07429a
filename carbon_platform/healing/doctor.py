"""A look at components for their symptoms, once, with the causes that the cluster tells: what `carbon doctor` shows."""

import asyncio
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.endpoints import KIND, OF_SERVICE, ready
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.errors import CarbonError, Unreachable, foreseen
from carbon_platform.healing.explain import explain
from carbon_platform.healing.symptoms import Sign, Symptom, edit_of, of_record, of_release
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.status import condition, status
from carbon_platform.inspect.desired import deployed
from carbon_platform.records import Record
from carbon_platform.release.guard import command, mounts, word_for_empty
from carbon_platform.release.plan import compare
from carbon_platform.release.volumes import lost_volumes
from carbon_platform.session import Session
from carbon_platform.spec import graph
from carbon_platform.spec.platform import Component, Platform

_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Finding:
    """One broken component."""

    component: str
    symptoms: tuple[Symptom, ...]
    root: str
    """The lowest broken thing that it needs; empty when the cause is its own."""


async def examination(platform: Platform, keys: Iterable[str], session: Session) -> tuple[list[Finding], list[Symptom]]:
    """What is broken, root causes first; and what is wrong with the cluster's nodes. Raises Unreachable."""
    records, limit = session.records.all(), asyncio.Semaphore(_AT_ONCE)
    chosen = [key for key in platform.order if key in graph.closure(platform.needs, keys)]

    async def one(key: str) -> tuple[Symptom, ...]:
        component = platform.components[key]
        async with limit:
            try:
                return await symptoms_of(component, records.get(key, Record(key)), session)
            except Unreachable:
                raise
            except Exception as error:  # about one component: the others are told all the same
                told = foreseen(error, "it can't be looked at")
                return (Symptom(Sign.UNREADY, f"component {key}", told.told, fix=told.fix),)

    nodes, found = await asyncio.gather(_nodes(session.api), asyncio.gather(*(one(key) for key in chosen)))
    return findings(dict(zip(chosen, found, strict=True)), platform.needs, platform.order), nodes


def findings(symptoms: Mapping[str, Sequence[Symptom]], needs: graph.Needs, order: Sequence[str]) -> list[Finding]:
    """The broken components, each with its root, those that are a root first. Pure."""
    broken = [key for key in order if symptoms.get(key)]
    told = []
    for key in broken:
        below = graph.closure(needs, [key]) - {key}
        told.append(Finding(key, tuple(symptoms[key]), next((need for need in broken if need in below), "")))
    return sorted(told, key=lambda finding: bool(finding.root))


async def symptoms_of(component: Component, record: Record, session: Session) -> tuple[Symptom, ...]:
    """Everything that is wrong with one component: its objects, its Services, its checks as last seen."""
    checks = of_record(component, record)
    if record.failure and record.failed_at > record.verified_at:
        error = CarbonError.read(record.failure)
        checks.append(Symptom(Sign.UNREADY, "last deployment", error.told, fix=error.fix))
    if component.release is None:
        return tuple(checks)
    api = session.api
    desired = await deployed(component, session)
    if desired is None:
        if record.verified_at:
            gone = f"Helm has no revision of it in {component.release.namespace}"
            checks.insert(
                0, Symptom(Sign.MISSING, f"release {component.release.name}", gone, fix=f"carbon up {component.key}")
            )
        return tuple(checks)
    objects = desired.everything
    names = [ObjectName.of(obj) for obj in objects]
    live = dict(zip(names, await asyncio.gather(*(api.find(name) for name in names)), strict=True))
    there = [obj for obj in objects if live[ObjectName.of(obj)] is not None]
    compared = await asyncio.gather(*(compare(obj, api, component.rules) for obj in there))
    edits = {ObjectName.of(obj): edit for obj, one in zip(there, compared, strict=True) if (edit := edit_of(one))}
    found = of_release(desired, live.get, edits, component.key, stateful=component.release.stateful)
    broken = [obj for obj in live.values() if obj and not status(obj, component.rules).ready]
    missing = {str(name) for name in names if live[name] is None and mounts(name)}
    found = await _with_words(found, missing, component, record, api)
    found += await _services(objects, live, api)
    return (*await explain(found, broken, api), *checks)


async def _with_words(
    found: list[Symptom], missing: Collection[str], component: Component, record: Record, api: Api
) -> list[Symptom]:
    """The symptoms; what would be made again with empty volumes says so, and with which words that is not refused."""
    lost = await lost_volumes(record.volumes, api) if missing else []
    if not lost:
        return found
    words = [word_for_empty(claim) for claim in lost]
    fix = f"bring its volumes back; if they may be empty: {command(component.key, words)}"
    return [dataclasses.replace(one, fix=fix) if one.object in missing else one for one in found]


async def _services(objects: Iterable[Object], live: Mapping[ObjectName, Object | None], api: Api) -> list[Symptom]:
    """Services that lead nowhere."""
    names = [ObjectName.of(obj) for obj in objects if group_kind(obj) == "Service"]
    services = [found for name in names if (found := live[name]) and found["spec"].get("selector")]
    return [symptom for found in await asyncio.gather(*(_endpoints(one, api) for one in services)) for symptom in found]


async def _endpoints(service: Object, api: Api) -> list[Symptom]:
    name = ObjectName.of(service)
    slices = await api.list(*KIND, name.namespace, labels=f"{OF_SERVICE}={name.name}")
    if any(ready(slices, every=bool(service["spec"].get("publishNotReadyAddresses")))):
        return []
    cause = nowhere(name, service["spec"]["selector"])
    return [Symptom(Sign.UNREADY, str(name), cause.why, cause, cause.fix)]


def nowhere(service: ObjectName, selector: Mapping[str, str]) -> Cause:
    """The cause of a Service that leads to no pod that is ready. Pure."""
    told = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    why = f"no ready pod stands behind it: its selector is {told}"
    return Cause(Kind.NO_ENDPOINTS, service, why, "make the pods that it selects ready, or correct its selector")


async def _nodes(api: Api) -> list[Symptom]:
    found = []
    for node in await api.list("v1", "Node"):
        told = condition(node, "Ready")
        if told.get("status") != "True":
            why = str(told.get("message") or told.get("reason") or "it says nothing of itself")
            name = ObjectName.of(node)
            found.append(Symptom(Sign.UNREADY, str(name), f"not ready: {why}", fix=f"start {name} and its kubelet"))
    return found
