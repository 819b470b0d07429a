"""Attributes as a file says them, for Dagster: `{{ … }}` may stand in the place of any value."""

import functools
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import ErrorDetails

from carbon_platform.spec.component import AssetAttributes

_OPENS = "{{"
_OPENING = r"\{\{"
_NO_TEXT = {"boolean", "integer", "number"}


@functools.cache
def as_written(model: type[AssetAttributes]) -> type[BaseModel]:
    """The model before templates are replaced. Everything else in it is checked as by `model`."""

    class Written(model):  # type: ignore[valid-type, misc]
        @model_validator(mode="wrap")
        @classmethod
        def _what_a_template_gives_is_checked_later(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
            try:
                return handler(data)
            except ValidationError as error:
                if not all(map(_of_a_template, error.errors())):
                    raise
                return cls.model_construct()

        @classmethod
        def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
            schema = model.model_json_schema(*args, **options)
            return _with_templates(schema)  # type: ignore[no-any-return]

    Written.__name__ = model.__name__
    Written.__doc__ = model.__doc__
    return Written


def _of_a_template(error: ErrorDetails) -> bool:
    given = error["input"]
    return isinstance(given, str) and _OPENS in given and error["type"] != "extra_forbidden"


def _with_templates(schema: Any) -> Any:
    """A JSON schema with a template allowed where it wants something else than any text."""
    if isinstance(schema, list):
        return [_with_templates(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        return schema | {"anyOf": [*map(_with_templates, schema["anyOf"]), {"type": "string", "pattern": _OPENING}]}
    if schema.get("type") in _NO_TEXT:
        return schema | {"type": [schema["type"], "string"], "pattern": _OPENING}
    if "pattern" in schema:
        return schema | {"pattern": f"(?:{schema['pattern']})|{_OPENING}"}
    if "enum" in schema:
        told = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return told | {"anyOf": [schema, {"type": "string", "pattern": _OPENING}]}
    # What stands below `properties` and `$defs` has names of its own, which may be words of JSON Schema.
    return {
        key: {name: _with_templates(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else _with_templates(value)
        if key in {"items", "additionalProperties", "prefixItems"}
        else value
        for key, value in schema.items()
    }
