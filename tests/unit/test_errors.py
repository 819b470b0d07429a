"""Errors as text, and back."""

from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, Crash, Unreachable, foreseen

LINE = st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=30)


@given(LINE.filter(bool), LINE, LINE, st.lists(LINE, max_size=3))
def test_an_error_is_read_from_what_it_was_written_as(summary: str, cause: str, fix: str, evidence: list[str]) -> None:
    error = CarbonError.read(str(CarbonError(summary, cause, fix, evidence)))
    told = (error.summary, error.cause, error.fix, list(error.evidence))
    if not summary.startswith(("cause: ", "fix: ", "  | ")):
        assert told == (summary, cause, fix, evidence)


def test_what_nobody_foresaw_is_told_with_its_place_in_the_code() -> None:
    try:
        ObjectName.of({"kind": "Service"})
    except KeyError as error:
        told = foreseen(error, "web can't be planned")
    assert isinstance(told, Crash)
    assert told.told == "web can't be planned: KeyError: 'metadata'"
    assert told.evidence[-1].startswith("carbon_platform/cluster/resources.py:")


def test_what_somebody_foresaw_is_told_as_it_is() -> None:
    error = Unreachable("nobody answers")
    assert foreseen(error, "web can't be planned") is error
