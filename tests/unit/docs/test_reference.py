"""The tables of checks and content on their page are made from the code, and current."""

import pytest

from carbon_platform.spec import reference, registry
from tests.unit.docs import pages


def test_the_tables_of_checks_and_content_are_those_of_the_code() -> None:
    text = pages.page("checks.md")
    told = "write them: python -m carbon_platform.spec.reference docs/checks.md"
    assert reference.renewed(text) == text, told
    for dotted in [*registry.check_types(), *registry.content_types()]:
        assert f"#### `{dotted}`" in text


def test_a_check_is_told_with_its_keys_bounds_and_what_a_pass_proves() -> None:
    told = reference.checks()
    section = told.split("#### `kafka.quorum`")[1].split("####")[0]
    assert "**A pass proves:** The metadata quorum has a leader" in section
    assert "| `voters` | whole number, from 1 | `3` | Voters there must be. |" in section
    assert "`deadline`" not in section, "what every check takes is told once"
    assert "| `sql` | text, not empty | **required** |" in told
    assert "Each of `columns`:" in told


def test_every_check_says_what_a_pass_proves() -> None:
    assert [name for name, check in registry.check_types().items() if not check.summary] == []


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(KeyError):
        reference.renewed("<!-- checkz: made by hand -->\n<!-- end of checkz -->")
