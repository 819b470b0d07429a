"""What was recorded from a real server, played again as it was answered then."""

import copy
import json
import time
from typing import Any

from tests.stand_ins.dolphinscheduler.api import Request, Response, page
from tests.stand_ins.dolphinscheduler.recording import recording


class Replay:
    """Answers as the real server did; what was not recorded is not there.

    Two answers are made up of what was recorded: the details of the definition, which are what its recorded creation
    sent, and its schedules, of which it had none. The servers' last reports are moved to now.
    """

    def __init__(self, name: str) -> None:
        told = recording(name)
        self._calls: dict[str, Any] = told["calls"]
        self._states: list[list[str]] = list(told["states_while_polling"])
        self._started = False

    def answer(self, request: Request) -> Response:
        """The recorded answer to a request."""
        if request.path == "/login":
            known = request.form == self._calls["login"]["request"]["form"]
            return self._recorded("login" if known else "login-wrong-password")
        if request.path == "/projects/list":
            return self._recorded("list-projects-with-token" if "sessionid" in request.headers else "unauthenticated")
        created = self._calls["create-workflow"]["request"]
        definition = self._calls["list-workflows"]["response"]["body"]["data"]["totalList"][0]
        match request.method, request.path:
            case "GET", path if path == f"{created['path']}/{definition['code']}":
                return self._details(created["form"], definition)
            case "GET", path if path.endswith("/schedules"):
                return page([], request.query)
            case "POST", path if path == self._calls["start"]["request"]["path"]:
                self._started = True
                return self._recorded("start")
            case "GET", path if path == self._calls["instances-after"]["request"]["path"]:
                return self._instances()
            case "GET", path if path.startswith("/monitor/"):
                return self._servers(path)
        for name, call in self._calls.items():
            if (call["request"]["method"], call["request"]["path"]) == (request.method, request.path):
                return self._recorded(name)
        return Response(404, {"status": 404, "error": "Not Found", "path": request.path})

    def _recorded(self, name: str) -> Response:
        response = copy.deepcopy(self._calls[name]["response"])
        return Response(response["status"], response["body"] or None, response.get("content_type", "application/json"))

    def _details(self, form: dict[str, str], definition: dict[str, Any]) -> Response:
        data = {
            "workflowDefinition": definition,
            "workflowTaskRelationList": json.loads(form["taskRelationJson"]),
            "taskDefinitionList": json.loads(form["taskDefinitionJson"]),
        }
        return Response(200, {"code": 0, "msg": "success", "data": data, "failed": False, "success": True})

    def _instances(self) -> Response:
        response = self._recorded("instances-after")
        entries = response.body["data"]["totalList"]
        started = self._calls["start"]["response"]["body"]["data"][0]
        if not self._started:
            entries[:] = [one for one in entries if one["id"] < started]
            return response
        states = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        for entry, state in zip(entries, states, strict=True):
            entry["state"] = state
        return response

    def _servers(self, path: str) -> Response:
        name = next(n for n, call in self._calls.items() if call["request"]["path"] == path)
        response = self._recorded(name)
        for entry in response.body["data"]:
            if "resInfo" in entry:
                entry["resInfo"] = json.dumps({**json.loads(entry["resInfo"]), "reportTime": int(time.time() * 1000)})
        return response
