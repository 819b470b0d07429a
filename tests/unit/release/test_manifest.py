"""Manifests are read as Helm reads them."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.errors import CarbonError
from carbon_platform.release.manifest import crds_of, load_objects
from carbon_platform.release.yaml_values import Unreadable, read_document
from tests.objects import obj

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e+06", 1_000_000),
        ("1.5e3", 1500),
        ("1.0", 1),
        ("1.", 1),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e400", "1e400"),
        ("0x50", 80),
        ("-0x10", -16),
        ("0o17", 15),
        ("017", 15),
        ("08", 8),
        ("0b11", 3),
        ("1_000", 1000),
        ("0x", "0x"),
        ("+", "+"),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2.0**64),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("1" * 5000, "1" * 5000),
        ("yes", True),
        ("y", True),
        ("N", False),
        ("Off", False),
        ("yEs", "yEs"),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("12:30:45", "12:30:45"),
        ("2001-12-14", "2001-12-14"),
        ("2001-12-14T21:59:43Z", "2001-12-14T21:59:43Z"),
        ("=", "="),
        ("'1e+06'", "1e+06"),
        ('"yes"', "yes"),
        ("!!str 12", "12"),
        ('!!int "12"', 12),
        ("!!float 3", 3),
        ("!!binary aGk=", "hi"),
        ("!anything 12", "12"),
    ],
)
def test_a_value_is_what_helm_takes_it_for(written: str, meant: Any) -> None:
    read = read_document(f"a: {written}")["a"]
    assert (read, type(read)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("key", "meant"),
    [("1", "1"), ("0x10", "16"), ("true", "true"), ("off", "false"), ("1.5", "1.5"), ("1e6", "1e+06"), ("'1'", "1")],
)
def test_a_key_that_is_no_text_becomes_one(key: str, meant: str) -> None:
    assert read_document(f"{key}: x") == {meant: "x"}


def test_the_last_of_two_equal_keys_holds() -> None:
    assert read_document("a: 1\nb: 2\na: 3\n") == {"a": 3, "b": 2}


def test_a_merge_takes_the_place_of_what_stands_before_it_and_the_first_of_several_goes_before() -> None:
    text = "x: &x {p: 1, q: 1}\ny: &y {q: 2, r: 2}\nm: {p: 3, <<: [*x, *y], r: 4}\n"
    assert read_document(text)["m"] == {"p": 1, "q": 1, "r": 4}


@pytest.mark.parametrize(
    "text",
    [
        *"{\x01",
        "[" * 5000,
        "a: 'x",
        "a: b: c",
        "a: .inf",
        "a: .nan",
        "? [a]\n: b",
        "~: b",
        "a: !!int x",
        "a: !!binary '*'",
        "a: {<<: 3}",
        "a: &a [*a]",
        "a: *b",
    ],
)
def test_what_json_cannot_say_is_told_and_not_guessed(text: str) -> None:
    with pytest.raises(Unreadable):
        read_document(text)


def test_an_anchor_may_be_set_anew() -> None:
    assert read_document("[&x 1, *x, &x 2, *x]") == [1, 1, 2, 2]


def test_a_document_that_swells_by_its_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(Unreadable, match="aliasing"):
        read_document("\n".join(lines))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert read_document(json.dumps({"a": value})) == {"a": value}


@given(st.text("0123456789+-_.:eExobyYnNtTfFaA~<=&*!\"'{}[], \n#", max_size=12) | st.text(max_size=12))
def test_any_text_is_json_or_unreadable(text: str) -> None:
    try:
        read = read_document(text)
    except Unreadable:
        return
    assert json.loads(json.dumps(read, allow_nan=False)) == read


def test_a_manifest_is_its_objects_without_the_empty_documents() -> None:
    text = f"---\n# only a comment\n---\n{CONFIG % 'a'}---\nnull\n---{CONFIG % 'b'}"
    assert [found["metadata"]["name"] for found in load_objects(text)] == ["a", "b"]


def test_lists_of_every_kind_are_taken_apart_and_their_items_take_their_kind_from_them() -> None:
    text = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: a}}
- apiVersion: v1
  kind: ConfigMapList
  items:
  - {metadata: {name: b}}
  - {apiVersion: example.com/v1, kind: Thing, metadata: {name: c}}
---
{apiVersion: v1, kind: List, items: null}
"""
    assert load_objects(text) == [
        obj("Secret", "a", namespace=""),
        obj("ConfigMap", "b", namespace=""),
        obj("Thing", "c", namespace="", api_version="example.com/v1"),
    ]


@pytest.mark.parametrize("namespace", ["''", "null", "7", "[]"])
def test_a_namespace_that_is_no_text_is_none(namespace: str) -> None:
    (found,) = load_objects(f"{{apiVersion: v1, kind: Secret, metadata: {{name: a, namespace: {namespace}}}}}")
    assert "namespace" not in found["metadata"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("just text", "it is no object"),
        ("[1]", "it is no object"),
        ("kind: X", "no apiVersion"),
        ("apiVersion: v1", "no kind"),
        ("{apiVersion: v1, kind: X}", "no metadata"),
        ("{apiVersion: v1, kind: X, metadata: []}", "no metadata"),
        ("{apiVersion: v1, kind: X, metadata: {name: 7}}", "no name"),
        ("{apiVersion: v1, kind: X, metadata: {generateName: x-}}", "no name"),
        ("{apiVersion: v1, kind: List, items: 3}", "no list"),
        ("{apiVersion: v1, kind: List, items: [3]}", "item of its List"),
        ("a: b: c", "can't be read"),
    ],
)
def test_what_is_no_object_is_told_with_its_template(text: str, why: str) -> None:
    with pytest.raises(CarbonError, match=r"app/templates/a\.yaml") as caught:
        load_objects(f"---\n# Source: app/templates/a.yaml\n{text}\n")
    assert why in caught.value.cause


def test_a_hook_may_be_named_by_the_api_server() -> None:
    text = "{apiVersion: v1, kind: Pod, metadata: {generateName: x-, annotations: {helm.sh/hook: test}}}"
    assert len(load_objects(text)) == 1


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("apiVersion", "kind", "metadata", "items"), JSON)))
def test_no_shape_of_a_document_raises_anything_but_its_own_error(value: Any) -> None:
    try:
        found = load_objects(json.dumps(value))
    except CarbonError:
        return
    assert all(isinstance(each["metadata"], dict) for each in found)


def test_of_the_files_in_crds_only_manifests_are_read() -> None:
    def file(name: str, text: str) -> dict[str, str]:
        return {"name": name, "data": base64.b64encode(text.encode()).decode()}

    files = [
        file("crds/README.md", "# Not: a: manifest"),
        file("crds/make.sh", "exit 1"),
        file("crds/a.yaml", CONFIG % "a"),
        file("crds/deep/b.YML", CONFIG % "b"),
        file("crds/c.json", json.dumps(obj("ConfigMap", "c"))),
        file("files/d.yaml", CONFIG % "d"),
    ]
    assert [found["metadata"]["name"] for found in crds_of(files)] == ["a", "b", "c"]
