"""Errors as text, and back."""

from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.errors import CarbonError

LINE = st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=30)


@given(LINE.filter(bool), LINE, LINE, st.lists(LINE, max_size=3))
def test_an_error_is_read_from_what_it_was_written_as(summary: str, cause: str, fix: str, evidence: list[str]) -> None:
    error = CarbonError.read(str(CarbonError(summary, cause, fix, evidence)))
    told = (error.summary, error.cause, error.fix, list(error.evidence))
    if not summary.startswith(("cause: ", "fix: ", "  | ")):
        assert told == (summary, cause, fix, evidence)
