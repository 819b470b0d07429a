"""Which version is the lower one, and which versions can't be compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.release.versions import Versions, downgrades, lower, versions
from tests.objects import workload

NUMBERS = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
AFFIXES = st.sampled_from(["{}", "v{}", "{}-alpine", "{}-debian-12-r4", "{}+build.7", "{}.Final"])
ANYTHING = st.text(max_size=12) | st.from_regex(r"[v]?[0-9a-f.+_-]{1,12}", fullmatch=True)


@given(NUMBERS, NUMBERS, AFFIXES, AFFIXES)
def test_numbers_are_compared_whatever_stands_around_them(
    one: tuple[int, ...], other: tuple[int, ...], first: str, second: str
) -> None:
    told = [form.format(".".join(map(str, numbers))) for form, numbers in ((first, one), (second, other))]
    assert lower(*told) == (one < other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9.6", "10.1"),
        ("15", "16.2"),
        ("1.0.0-rc1", "1.0.0"),
        ("2.0.0-beta.2", "2.0.0"),
        ("3.0b1", "3.0"),
        ("4.0-SNAPSHOT", "4.0"),
        ("RELEASE.2024-01-16T16-07-38Z", "RELEASE.2024-01-18T22-51-28Z"),
        ("release-1.2", "release-1.10"),
        ("v0.9", "1.0"),
    ],
)
def test_a_lower_version_is_known_as_one(one: str, other: str) -> None:
    assert lower(one, other)
    assert not lower(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("latest", "1.0"),
        ("1.0", "latest"),
        ("", "1.0"),
        ("1.0", ""),
        ("main", "stable"),
        ("0a1b2c3", "9f8e7d6"),
        ("1a2b3c4", "2.0.0"),
        ("jdk-17", "2.0"),
        ("16", "16.2"),
        ("16.2", "16"),
        ("1.2.3-alpine", "1.2.3-bookworm"),
        ("^1.2", "2.0"),
    ],
)
def test_what_cannot_be_compared_is_not_called_lower(one: str, other: str) -> None:
    assert not lower(one, other)
    assert not lower(other, one)


@given(ANYTHING, ANYTHING)
def test_no_version_is_lower_than_itself_and_no_two_are_lower_than_each_other(one: str, other: str) -> None:
    assert not lower(one, one)
    assert not (lower(one, other) and lower(other, one))


def pods(containers: list[dict[str, str]], kind: str = "StatefulSet") -> Object:
    return workload(kind, spec={"template": {"spec": {"containers": containers}}})


def made_of(*images: str, chart: str = "1.0.0", app: str = "") -> Versions:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return versions({"version": chart, "appVersion": app}, [pods(containers)])


def test_images_are_known_by_container_and_repository() -> None:
    found = made_of("db:16.2", "here.example:5000/team/cache:7.2@sha256:00", "plain", "here.example:5000/other")
    assert found.images == {"c0/db": "16.2", "c1/cache": "7.2"}


def test_a_lower_tag_of_the_same_repository_is_a_downgrade() -> None:
    before, after = made_of("docker.example/library/db:16.2", "tool:2"), made_of("mirror.example/db:15.9", "tool:3")
    assert downgrades(before, after) == ["image of c0/db 16.2 → 15.9"]
    assert downgrades(after, before) == ["image of c1/tool 3 → 2"]


def test_another_repository_a_digest_and_a_moving_tag_are_none() -> None:
    before = made_of("db:16.2", "tool:2.0", "moving:2.0")
    assert downgrades(before, made_of("other:15.0", "tool@sha256:00", "moving:latest")) == []


def test_a_lower_app_version_is_told_beside_the_chart() -> None:
    assert downgrades(made_of(chart="2.0.0", app="16.1"), made_of(chart="1.9.0", app="15.4")) == [
        "chart version 2.0.0 → 1.9.0",
        "app version 16.1 → 15.4",
    ]
    assert downgrades(made_of(chart="2.0.0", app="16.1"), made_of(chart="2.1.0")) == []


def test_of_one_image_with_two_tags_the_higher_counts() -> None:
    one, other = pods([{"name": "c", "image": "db:15"}]), pods([{"name": "c", "image": "db:16"}], "Deployment")
    assert versions({}, [one, other]).images == versions({}, [other, one]).images == {"c/db": "16"}
