"""What is broken on one screen: roots first, consequences in a line, what waits for images last."""

import pytest

from carbon_platform.cli.diagnosis import Diagnosis, lines
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.doctor import Finding
from carbon_platform.healing.symptoms import Sign, Symptom
from carbon_platform.health.cause import Cause, Kind

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
    when they can be had: carbon up catalog scheduler workflow
details: carbon doctor NAME
"""


def told(*found: Finding, width: int | None = 80) -> list[str]:
    diagnosis = Diagnosis.of(found, EXCUSABLE, ["workflow"], NEEDS)
    return [line.plain for line in lines(diagnosis, (), len(NEEDS), {"redis": "re-apply, running"}, width)]


@pytest.mark.parametrize("width", [80, 100, 200, None])
def test_the_root_comes_first_and_all_of_it_fits_on_a_screen(width: int | None) -> None:
    assert told(REDIS, CATALOG, SCHEDULER, WEB, PORTAL, width=width) == AT_80.strip().splitlines()


def test_on_a_narrow_terminal_a_line_says_that_there_was_more() -> None:
    made = told(CATALOG, SCHEDULER, width=40)
    assert made[2] == "    catalog    2 images: example/catalo…"
    assert all(len(line) <= 40 for line in made)


def test_what_can_not_have_its_image_and_should_is_broken() -> None:
    broken = Finding("kafka", (pod("kafka", "example/kafka:4"),), "")
    made = told(broken)
    assert made[:2] == [
        "1 broken · 6 fine",
        "kafka  Pod data/kafka-0: image example/kafka:4 of container main can't be pulled",
    ]
    assert made[2].startswith("    | failed to pull and unpack")


def test_of_what_is_well_one_line_is_told() -> None:
    assert told() == ["nothing is broken"]
