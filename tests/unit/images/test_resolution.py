from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local.images.resolution import (
    Attempt,
    Image,
    ImagesUnavailable,
    ImageUnavailable,
    Way,
    attempt_failed,
    on_node,
    wanted,
    ways_to_make,
)
from tests.unit.images.folders import small_platform

FOREIGN = "docker.io/grafana/grafana:12.2.0"


def image(tmp_path: Path, name: str) -> Image:
    return wanted(f"localhost/carbon/{name}:1", small_platform(tmp_path), lambda program: program)


def test_an_archive_comes_before_the_registry_and_the_registry_before_the_recipe(tmp_path: Path) -> None:
    assert ways_to_make(image(tmp_path, "gateway")) == (Way.ARCHIVE, Way.PULL, Way.BUILD)


def test_a_recipe_that_nothing_upstream_can_stand_in_for_is_built(tmp_path: Path) -> None:
    assert ways_to_make(image(tmp_path, "server")) == (Way.ARCHIVE, Way.BUILD)


def test_an_image_without_a_recipe_can_only_be_pulled_under_its_own_name(tmp_path: Path) -> None:
    foreign = wanted(FOREIGN, small_platform(tmp_path), lambda program: program)
    assert foreign.upstream == FOREIGN
    assert ways_to_make(foreign) == (Way.ARCHIVE, Way.PULL)


def test_an_image_of_the_current_recipe_on_the_node_is_enough(tmp_path: Path) -> None:
    server = image(tmp_path, "server")
    assert on_node(server, {server.reference: server.digest})


def test_an_image_of_an_older_recipe_on_the_node_does_not_count(tmp_path: Path) -> None:
    server = image(tmp_path, "server")
    assert not on_node(server, {server.reference: "older"})
    assert not on_node(server, {server.reference: ""})


def test_an_image_without_a_recipe_counts_whoever_brought_it_onto_the_node(tmp_path: Path) -> None:
    foreign = wanted(FOREIGN, small_platform(tmp_path), lambda program: program)
    assert on_node(foreign, {FOREIGN: ""})
    assert not on_node(foreign, {})


def test_the_error_tells_every_way_that_was_tried_and_what_would_help(tmp_path: Path) -> None:
    gateway = image(tmp_path, "gateway")
    error = ImageUnavailable(
        gateway,
        [
            Attempt(Way.ARCHIVE, "there is no archive of it"),
            attempt_failed(Way.PULL, gateway, CarbonError("not pulled", "docker.io: no such host")),
            attempt_failed(Way.BUILD, gateway, CarbonError("failed", "exit status 100", "see the.log", ["E: line"])),
        ],
    )
    assert str(error).splitlines() == [
        "image localhost/carbon/gateway:1 can't be had",
        "cause: the cache: there is no archive of it; the registry: docker.io: no such host; "
        "the recipe: exit status 100",
        "fix: see that docker.io/acme/gateway:1 can be pulled here; or see the.log",
        "  | E: line",
    ]


def test_what_is_built_on_a_missing_image_names_that_image_and_its_reason(tmp_path: Path) -> None:
    base, server = image(tmp_path / "1", "base"), image(tmp_path / "2", "server")
    root = ImageUnavailable(base, [Attempt(Way.BUILD, "no mirror", "see base.log")])
    error = ImageUnavailable(server, [attempt_failed(Way.BUILD, server, root)], root)
    assert error.root is root
    assert "built on localhost/carbon/base:1, which can't be had (the recipe: no mirror)" in error.cause
    assert error.fix == "see base.log"


def test_images_that_fail_for_the_same_reason_tell_it_once(tmp_path: Path) -> None:
    base = image(tmp_path / "base", "base")
    root = ImageUnavailable(base, [Attempt(Way.BUILD, "no mirror", "see base.log", ("last line",))])
    failures = {}
    for name in ("server", "gateway"):
        one = image(tmp_path / name, name)
        failures[one.reference] = ImageUnavailable(one, [attempt_failed(Way.BUILD, one, root)], root)
    error = ImagesUnavailable(failures)
    assert error.summary.startswith("2 images can't be had: localhost/carbon/gateway:1, localhost/carbon/server:1")
    assert error.cause == "image localhost/carbon/base:1 can't be had: the recipe: no mirror"
    assert error.evidence == ("last line",)
