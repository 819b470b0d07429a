"""The stand-in answers the recorded requests as the real server did."""

import json
from typing import Any

import pytest

from tests.stand_ins.dolphinscheduler.api import Request, Response
from tests.stand_ins.dolphinscheduler.recording import recording
from tests.stand_ins.dolphinscheduler.world import World

CALLS = recording("success")["calls"]


class Player:
    """Sends what was recorded, with the codes that this server gave in place of those of the other."""

    def __init__(self) -> None:
        self.world = World()
        self._codes: dict[str, str] = {}
        self._headers: dict[str, str] = {}

    def play(self, name: str) -> tuple[Response, Any]:
        """The answer to a recorded request, and the recorded answer."""
        told = self._translate(CALLS[name]["request"])
        anonymous = name in {"unauthenticated", "login", "login-wrong-password"}
        text = {part: {k: str(v) for k, v in (told.get(part) or {}).items()} for part in ("form", "query")}
        headers = {} if anonymous else self._headers
        response = self.world.answer(Request(told["method"], told["path"], text["form"], text["query"], headers))
        recorded = CALLS[name]["response"]
        self._learn(name, recorded["body"], response.body)
        return response, recorded

    def _translate(self, request: Any) -> Any:
        text = json.dumps(request)
        for theirs, ours in self._codes.items():
            text = text.replace(theirs, ours)
        return json.loads(text)

    def _learn(self, name: str, theirs: Any, ours: Any) -> None:
        if name == "login":
            self._headers = {"sessionid": ours["data"]["sessionId"]}
        if name in {"create-project", "create-workflow"}:
            self._codes[str(theirs["data"]["code"])] = str(ours["data"]["code"])
        if name == "gen-task-codes":
            self._codes |= {str(a): str(b) for a, b in zip(theirs["data"], ours["data"], strict=True)}


def shape(value: Any) -> Any:
    """Keys and types, with one entry for each list."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


ORDER = [name for name in CALLS if name not in {"health", "monitor-databases"}]


def test_every_recorded_request_is_answered_in_the_recorded_shape() -> None:
    player = Player()
    for name in ORDER:
        response, recorded = player.play(name)
        assert response.status == recorded["status"], name
        if recorded["body"] == "":
            assert response.body is None
            continue
        assert response.content_type == recorded.get("content_type", "application/json"), name
        for key in ("code", "failed", "success"):
            assert response.body[key] == recorded["body"][key], name
        ours, theirs = shape(response.body["data"]), shape(recorded["body"]["data"])
        if name == "list-projects-with-token":
            assert ours[0].keys() == theirs[0].keys()
        elif name not in {"create-workflow", "list-workflows", "instances-after"}:  # compared without what may be null
            assert ours == theirs, name
        else:
            ours, theirs = (one.get("totalList", [one])[0] for one in (ours, theirs))
            assert ours.keys() == theirs.keys(), name


@pytest.mark.parametrize("name", ["create-project-again", "create-workflow-again", "login-wrong-password"])
def test_a_refusal_says_what_the_real_server_said(name: str) -> None:
    player = Player()
    for earlier in ORDER[: ORDER.index(name)]:
        player.play(earlier)
    response, recorded = player.play(name)
    assert response.body == recorded["body"]
