"""Durations, schedules, references and merged values."""

import datetime
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from carbon_platform.spec.fields import Cron, Duration, UnknownReference, merge, substitute

DURATION = TypeAdapter(Duration)
CRON = TypeAdapter(Cron)

SCALARS = st.none() | st.booleans() | st.integers() | st.text(alphabet="abc{} .", max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def refusal(kind: TypeAdapter[Any], written: object) -> str:
    """Why a value is refused; empty when it is not."""
    try:
        kind.validate_python(written)
    except ValidationError as error:
        return str(error)
    return ""


@given(st.integers(1, 10**7))
def test_a_duration_is_as_many_seconds_as_it_says(seconds: int) -> None:
    assert DURATION.validate_python(f"{seconds}s") == seconds


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_the_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert DURATION.validate_python(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text(max_size=12) | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_whatever_is_written_is_a_positive_duration_or_refused_with_an_example(written: object) -> None:
    refused = refusal(DURATION, written)
    assert "30s, 5m or 1h30m" in refused if refused else DURATION.validate_python(written) > 0


@pytest.mark.parametrize(
    "written", ["", "5", "-5m", "0s", "1h30", "5 m", "5mm", "1d", "1h-5m", "five minutes", 300, 5.0, True]
)
def test_what_is_no_positive_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="30s, 5m or 1h30m"):
        DURATION.validate_python(written)


FIELDS = st.tuples(
    st.sampled_from(["*", "*/5", "0", "59", "1,31", "10-20"]),
    st.sampled_from(["*", "*/6", "0", "23", "8-18"]),
    st.sampled_from(["*", "1", "28"]),
    st.sampled_from(["*", "1-6", "JAN"]),
    st.sampled_from(["*", "0", "MON-FRI"]),
).map(" ".join)


@given(FIELDS)
def test_a_schedule_that_is_accepted_has_a_next_time(written: str) -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert next(CronSim(CRON.validate_python(written), start)) > start


@given(st.text(max_size=20))
def test_what_is_no_schedule_is_refused_with_an_example(written: str) -> None:
    refused = refusal(CRON, written)
    assert "*/15 * * * *" in refused if refused else len(written.split()) == 5


@pytest.mark.parametrize("written", ["* * * * * *", "@hourly", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *"])
def test_a_schedule_of_other_than_five_right_fields_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="cron fields"):
        CRON.validate_python(written)


def without_references(value: Any) -> bool:
    return "{{" not in repr(value)


@given(VALUES.filter(without_references))
def test_a_value_without_references_stays_as_it_is(value: Any) -> None:
    assert substitute(value, {"domain": "x"}) == value


@given(VALUES)
def test_a_reference_that_is_the_whole_text_keeps_the_type(value: Any) -> None:
    assert substitute({"a": ["{{ values.x }}"]}, {"values": {"x": value}}) == {"a": [value]}


@given(st.text(alphabet="ab-.", max_size=5), st.integers() | st.text(alphabet="xyz"))
def test_a_reference_inside_a_text_becomes_text(before: str, value: object) -> None:
    assert substitute(f"{before}/{{{{ name }}}}", {"name": value}) == f"{before}/{value}"


def test_what_another_program_will_replace_is_left_to_it() -> None:
    foreign = ["{{ .Release.Name }}", "{{ $labels.pod }}", "${VARIABLE}", "{{ a b }}"]
    assert substitute(foreign, {}) == foreign


def test_an_unknown_reference_says_where_it_stands_and_what_there_is() -> None:
    with pytest.raises(
        UnknownReference, match=r"values\.sise \}\} names nothing; did you mean 'size'\? There are: domain, values"
    ) as caught:
        substitute({"a": [{"b": "{{ values.sise }}"}]}, {"values": {"size": 1}, "domain": "d"})
    assert caught.value.path == ("a", 0, "b")


@given(MAPPINGS)
def test_merging_nothing_changes_nothing(values: dict[str, Any]) -> None:
    assert merge(values, {}) == values


@given(MAPPINGS, MAPPINGS)
def test_merging_twice_is_merging_once(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    once = merge(base, overlay)
    assert merge(once, overlay) == once


@given(MAPPINGS, MAPPINGS)
def test_the_overlay_wins_key_by_key(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    merged = merge(base, overlay)
    assert set(merged) == {*base, *overlay}
    for key, value in merged.items():
        if key not in overlay:
            assert value == base[key]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            assert value == merge(base[key], overlay[key])
        else:
            assert value == overlay[key]


def test_lists_are_replaced_and_a_null_is_left_to_helm_which_removes_the_default_too() -> None:
    base = {"a": {"x": 1, "y": 2}, "list": [1, 2]}
    assert merge(base, {"a": {"x": None}, "list": [3]}) == {"a": {"x": None, "y": 2}, "list": [3]}
