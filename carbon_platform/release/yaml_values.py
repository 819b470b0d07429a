"""YAML as Helm reads it: by the rules of sigs.k8s.io/yaml (go.yaml.in/yaml/v2, then JSON). Pure.

Those are neither YAML 1.1's nor 1.2's: 1e+06 is a number, 0o17 and 017 are 15, `y` is true, 12:30 and a date are text.
"""

import base64
import binascii
import dataclasses
import json
import math
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any

_TAGS = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LARGEST, _LARGEST_SIGNED, _SMALLEST = 2**64 - 1, 2**63 - 1, -(2**63)
_DIGITS = 100
"""No number of 64 bits takes so many, and Python does not read thousands."""
_COPIES = 100
"""A document may grow by its aliases to so many times what is written in it."""

Scalar = str | int | float | bool | None


class Unreadable(ValueError):
    """The document is no YAML, or says what JSON can't. The text names no value: it may be a secret."""


def read_document(text: str | bytes) -> Any:
    """The first document in `text` as the JSON that Helm makes of it; None for an empty one. Raises Unreadable."""
    import yaml

    start = text.lstrip()[:1]
    if start in ("{", b"{"):
        try:
            return json.loads(text, parse_float=_of_json, parse_int=_of_json, parse_constant=_no_number)
        except ValueError:
            pass  # a flow mapping, perhaps
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        while not isinstance(event := next(events), yaml.DocumentStartEvent):
            if isinstance(event, yaml.StreamEndEvent):
                return None
        # Only the first: what may follow after `...` is not looked at.
        root = _compose(next(events), events, {})
        next(events)
        return _Reading().value(root)
    except yaml.YAMLError as error:
        raise Unreadable(str(error)) from error
    except RecursionError as error:
        raise Unreadable("it is nested too deep, or contains itself") from error


@dataclasses.dataclass(slots=True)
class _Node:
    """What is written in one place. Not PyYAML's nodes: its composer refuses an anchor that is set anew."""

    line: int
    tag: str = ""
    plain: bool = False
    """True where what a scalar is depends on its text."""
    text: str | None = None
    """Of a scalar."""
    items: "list[_Node]" = dataclasses.field(default_factory=list)
    pairs: "list[tuple[_Node, _Node]] | None" = None
    """Of a mapping."""


def _compose(event: Any, events: Iterator[Any], anchors: dict[str, _Node]) -> _Node:
    import yaml

    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise Unreadable(f"line {line}: nothing has the anchor of this alias")
        return anchors[event.anchor]
    node = _Node(line)
    if event.anchor:
        anchors[event.anchor] = node
    if isinstance(event, yaml.ScalarEvent):
        node.tag, node.text, node.plain = event.tag or "", event.value, event.implicit[0]
    elif isinstance(event, yaml.SequenceStartEvent):
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            node.items.append(_compose(event, events, anchors))
    else:
        node.pairs = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = _compose(event, events, anchors)
            node.pairs.append((key, _compose(next(events), events, anchors)))
    return node


class _Reading:
    """What the nodes of one document mean."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._count = 0

    def value(self, node: _Node) -> Any:
        """The JSON value of a node."""
        self._seen.add(id(node))
        self._count += 1
        if self._count > 1000 and self._count > _COPIES * len(self._seen):
            raise Unreadable("excessive aliasing")
        if node.text is not None:
            return _number(_scalar(node, node.text))
        if node.pairs is None:
            return [self.value(item) for item in node.items]
        found: dict[str, Any] = {}
        self._fill(found, node.pairs)
        return found

    def _fill(self, found: dict[str, Any], pairs: Iterable[tuple[_Node, _Node]]) -> None:
        """In the order written: also a merge takes the place of what stands before it."""
        for key, value in pairs:
            if key.text is None:
                raise Unreadable(f"line {key.line}: a mapping or a list can't be a key")
            if key.text == "<<" and (key.plain or key.tag == _TAGS + "merge"):
                # The earlier one of several goes before.
                for part in reversed(value.items) if value.pairs is None and value.text is None else (value,):
                    if part.pairs is None:
                        raise Unreadable(f"line {part.line}: a merge (<<) takes a mapping, or a list of mappings")
                    self._fill(found, part.pairs)
            else:
                found[_key(_scalar(key, key.text))] = self.value(value)


def _scalar(node: _Node, text: str) -> Scalar:
    if node.plain:
        return _plain(text)
    kind = node.tag.removeprefix(_TAGS)
    if kind == "binary":
        try:
            return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode("utf-8", "replace")
        except binascii.Error as error:
            raise Unreadable(f"line {node.line}: !!binary is not base64") from error
    allowed = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(kind)
    if allowed is None or not node.tag.startswith(_TAGS):
        return text  # !!str, !!timestamp, and what nobody knows
    value = _plain(text)
    if allowed is float and type(value) is int:
        value = float(value)
    if type(value) is not allowed:
        raise Unreadable(f"line {node.line}: a value that is not of its tag !!{kind}")
    return value


def _plain(text: str) -> Scalar:
    """What an unquoted scalar is."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        number = _float(text)
    elif text[0] in "+-0123456789":
        digits = text.replace("_", "")
        number = _integer(digits)
        number = _float(digits) if number is None else number
    else:
        return text
    return text if number is None else number


def _integer(digits: str) -> int | None:
    """What Go's ParseInt of base 0, or else its ParseUint, makes of it."""
    match = _INTEGER.fullmatch(digits)
    if match is None or len(digits) > _DIGITS:
        return None
    sign, *bases = match.groups()
    found = next(int(part, base) for part, base in zip(bases, _BASES, strict=True) if part is not None)
    found = -found if sign == "-" else found
    return found if _SMALLEST <= found <= (_LARGEST_SIGNED if sign else _LARGEST) else None


def _float(digits: str) -> float | None:
    number = float(digits) if _FLOAT.fullmatch(digits) else math.inf
    return None if math.isinf(number) else number


def _number(value: Scalar) -> Scalar:
    """As it comes out of JSON: what has no fraction is whole, what is beyond 64 bits a float."""
    if isinstance(value, float):
        if not math.isfinite(value):
            _no_number(str(value))
        return int(value) if value.is_integer() and _SMALLEST <= value <= _LARGEST_SIGNED else value
    return float(value) if isinstance(value, int) and value > _LARGEST_SIGNED else value


def _of_json(digits: str) -> Scalar:
    return _number(float(digits) if set(digits) & set(".eE") else int(digits))


def _no_number(_: str) -> None:
    raise Unreadable("JSON knows neither infinity nor .nan")


def _key(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _short(value)
    if value is None or value > _LARGEST_SIGNED:
        raise Unreadable("null, or a number beyond 64 bits, can't be a key")
    return str(value)


def _short(value: float) -> str:
    """What Go's FormatFloat(value, 'g', -1, 32) writes."""
    if not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    try:
        single = struct.pack("f", value)
        value = struct.unpack("f", single)[0]
    except OverflowError:
        return ".inf" if value > 0 else "-.inf"
    shortest = (f"{value:.{places}e}" for places in range(17))
    text = next(text for text in shortest if struct.pack("f", float(text)) == single)
    mantissa, _, exponent = text.partition("e")
    power, digits = int(exponent), len(mantissa.replace("-", "").replace(".", ""))
    return f"{float(text):.{max(0, digits - 1 - power)}f}" if -4 <= power < 6 else text
