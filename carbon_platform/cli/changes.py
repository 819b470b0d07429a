"""How a field that differs is shown: by its two values, or line by line where it is a text of many."""

from typing import Any

from rich.text import Text

from carbon_platform.cli.present import print_wrapped
from carbon_platform.release.difference import FieldDifference

_INDENT = 6
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_field(field: FieldDifference) -> None:
    """The field, below its object."""
    print_wrapped(Text(field.head, style="dim"), _INDENT)
    for line in field.lines:
        print_wrapped(Text(line, style=_STYLES.get(line[:1], "dim")), _INDENT + 2)


def field_as_json(field: FieldDifference) -> dict[str, Any]:
    """The field in the words that all commands share; `lines` only of a text of many."""
    return {"path": field.path, "live": field.live, "desired": field.desired, "lines": list(field.lines)}
