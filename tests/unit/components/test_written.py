"""What Dagster checks of a file before templates are replaced: everything but what a template will give."""

from typing import Any

import pytest
from pydantic import ValidationError

from carbon_platform.components.definition import HelmRelease

LEAST: dict[str, Any] = {"title": "app", "group": "data", "namespace": "here", "chart": {"path": "charts/app"}}
TYPED: list[dict[str, Any]] = [
    {"critical": "{{ team.critical }}"},
    {"deadline": "{{ slow() }}"},
    {"namespace": "{{ namespace_of('app') }}"},
    {"drift": {"policy": "{{ policy }}"}},
    {"heal": {"budget": "{{ budget }}"}},
    {"endpoints": [{"name": "web", "service": "app", "port": "{{ port }}"}]},
]


@pytest.mark.parametrize("said", TYPED, ids=str)
def test_a_template_may_stand_for_a_value_of_any_type(said: dict[str, Any]) -> None:
    HelmRelease.get_model_cls().model_validate(LEAST | said)


@pytest.mark.parametrize(
    "wrong", [{"critical": "perhaps"}, {"tittle": "{{ title }}"}, {"needs": {"{{ x }}": 1}}], ids=str
)
def test_what_no_template_explains_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HelmRelease.get_model_cls().model_validate(LEAST | {"deadline": "{{ slow }}"} | wrong)
