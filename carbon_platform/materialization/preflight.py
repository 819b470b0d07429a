"""What would make a materialization fail is found before anything is changed: all of it at once."""

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, is_custom, pod_specs
from carbon_platform.cluster.shape import readable
from carbon_platform.cluster.watch import Mirrors
from carbon_platform.errors import Blocked, CarbonError, DataAtRisk, PermissionDenied
from carbon_platform.materialization.outcome import Options
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Record
from carbon_platform.release.copies import Copied, readers
from carbon_platform.release.desired import Desired
from carbon_platform.release.guard import generated_anew, refuse
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.plan import MADE_ANEW, Action, Plan, no_kind, no_namespace
from carbon_platform.release.prepare import Preparation
from carbon_platform.session import Session
from carbon_platform.spec.platform import Component

_UNITS = {f"{letter}i": 2.0 ** (10 * n) for n, letter in enumerate("KMGTPE", 1)} | {
    unit: 1000.0**n for n, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
}
_BITNAMI = re.compile(r"(^|/)(bitnami|bitnamilegacy|bitnamisecure)/")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One reason not to begin."""

    text: str
    fix: str


def needs_problems(component: Component, records: Mapping[str, Record], waived: Iterable[str] = ()) -> list[Problem]:
    """Needed components that are not verified. `waived`: those this very run takes care of."""
    problems = []
    for need in sorted(set(component.needs) - set(waived)):
        record = records.get(need, Record(need))
        late = record.verified_at < max(record.failed_at, record.changed_at)
        if not record.verified_at or late or any(check.failed for check in record.checks):
            problems.append(Problem(f"it needs {need}, which is not verified", f"carbon up {need}"))
    return problems


async def preflight(
    component: Component,
    plan: Plan,
    unprepared: Iterable[ObjectName],
    session: Session,
    copies: Sequence[Copied] = (),
    readers: Sequence[Object] = (),
) -> None:
    """Raise PermissionDenied or Blocked with every problem; reads only (reviews of our own access included).

    `unprepared` are namespaces and Secrets that must be made before; `copies` are made again, `readers` restarted.
    """
    api = session.api
    problems = needs_problems(component, session.records.all())
    deeds = [(verb, copied.secret) for copied in copies for verb in ("update", "patch")]
    deeds += [("patch", ObjectName.of(reader)) for reader in readers]
    denied = await _denied(component, [*deeds, *_of_plan(plan, unprepared)], api)
    problems += denied
    problems += refusals(plan)
    problems += await _storage_problems(plan, api)
    problems += _image_problems(plan)
    problems += await _room_problems(plan, session.mirrors)
    if problems:
        raise _refused(PermissionDenied if denied else Blocked, component, problems)


def refusals(plan: Plan) -> list[Problem]:
    """Objects of the plan that can't be applied."""
    invalid = [
        Problem(f"the API server refuses {change.object}: {change.reason}", "correct the values")
        for change in plan.changes
        if change.action is Action.INVALID
    ]
    owned = [
        Problem(f"{change.object}: {change.reason}", "leave it to its owner, or take it out of one of the two")
        for change in plan.changes
        if change.action is Action.OWNED
    ]
    nowhere = [
        Problem(f"{change.object}: {change.reason}", f"list {change.object.namespace} under `namespaces`")
        for change in plan.changes
        if change.action is Action.DEFERRED and change.reason == no_namespace(change.object)
    ]
    unknown = {
        (change.object.api_version, change.object.kind): Problem(
            f"{change.object}: {change.reason}",
            "deploy what brings it, and list that under `needs`; or switch off in the values what is of this kind",
        )
        for change in plan.changes
        if change.action is Action.DEFERRED and change.reason == no_kind(change.object)
    }
    return [*invalid, *owned, *nowhere, *unknown.values(), *unchangeable(plan)]


def check_refusals(component: Component, plan: Plan) -> None:
    """Raise Blocked when a plan that was made anew, under the lease, has what can't be applied."""
    problems = refusals(plan)
    if problems:
        raise _refused(Blocked, component, problems)


_KEPT = frozenset(
    {
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Namespace",
        "Secret",
        "CustomResourceDefinition.apiextensions.k8s.io",
    }
)


def unchangeable(plan: Plan) -> list[Problem]:
    """Objects that the API server does not let change, and that are not made anew by themselves."""
    return [
        Problem(f"{name} can't be changed in place: {change.reason}", _instead(name))
        for change in plan.changes
        if change.action is Action.REFUSED and (name := change.object).group_kind not in MADE_ANEW
    ]


def _instead(name: ObjectName) -> str:
    same = f"give {name} the values it has live, or another name"
    if name.group_kind in _KEPT or is_custom(name.api_version, name.kind):
        return f"{same}; to make it anew, save the data that is in it or kept for it, and delete it yourself"
    where = f" -n {name.namespace}" if name.namespace else ""
    return f"{same}; or let it be made anew: kubectl delete {name.group_kind.lower()} {name.name}{where}"


async def all_denied(error: PermissionDenied, component: Component, desired: Desired, api: Api) -> PermissionDenied:
    """What to say when not even a plan was allowed: everything that deploying takes and this user may not do."""
    wanted = [(verb, ObjectName.of(obj)) for obj in desired.objects for verb in ("get", "patch", "create")]
    problems = await _denied(component, wanted, api)
    return _refused(PermissionDenied, component, problems) if problems else error


_Refused = TypeVar("_Refused", bound=CarbonError)


def _refused(kind: type[_Refused], component: Component, problems: Sequence[Problem]) -> _Refused:
    return kind(
        f"{component.key} can't be deployed; nothing was changed",
        "; ".join(p.text for p in problems),
        "; ".join(dict.fromkeys(p.fix for p in problems if p.fix)),
    )


_VERBS = {
    Action.CREATE: ("create", "patch"),
    Action.UPDATE: ("patch",),
    Action.DELETE: ("delete",),
    Action.DEFERRED: (),
    Action.REFUSED: ("create", "delete"),
    Action.INVALID: (),
    Action.OWNED: (),
}


def _of_plan(plan: Plan, unprepared: Iterable[ObjectName]) -> list[tuple[str, ObjectName]]:
    made = [(verb, name) for name in unprepared for verb in ("create", "update") if name.kind == "Secret"]
    made += [("create", name) for name in unprepared if name.kind == "Namespace"]
    made += [("update", change.object) for change in plan.changes if change.removed]
    return made + [(verb, change.object) for change in plan.changes for verb in _VERBS[change.action]]


async def _denied(component: Component, deeds: Iterable[tuple[str, ObjectName]], api: Api) -> list[Problem]:
    """What this user may not do but would have to: these verbs on these objects, and what every release takes."""
    if await _may(api, "*", "*", "*", ""):
        return []
    wanted: set[tuple[str, str, str, str]] = set()
    release = component.release
    wanted |= {(verb, "", "configmaps", component.namespace) for verb in ("get", "create", "patch")}
    if release is not None:
        wanted |= {(verb, "", "secrets", release.namespace) for verb in ("list", "create", "update")}
        wanted |= {
            (v, "coordination.k8s.io", "leases", release.namespace) for v in ("get", "create", "update", "delete")
        }
    for verb, name in deeds:
        with contextlib.suppress(MissingKind):
            resource = await api.resource(name.api_version, name.kind)
            wanted.add((verb, resource.group, resource.plural, name.namespace))
    answers = await asyncio.gather(*(_may(api, *one) for one in sorted(wanted)))
    problems = []
    for (verb, group, plural, namespace), allowed in zip(sorted(wanted), answers, strict=True):
        if not allowed:
            what = f"{plural}.{group}" if group else plural
            where = f" in namespace {namespace}" if namespace else ""
            problems.append(Problem(f"not allowed to {verb} {what}{where}", f"grant {verb!r} on {what!r}{where}"))
    return problems


async def _may(api: Api, verb: str, group: str, resource: str, namespace: str) -> bool:
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    what = f"ask whether we may {verb} {resource}"
    answer = await api.request("POST", path, what=what, body=body, repeatable=True)
    return bool(answer["status"]["allowed"])


def _new_pods(plan: Plan) -> Iterable[tuple[ObjectName, Mapping[str, Any]]]:
    """Pod specs that the plan would start, by the workload they belong to."""
    for change in plan.changes:
        spec = readable(change.desired or {})["spec"]
        if change.action is Action.CREATE and change.desired and spec.get("replicas", 1) and not spec.get("suspend"):
            yield from ((change.object, pod) for pod in pod_specs(change.desired))


def storage_classes(plan: Plan) -> dict[str | None, ObjectName]:
    """The StorageClasses that claims of what the plan makes name, None for the default one; each with who wants it."""
    wanted: dict[str | None, ObjectName] = {}
    for change in plan.changes:
        claims: list[Object] = []
        if change.action is Action.CREATE and change.desired:
            if change.object.group_kind == "StatefulSet.apps":
                claims = readable(change.desired)["spec"].get("volumeClaimTemplates", [])
            elif change.object.group_kind == "PersistentVolumeClaim":
                claims = [change.desired]
        wanted |= {readable(claim)["spec"].get("storageClassName"): change.object for claim in claims}
    return wanted


async def _storage_problems(plan: Plan, api: Api) -> list[Problem]:
    wanted = storage_classes(plan)
    if not wanted:
        return []
    there = {c["metadata"]["name"]: c for c in await api.list("storage.k8s.io/v1", "StorageClass")}
    default = "storageclass.kubernetes.io/is-default-class"
    has_default = any((c["metadata"].get("annotations") or {}).get(default) == "true" for c in there.values())
    problems = []
    for name, owner in wanted.items():
        if name is None and not has_default:
            problems.append(
                Problem(f"{owner} wants the default StorageClass, and there is none", "mark one as default")
            )
        if name and name not in there:
            known = ", ".join(there) or "none"
            problems.append(Problem(f"{owner} wants StorageClass {name!r}, which is not there", f"there is: {known}"))
    return problems


def _image_problems(plan: Plan) -> list[Problem]:
    """Versioned Bitnami images were frozen and moved in August 2025: nothing may lean on them."""
    images = {c["image"] for _, pod in _new_pods(plan) for c in _containers(pod) if "image" in c}
    found = sorted(image for image in images if _BITNAMI.search(image))
    return [Problem(f"image {image} is from Bitnami's frozen catalogue", "name another image") for image in found]


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number: cores, or bytes."""
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([KMGTPE]i|[numkMGTPE]|)", str(text))
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def requests(pod: Mapping[str, Any]) -> tuple[float, float]:
    """Cores and bytes that the scheduler counts for a pod: the sum of its containers, or its largest init container."""

    def of(container: Mapping[str, Any], what: str) -> float:
        resources = container.get("resources") or {}
        # What is limited and not requested is requested as far as the limit.
        return quantity({**(resources.get("limits") or {}), **(resources.get("requests") or {})}.get(what, 0))

    def most(what: str) -> float:
        running = sum(of(c, what) for c in pod.get("containers") or ())
        return max([running, *(of(c, what) for c in pod.get("initContainers") or ())])

    return most("cpu"), most("memory")


def room_problem(
    owner: ObjectName, pod: Mapping[str, Any], nodes: Sequence[Object], pods: Iterable[Object]
) -> Problem | None:
    """A problem if no node has room for one such pod. Says nothing of affinity: that is the scheduler's business."""
    if pod.get("nodeSelector") or pod.get("affinity"):
        return None
    cores, memory = requests(pod)
    used: dict[str, tuple[float, float]] = {}
    for other in pods:
        node = other["spec"].get("nodeName")
        if node and other.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
            c, m = requests(other["spec"])
            used[node] = (used.get(node, (0.0, 0.0))[0] + c, used.get(node, (0.0, 0.0))[1] + m)
    best_cores = best_memory = 0.0
    for node in nodes:
        if node["spec"].get("unschedulable") or not _tolerated(node, pod):
            continue
        free = node["status"]["allocatable"]
        c, m = used.get(node["metadata"]["name"], (0.0, 0.0))
        left_cores, left_memory = quantity(free["cpu"]) - c, quantity(free["memory"]) - m
        if left_cores >= cores and left_memory >= memory:
            return None
        best_cores, best_memory = max(best_cores, left_cores), max(best_memory, left_memory)
    asked, free_text = (
        f"{cores:g} cores and {memory / 2**20:.0f} MiB",
        f"{best_cores:g} cores, {best_memory / 2**20:.0f} MiB",
    )
    return Problem(
        f"no node has room for a pod of {owner}: it requests {asked}; at most free: {free_text}",
        "give it smaller requests, or the cluster more room",
    )


def _tolerated(node: Object, pod: Mapping[str, Any]) -> bool:
    for taint in node["spec"].get("taints") or ():
        # What Kubernetes itself says of a node (not ready yet, under pressure) may pass: the scheduler will see.
        if taint["effect"] not in {"NoSchedule", "NoExecute"} or taint["key"].startswith("node.kubernetes.io/"):
            continue
        if not any(_tolerates(t, taint) for t in pod.get("tolerations") or ()):
            return False
    return True


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


async def _room_problems(plan: Plan, mirrors: Mirrors) -> list[Problem]:
    # What an operator makes of a custom resource, and when, is its business.
    new = [(owner, pod) for owner, pod in _new_pods(plan) if not is_custom(owner.api_version, owner.kind)]
    if not new:
        return []
    # One list and what has changed since, however many components ask: a big cluster has thousands of pods.
    async with mirrors.of("v1", "Node", None) as nodes, mirrors.of("v1", "Pod", None) as pods:
        found = (room_problem(owner, pod, list(nodes.objects()), pods.objects()) for owner, pod in new)
        return [problem for problem in found if problem]


def guard_prepared(component: Component, preparation: Preparation, known: Ledger, options: Options) -> tuple[str, ...]:
    """What it costs to make what was confirmed.

    Raises DataAtRisk when healing would make a namespace or Secret, or anybody a generated value that was there.
    """
    found = generated_anew(preparation.generated, known.generated)
    if options.remedy is not None and preparation.missing:
        words = " ".join(["", *(f"--confirm {risk.word}" for risk in found)])
        raise DataAtRisk(
            f"{component.key}: healing would make {', '.join(map(str, preparation.missing))}, so nothing was changed",
            "it was deleted, and what is made in its place is not what it was",
            f"restore it; if a new one will do: carbon up {component.key}{words}",
            lost=[f"{name}, which was deleted" for name in preparation.missing],
        )
    return refuse(component.key, found, options.confirm)


def to_copy(preparation: Preparation, remedy: Remedy | None) -> tuple[Copied, ...]:
    """The copied keys that this materialization copies again: a person's does, and the remedy that is for it."""
    return preparation.outdated if remedy in {None, Remedy.RECOPY} else ()


def readers_of(copies: Collection[Copied], objects: Collection[Object]) -> list[Object]:
    """The workloads to restart once these keys are copied again."""
    return readers(objects, {copied.secret for copied in copies})
