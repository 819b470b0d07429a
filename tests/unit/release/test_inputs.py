"""What a revision was rendered from is written on it, and only a change of that makes a new render."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.release.inputs import LABEL, Inputs, asks_the_cluster, draws, inputs, labelled
from carbon_platform.spec.platform import Release
from tests.definitions import Definitions

_HEX = "0123456789abcdef"


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    return Definitions(tmp_path)


def release(definitions: Definitions, template: str = "", key: str = "app", **attributes: Any) -> Release:
    definitions.chart(all=template)
    definitions.release(key, **attributes)
    found = definitions.load().components[key].release
    assert found is not None
    return found


@given(st.text(_HEX, min_size=16, max_size=16), st.text(_HEX, min_size=8, max_size=8), st.integers(1, 10**6))
def test_a_label_tells_what_it_was_made_of_and_of_its_own_revision_only(
    definition: str, environment: str, number: int
) -> None:
    made_of = Inputs(definition, environment)
    label = made_of.label(number)
    assert labelled({LABEL: label}, number) == made_of
    assert labelled({LABEL: label}, number + 1) is None
    assert len(label) <= 63


@given(st.text(max_size=40))
def test_a_label_that_somebody_wrote_is_none(text: str) -> None:
    assert labelled({LABEL: text}, 1) is None
    assert labelled({}, 1) is None


def test_the_digest_is_the_same_whenever_nothing_changed(definitions: Definitions) -> None:
    assert inputs(release(definitions), "helm", "1.34") == inputs(release(definitions), "helm", "1.34")


@pytest.mark.parametrize(
    "changed", [{"values": {"a": 1}}, {"namespace": "there"}, {"release": "other"}], ids=lambda one: next(iter(one))
)
def test_a_definition_that_changed_has_another_digest(definitions: Definitions, changed: dict[str, Any]) -> None:
    before, after = inputs(release(definitions), "", ""), inputs(release(definitions, **changed), "", "")
    assert before.definition != after.definition
    assert before.environment == after.environment


def test_a_template_that_changed_has_another_digest(definitions: Definitions) -> None:
    before = inputs(release(definitions, "a: 1"), "", "")
    assert inputs(release(definitions, "a: 2"), "", "").definition != before.definition


def test_another_helm_or_cluster_is_another_environment(definitions: Definitions) -> None:
    one = release(definitions)
    found = {inputs(one, helm, cluster).environment for helm in ("4.0", "4.1") for cluster in ("1.33", "1.34")}
    assert len(found) == 4


TEMPLATES = {
    "a: {{ .Values.a }}": (False, False),
    "a: {{ randAlphaNum 8 }}": (False, True),
    "a: {{ genCA `x` 1 }}": (False, True),
    "a: {{ now | date `2006` }}": (False, True),
    "a: {{ .Release.Revision }}": (False, True),
    "a: {{ $.Release.Revision | quote }}": (False, True),
    "a: {{ lookup `v1` `Secret` `x` `y` }}": (True, True),
    "a: {{ .Capabilities.KubeVersion }}": (True, True),
    "a: {{ .Values.brand }}": (False, False),
}


@pytest.mark.parametrize(("template", "found"), TEMPLATES.items(), ids=TEMPLATES.keys())
def test_a_chart_tells_whether_it_asks_or_draws(
    definitions: Definitions, template: str, found: tuple[bool, bool]
) -> None:
    one = release(definitions, template)
    assert (asks_the_cluster(one), draws(one)) == found


def test_values_that_are_templates_count_and_a_chart_that_can_not_be_read_may_do_anything(
    definitions: Definitions,
) -> None:
    assert draws(release(definitions, values={"password": "{{ randAlphaNum 8 }}"}))
    one = release(definitions)
    elsewhere = dataclasses.replace(one, chart=dataclasses.replace(one.chart, folder=None))
    assert asks_the_cluster(elsewhere)
    assert draws(elsewhere)
