"""What was recorded from a real server, and the shapes of its answers as templates."""

import copy
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"


def recording(name: str) -> Any:
    """`success`, where a workflow ran to its end, or `worker_without_sudo`, where every shell task failed."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


_CALLS = recording("success")["calls"]


def recorded_body(call: str) -> Any:
    """The body of a recorded answer, to be changed at will."""
    return copy.deepcopy(_CALLS[call]["response"]["body"])


def recorded_entry(call: str) -> dict[str, Any]:
    """The first entry of a recorded list."""
    data = recorded_body(call)["data"]
    entry: dict[str, Any] = (data["totalList"] if isinstance(data, dict) else data)[0]
    return entry
