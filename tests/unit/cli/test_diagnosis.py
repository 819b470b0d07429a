"""What is broken on one screen: roots first, consequences in a line, what waits for images last."""

from collections.abc import Mapping
from typing import Any

import pytest

from carbon_platform.cli.diagnosis import Diagnosis, lines
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.doctor import Finding
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.state import State
from carbon_platform.inspect.status import ComponentStatus
from carbon_platform.spec import graph

NEEDS = {
    "redis": (),
    "kafka": (),
    "web": ("redis",),
    "portal": ("web",),
    "catalog": ("kafka",),
    "scheduler": (),
    "workflow": ("scheduler",),
}
PULL = (
    'failed to pull and unpack image "{0}": failed to resolve reference "{0}": failed to do request:'
    ' Head "https://registry.example/v2/x/manifests/1": dial tcp: lookup registry.example on 10.0.0.1:53: no such host'
)
FIX = "correct the image's name and tag, or make it available on the node or in a registry it reaches"


def pod(component: str, image: str) -> Symptom:
    name = ObjectName("v1", "Pod", "data", f"{component}-0")
    why = f"image {image} of container main can't be pulled"
    cause = Cause(Kind.IMAGE, name, why, FIX, (PULL.format(image),), image)
    return Symptom(Sign.UNREADY, str(name), "0/1 pods ready", cause, FIX)


REDIS = Finding(
    "redis",
    (
        Symptom(Sign.MISSING, "v1 ConfigMap data/redis", "it was deleted", fix="carbon up redis"),
        Symptom(Sign.CHECK, "redis_roundtrip", "no answer within 5 s"),
    ),
    "",
)
WEB = Finding("web", (Symptom(Sign.CHECK, "http", "503"),), "redis")
PORTAL = Finding("portal", (Symptom(Sign.CHECK, "http", "502"),), "redis")
CATALOG = Finding("catalog", (pod("catalog", "example/catalog:1.6"), pod("catalog", "example/consumer:1.6")), "")
SCHEDULER = Finding("scheduler", (pod("scheduler", "example/scheduler:3.4"),), "")
EXCUSABLE = frozenset({"catalog", "scheduler", "workflow"})

BLOCKED = {"catalog": State.BLOCKED, "scheduler": State.BLOCKED, "workflow": State.BLOCKED}

AT_80 = """
3 broken · 3 waiting for images · 1 fine
redis  v1 ConfigMap data/redis: it was deleted
    and 1 more: carbon doctor redis
    fix: carbon up redis
    healing: re-apply, running
    follows: web, portal
waiting for images (registry.example: no such host)
    catalog    2 images: example/catalog:1.6, example/consumer:1.6
    scheduler  1 image: example/scheduler:3.4
    workflow   needs scheduler
    once they can be pulled: carbon up catalog scheduler workflow
details: carbon doctor NAME
"""


def told(
    *found: Finding,
    width: int | None = 80,
    states: Mapping[str, State] = BLOCKED,
    nodes: tuple[Symptom, ...] = (),
    healing: Mapping[str, str] | None = None,
) -> list[str]:
    diagnosis = diagnosed(*found, states=states, nodes=nodes)
    made = lines(diagnosis, nodes, len(NEEDS), healing or {"redis": "re-apply, running"}, width)
    return [line.plain for line in made]


def diagnosed(*found: Finding, states: Mapping[str, State] = BLOCKED, nodes: tuple[Symptom, ...] = ()) -> Diagnosis:
    component: Any = None  # a diagnosis asks for its state alone
    seen = {
        key: ComponentStatus(component, states.get(key, State.VERIFIED), "", None, 0, 0, ())
        for key in graph.in_order(NEEDS)
    }
    return Diagnosis.of(found, nodes, seen, EXCUSABLE, NEEDS)


@pytest.mark.parametrize("width", [80, 100, 200, None])
def test_the_root_comes_first_and_all_of_it_fits_on_a_screen(width: int | None) -> None:
    assert told(REDIS, CATALOG, SCHEDULER, WEB, PORTAL, width=width) == AT_80.strip().splitlines()


AT_40 = """
3 broken · 3 waiting for images · 1 fine
redis  v1 ConfigMap data/redis: it was
  deleted
    and 1 more: carbon doctor redis
    fix: carbon up redis
    healing: re-apply, running
    follows: web, portal
waiting for images (registry.example: no
  such host)
    catalog    2 images: example/catalo…
    scheduler  1 image: example/schedul…
    workflow   needs scheduler
    once they can be pulled: carbon up
      catalog scheduler workflow
details: carbon doctor NAME
"""


def test_on_a_narrow_terminal_what_is_to_be_done_is_whole() -> None:
    assert told(REDIS, CATALOG, SCHEDULER, WEB, PORTAL, width=40) == AT_40.strip().splitlines()


def test_what_can_not_have_its_image_and_should_is_broken() -> None:
    broken = Finding("kafka", (pod("kafka", "example/kafka:4"),), "")
    made = told(broken, states={})
    assert made[:2] == [
        "1 broken · 6 fine",
        "kafka  Pod data/kafka-0: image example/kafka:4 of container main can't be pulled",
    ]
    assert made[2].startswith("    | failed to pull and unpack")


def test_of_what_is_well_one_line_is_told() -> None:
    assert told(states={}) == ["nothing is broken"]


def missing(component: str, namespace: str = "data") -> Finding:
    name = ObjectName("v1", "Pod", namespace, f"{component}-0")
    why, fix = f'container {component} can\'t be created: secret "login" not found', "create Secret login"
    cause = Cause(Kind.SECRET, name, why, fix, ('secret "login" not found',), "login")
    return Finding(component, (Symptom(Sign.UNREADY, str(name), "0/1 pods ready", cause, fix),), "")


SILENT = ObjectName("v1", "Node", "", "node-1")
NODE = Symptom(Sign.UNREADY, str(SILENT), "not ready: the kubelet stopped posting its status", fix="see the node")


def on_silent(component: str) -> Finding:
    cause = Cause(Kind.NODE, SILENT, f"it was silent and has not told of Pod {component}-0 since", "see node node-1")
    return Finding(component, (Symptom(Sign.UNREADY, f"Deployment data/{component}", "0/1", cause, cause.fix),), "")


ONE_ROOT = {
    "a Secret that three components miss": (
        (missing("redis"), missing("kafka"), missing("scheduler"), Finding("web", WEB.symptoms, "redis")),
        (),
        """
4 broken · 3 fine
redis, kafka, scheduler  missing secret: login
    fix: create Secret login
    follows: web
details: carbon doctor NAME
""",
    ),
    "Secrets of one name in two namespaces": (
        (missing("redis"), missing("kafka", "stream")),
        (),
        """
2 broken · 5 fine
redis  Pod data/redis-0: container redis can't be created: secret "login" not
  found
    fix: create Secret login
kafka  Pod stream/kafka-0: container kafka can't be created: secret "login" not
  found
    fix: create Secret login
details: carbon doctor NAME
""",
    ),
    "a node that is gone": (
        (on_silent("redis"), on_silent("kafka"), Finding("web", WEB.symptoms, "redis"), missing("scheduler")),
        (NODE,),
        """
4 broken · 3 fine
Node node-1  not ready: the kubelet stopped posting its status
    fix: see the node
    follows: redis, kafka, web
scheduler  Pod data/scheduler-0: container scheduler can't be created: secret
  "login" not found
    fix: create Secret login
details: carbon doctor NAME
""",
    ),
    "an image that two components share": (
        (
            Finding("redis", (pod("redis", "example/a:1"),), ""),
            Finding("kafka", (pod("kafka", "example/a:1"),), ""),
        ),
        (),
        f"""
2 broken · 5 fine
redis, kafka  image can't be pulled: example/a:1
    | {PULL.format("example/a:1")[:73]}…
    fix: correct the image's name and tag, or make it available on the node or
      in a registry it reaches
details: carbon doctor NAME
""",
    ),
    "a need that is down": (
        (Finding("redis", REDIS.symptoms[1:], ""), WEB, PORTAL),
        (),
        """
3 broken · 4 fine
redis  redis_roundtrip: no answer within 5 s
    follows: web, portal
details: carbon doctor NAME
""",
    ),
    "nothing in common": (
        (Finding("redis", REDIS.symptoms[1:], ""), Finding("kafka", (Symptom(Sign.CHECK, "topic", "no answer"),), "")),
        (),
        """
2 broken · 5 fine
redis  redis_roundtrip: no answer within 5 s
kafka  topic: no answer
details: carbon doctor NAME
""",
    ),
}


@pytest.mark.parametrize(("found", "nodes", "shown"), ONE_ROOT.values(), ids=ONE_ROOT.keys())
def test_one_fault_is_told_once(found: tuple[Finding, ...], nodes: tuple[Symptom, ...], shown: str) -> None:
    assert told(*found, nodes=nodes, states={}, healing={"": ""}) == shown.strip().splitlines()


def test_what_heals_each_of_several_is_told_of_each() -> None:
    made = told(missing("redis"), missing("kafka"), states={}, healing={"redis": "verify, running", "kafka": "noticed"})
    assert "    healing: redis: verify, running; kafka: noticed" in made


def test_what_is_blocked_for_a_need_that_is_broken_follows_from_it() -> None:
    states = {"redis": State.BLOCKED, "web": State.BLOCKED, "portal": State.BLOCKED}
    failed = Finding("redis", (Symptom(Sign.UNREADY, "last deployment", "no node has room"),), "")
    assert told(failed, states=states, healing={"": ""}) == [
        "3 broken · 4 fine",
        "redis  last deployment: no node has room",
        "    follows: web, portal",
        "details: carbon doctor NAME",
    ]


def test_what_is_off_on_purpose_is_not_broken_for_its_checks() -> None:
    checked = Finding("redis", REDIS.symptoms[1:], "")
    assert told(checked, states={"redis": State.OFF}) == ["nothing is broken"]
    assert diagnosed(REDIS, states={"redis": State.OFF}).broken == 1, "what was deleted is broken all the same"


def test_what_is_only_not_verified_is_told_in_a_line() -> None:
    states = {"redis": State.STALE, "web": State.ABSENT}
    assert told(states=states) == ["nothing is broken", "not verified: redis, web (carbon status says why)"]
