"""What would make a deployment fail is found before: units, requests, room, tolerations, needs."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.materialization.preflight import needs_problems, quantity, requests, room_problem, storage_classes
from carbon_platform.records import CheckResult, Record
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.spec.platform import Component
from tests.definitions import Definitions
from tests.objects import obj

GI = 2**30


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0),
        ("1", 1),
        (2, 2),
        (0.5, 0.5),
        ("100m", 0.1),
        ("250000u", 0.25),
        ("1500000000n", 1.5),
        ("128Mi", 128 * 2**20),
        ("1.5Gi", 1.5 * GI),
        ("10Ti", 10 * 2**40),
        ("1Pi", 2**50),
        ("2Ei", 2 * 2**60),
        ("1k", 1e3),
        ("5M", 5e6),
        ("5G", 5e9),
        ("1T", 1e12),
        ("1P", 1e15),
        ("1E", 1e18),
        ("1e3", 1000),
        ("12E2", 1200),
    ],
)
def test_a_quantity_is_the_number_it_means(written: object, number: float) -> None:
    assert quantity(written) == pytest.approx(number)


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "Ki", "M", "Mi", "G", "Gi", "T", "Ti"]))
def test_more_is_more_in_every_unit(number: int, unit: str) -> None:
    assert quantity(f"{number + 1}{unit}") > quantity(f"{number}{unit}")


def container(cpu: str = "", memory: str = "", limit: str = "") -> dict[str, Any]:
    asked = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"name": "c", "resources": {"requests": asked} | ({"limits": {"memory": limit}} if limit else {})}


def pod_spec(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **rest: Any) -> dict[str, Any]:
    return {"containers": list(containers), "initContainers": list(init), **rest}


@pytest.mark.parametrize(
    ("pod", "asked"),
    [
        (pod_spec(), (0, 0)),
        (pod_spec({"name": "c"}), (0, 0)),
        (pod_spec(container("100m", "1Gi")), (0.1, GI)),
        (pod_spec(container("100m", "1Gi"), container("1", "2Gi")), (1.1, 3 * GI)),
        (pod_spec(container("1", "1Gi"), init=(container("500m", "4Gi"),)), (1, 4 * GI)),
        (pod_spec(container("1", "3Gi"), init=(container("500m", "2Gi"), container("2", "2Gi"))), (2, 3 * GI)),
        (pod_spec(container("1", limit="2Gi")), (1, 2 * GI)),
        (pod_spec(container("1", "1Gi", limit="2Gi")), (1, GI)),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(pod: dict[str, Any], asked: tuple[float, float]) -> None:
    assert requests(pod) == pytest.approx(asked)


OWNER = ObjectName("apps/v1", "Deployment", "here", "app")
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}


def node(name: str = "n", cpu: str = "4", memory: str = "8Gi", **spec: Any) -> Object:
    return obj("Node", name, namespace="", spec=spec, status={"allocatable": {"cpu": cpu, "memory": memory}})


def running(where: str, cpu: str, memory: str, phase: str = "Running") -> Object:
    return obj("Pod", spec={"nodeName": where, **pod_spec(container(cpu, memory))}, status={"phase": phase})


def fits(pod: dict[str, Any], nodes: list[Object], pods: list[Object]) -> bool:
    return room_problem(OWNER, pod, nodes, pods) is None


def test_a_pod_fits_on_a_node_that_has_room() -> None:
    assert fits(pod_spec(container("4", "8Gi")), [node()], [])


@pytest.mark.parametrize("pod", [pod_spec(container("4.1", "1Gi")), pod_spec(container("1", "8.1Gi"))])
def test_a_pod_that_is_larger_than_every_node_is_told_with_what_is_free(pod: dict[str, Any]) -> None:
    problem = room_problem(OWNER, pod, [node()], [])
    assert problem is not None
    assert "Deployment here/app" in problem.text
    assert "at most free: 4 cores, 8192 MiB" in problem.text


def test_what_runs_already_takes_its_room_and_what_ended_does_not() -> None:
    pod = pod_spec(container("3", "1Gi"))
    assert not fits(pod, [node()], [running("n", "2", "1Gi")])
    assert fits(pod, [node()], [running("n", "2", "1Gi", "Succeeded"), running("n", "2", "1Gi", "Failed")])
    assert fits(pod, [node()], [running("other", "2", "1Gi"), running("", "2", "1Gi")])
    assert fits(pod, [node("a"), node("n")], [running("a", "2", "1Gi")])


def test_room_for_cores_on_one_node_and_memory_on_another_is_none() -> None:
    assert not fits(pod_spec(container("4", "8Gi")), [node("a", memory="1Gi"), node("b", cpu="1")], [])


def test_a_node_that_takes_no_pods_has_no_room() -> None:
    assert not fits(pod_spec(), [node(unschedulable=True)], [])
    assert not fits(pod_spec(), [], [])


def test_where_a_pod_chooses_its_node_the_scheduler_decides() -> None:
    for choice in ({"nodeSelector": {"disk": "ssd"}}, {"affinity": {"nodeAffinity": {}}}):
        assert fits(pod_spec(container("99"), **choice), [node()], [])


TOLERATIONS = {
    "none": ([], False),
    "the same value": ([{"key": TAINT["key"], "value": "fake"}], True),
    "the same value for this effect": ([{"key": TAINT["key"], "value": "fake", "effect": "NoSchedule"}], True),
    "another value": ([{"key": TAINT["key"], "value": "real"}], False),
    "another effect": ([{"key": TAINT["key"], "value": "fake", "effect": "NoExecute"}], False),
    "any value": ([{"key": TAINT["key"], "operator": "Exists"}], True),
    "any value of another key": ([{"key": "other", "operator": "Exists"}], False),
    "everything": ([{"operator": "Exists"}], True),
}


@pytest.mark.parametrize(("tolerations", "fit"), TOLERATIONS.values(), ids=TOLERATIONS.keys())
def test_a_taint_keeps_a_pod_away_unless_it_is_tolerated(tolerations: list[dict[str, str]], fit: bool) -> None:
    assert fits(pod_spec(tolerations=tolerations), [node(taints=[TAINT])], []) is fit


def test_every_taint_must_be_tolerated_and_a_preference_keeps_nobody_away() -> None:
    tolerated = pod_spec(tolerations=[{"key": TAINT["key"], "operator": "Exists"}])
    assert not fits(tolerated, [node(taints=[TAINT, {"key": "gpu", "effect": "NoExecute"}])], [])
    assert fits(pod_spec(), [node(taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])], [])


def test_a_node_that_is_not_ready_yet_has_room() -> None:
    assert fits(pod_spec(), [node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])], [])


CORES = st.integers(1, 8)


@given(st.lists(CORES, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 2), CORES), max_size=4), CORES)
def test_there_is_room_if_and_only_if_some_node_has_it(
    nodes: list[int], taken: list[tuple[int, int]], asked: int
) -> None:
    pods = [running(str(i), str(cores), "0") for i, cores in taken]
    free = [n - sum(cores for i, cores in taken if i == place) for place, n in enumerate(nodes)]
    found = fits(pod_spec(container(str(asked))), [node(str(i), cpu=str(n)) for i, n in enumerate(nodes)], pods)
    assert found == any(left >= asked for left in free)


@pytest.fixture
def app(definitions: Definitions) -> Component:
    definitions.chart()
    for key in ("cache", "db"):
        definitions.release(key)
    definitions.release("app", needs=["db", "cache"])
    return definitions.load().components["app"]


PROVEN = Record("db", "d", "c", 1, changed_at="1", verified_at="2", checks=(CheckResult("ready", True, "", "2"),))
NEEDED = {
    "verified": (PROVEN, True),
    "not known": (Record("db"), False),
    "deployed and never verified": (Record("db", changed_at="1"), False),
    "changed since": (dataclasses.replace(PROVEN, changed_at="3"), False),
    "failed since": (dataclasses.replace(PROVEN, failed_at="3"), False),
    "failed before": (dataclasses.replace(PROVEN, failed_at="1"), True),
    "with a check that fails now": (
        dataclasses.replace(PROVEN, checks=(*PROVEN.checks, CheckResult("query", False, "no", "3"))),
        False,
    ),
}


@pytest.mark.parametrize(("record", "fine"), NEEDED.values(), ids=NEEDED.keys())
def test_a_component_begins_only_on_verified_ground(app: Component, record: Record, fine: bool) -> None:
    records = {"db": record, "cache": dataclasses.replace(PROVEN, component="cache")}
    problems = needs_problems(app, records)
    assert [(p.text, p.fix) for p in problems] == (
        [] if fine else [("it needs db, which is not verified", "carbon up db")]
    )


def test_every_need_that_is_missing_is_told(app: Component) -> None:
    assert [p.fix for p in needs_problems(app, {})] == ["carbon up cache", "carbon up db"]
    assert [p.fix for p in needs_problems(app, {}, waived=["cache"])] == ["carbon up db"]


def _made(kind: str, api_version: str, spec: Any) -> Change:
    desired = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "store", "namespace": "here"},
        "spec": spec,
    }
    return Change(Action.CREATE, ObjectName.of(desired), desired=desired)


@pytest.mark.parametrize("nothing", [{}, {"volumeClaimTemplates": None}, {"volumeClaimTemplates": []}, None])
def test_a_stateful_set_may_say_in_any_way_that_it_has_no_volumes(nothing: Any) -> None:
    assert storage_classes(Plan("store", "", (_made("StatefulSet", "apps/v1", nothing),), None)) == {}


def test_a_claim_wants_the_class_it_names_or_the_default_one() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}
    changes = (
        _made("StatefulSet", "apps/v1", {"volumeClaimTemplates": [template, None]}),
        _made("PersistentVolumeClaim", "v1", {"storageClassName": None}),
    )
    found = storage_classes(Plan("store", "", changes, None))
    assert {name: owner.kind for name, owner in found.items()} == {"fast": "StatefulSet", None: "PersistentVolumeClaim"}
