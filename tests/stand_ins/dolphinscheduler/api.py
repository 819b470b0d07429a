"""The stand-in's API: the recorded endpoints, their answers and their refusals."""

import dataclasses
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tests.stand_ins.dolphinscheduler.recording import recorded_body, recorded_entry
from tests.stand_ins.dolphinscheduler.state import DatabaseLost, Document, Keeper, State, md5
from tests.stand_ins.dolphinscheduler.work import clock, fold, registered

BASE = "/dolphinscheduler"


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked. `path` is without the base; `form` and `query` hold text, as they came."""

    method: str
    path: str
    form: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By names in lower case."""


@dataclasses.dataclass(frozen=True)
class Response:
    """What is answered; no body when it is None."""

    status: int
    body: Any
    content_type: str = "application/json"


class Refusal(Exception):
    """The server's own no: a code and a message, with a status of HTTP that may be one of success."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def success(data: Any, status: int = 200, message: str = "success") -> Response:
    return Response(status, {"code": 0, "msg": message, "data": data, "failed": False, "success": True})


def page(entries: list[Any], query: Mapping[str, str]) -> Response:
    """Entries the way lists are given."""
    size, number = int(query["pageSize"]), int(query["pageNo"])
    data = recorded_body("tenants")["data"]
    data |= {
        "totalList": entries[(number - 1) * size : number * size],
        "total": len(entries),
        "totalPage": -(-len(entries) // size),
        "pageSize": size,
        "currentPage": number,
    }
    return success(data)


def health(keeper: Keeper, part: str) -> Response:
    """The health endpoint of a server: 503 when the database can't be used."""
    kind = "application/vnd.spring-boot.actuator.v3+json"
    try:
        with keeper.transaction():
            pass
    except DatabaseLost as lost:
        db = {"status": "DOWN", "details": {"error": f"CannotGetJdbcConnectionException: {lost}"}}
        return Response(503, {"status": "DOWN", "components": {part: {"status": "UP"}, "db": db}}, kind)
    db = {"status": "UP", "details": {"database": "PostgreSQL", "validationQuery": "isValid()"}}
    return Response(200, {"status": "UP", "components": {part: {"status": "UP"}, "db": db}}, kind)


class Api:
    """Answers requests from the state; `thing` is `workflow`, or `process` for the generation before 3.3."""

    def __init__(self, keeper: Keeper, thing: str = "workflow") -> None:
        self._keeper, self._thing = keeper, thing
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = []
        for (method, path), handler in _ROUTES.items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_-]+)", path.replace("workflow", thing))
            self._routes.append((method, re.compile(pattern), handler))
        kinds = "MASTER|WORKER|ALERT_SERVER" if thing == "workflow" else "masters|workers"
        self._routes.append(("GET", re.compile(f"/monitor/(?P<kind>{kinds})"), _monitor))

    def answer(self, request: Request) -> Response:
        """The answer to one request."""
        if request.path == "/actuator/health":
            return health(self._keeper, "api")
        if request.path == "/actuator/health/liveness":
            return Response(200, {"status": "UP"})
        try:
            with self._keeper.transaction() as state:
                return self._within(state, self._in_new_words(request))
        except DatabaseLost as lost:
            refusal = Refusal(10000, f"Internal Server Error: Failed to obtain JDBC Connection: {lost}")
        except Refusal as raised:
            refusal = raised
        body = {"code": refusal.code, "msg": str(refusal), "data": None, "failed": True, "success": False}
        return Response(refusal.status, body)

    def _in_new_words(self, request: Request) -> Request:
        if self._thing == "workflow":
            return request

        def new(given: Mapping[str, str]) -> dict[str, str]:
            names = {"processDefineCode": "workflowDefinitionCode"}
            return {names.get(k, k.replace("process", "workflow")): v for k, v in given.items()}

        return dataclasses.replace(request, form=new(request.form), query=new(request.query))

    def _within(self, state: State, request: Request) -> Response:
        if request.path != "/login" and not _known(state, request):
            return Response(401, None)
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                given = {k: int(v) if v.isdigit() else v for k, v in match.groupdict().items()}
                response = handler(state, request, **given)
                return dataclasses.replace(response, body=fold(response.body, self._thing))
        body = {"timestamp": clock(), "status": 404, "error": "Not Found", "path": BASE + request.path}
        return Response(404, body)


def _known(state: State, request: Request) -> bool:
    given = request.headers.get("sessionid") or request.headers.get("token")
    return given is not None and any(one["secret"] == given for one in state.all("session"))


def _login(state: State, request: Request) -> Response:
    if state.password_hash(request.form["userName"]) != md5(request.form["userPassword"]):
        raise Refusal(10013, "user name or password error")
    return success({"securityConfigType": "PASSWORD", "sessionId": _session(state)}, message="login success")


def _session(state: State) -> str:
    key, secret = state.new_id(), secrets.token_hex(16)
    state.put("session", key, {"secret": secret})
    return secret


def _token(state: State, request: Request) -> Response:
    data = recorded_body("create-token")["data"]
    made = {"id": state.new_id(), "token": _session(state), "expireTime": request.form["expireTime"]}
    return success({**data, **made, "createTime": clock(), "updateTime": clock()}, 201)


def _tenants(state: State, request: Request) -> Response:
    return page([recorded_entry("tenants")], request.query)


def _projects(state: State, request: Request) -> Response:
    return success([{**one, "userName": None} for one in state.all("project")])


def _create_project(state: State, request: Request) -> Response:
    name = request.form["projectName"]
    if any(one["name"] == name for one in state.all("project")):
        raise Refusal(10019, f"project {name} already exists", 201)
    key = state.new_id()
    body = recorded_body("create-project")["data"]
    body |= {"id": key, "code": _code(key), "name": name, "description": request.form.get("description", "")}
    body |= {"createTime": clock(), "updateTime": clock()}
    state.put("project", key, body)
    return success(body, 201)


def _code(key: int) -> int:
    return 190_000_000_000_000 + key


def _task_codes(state: State, request: Request, project: int) -> Response:
    return success([_code(state.new_id()) for _ in range(int(request.query["genNum"]))])


def _definition(state: State, code: int) -> Document:
    found = state.get("definition", code)
    if found is None:
        raise Refusal(50003, f"workflow definition {code} does not exist")
    return found


def _shown(state: State, definition: Document) -> Document:
    """A definition the way the list gives it."""
    schedule = next((one for one in state.all("schedule") if one["definition"] == definition["code"]), None)
    entry = recorded_entry("list-workflows")
    entry |= {k: definition[k] for k in ("id", "code", "name", "version", "releaseState", "description")}
    entry |= {"projectCode": definition["project"], "scheduleReleaseState": schedule and schedule["releaseState"]}
    return entry


def _definitions(state: State, request: Request, project: int) -> Response:
    wanted = request.query.get("searchVal", "")
    mine = [one for one in state.all("definition") if one["project"] == project and wanted in one["name"]]
    return page([_shown(state, one) for one in mine], request.query)


def _create_definition(state: State, request: Request, project: int) -> Response:
    name = request.form["name"]
    if any(one["name"] == name and one["project"] == project for one in state.all("definition")):
        raise Refusal(10168, f"workflow definition name {name} already exists")
    key = state.new_id()
    code = _code(key)
    body: Document = {"id": key, "code": code, "project": project, "releaseState": "OFFLINE", "version": 1}
    body |= _written(request.form, {})
    state.put("definition", code, body)
    told = recorded_body("create-workflow")["data"]
    return success({**told, "id": key, "code": code, "name": name, "projectCode": project}, 201)


def _written(form: Mapping[str, str], before: Mapping[int, Document]) -> Document:
    """The parts of a definition that a person writes. A task that changed gets another version."""
    tasks = json.loads(form["taskDefinitionJson"])
    for task in tasks:
        was = before.get(task["code"])
        changed = was is not None and {**was, "version": 0} != {**task, "version": 0}
        task["version"] = was["version"] + changed if was else 1
    relations = json.loads(form["taskRelationJson"])
    return {"name": form["name"], "description": form.get("description", ""), "tasks": tasks, "relations": relations}


def _show_definition(state: State, request: Request, project: int, code: int) -> Response:
    found = _definition(state, code)
    return success(
        {
            "workflowDefinition": _shown(state, found),
            "workflowTaskRelationList": found["relations"],
            "taskDefinitionList": found["tasks"],
        }
    )


def _update_definition(state: State, request: Request, project: int, code: int) -> Response:
    found = _definition(state, code)
    if found["releaseState"] == "ONLINE":
        raise Refusal(50026, f"workflow definition {found['name']} online not allowed edit")
    written = _written(request.form, {task["code"]: task for task in found["tasks"]})
    found |= {**written, "version": found["version"] + 1}
    state.put("definition", code, found)
    return success(_shown(state, found))


def _release(state: State, request: Request, project: int, code: int) -> Response:
    found = _definition(state, code)
    state.put("definition", code, {**found, "releaseState": request.form["releaseState"]})
    if request.form["releaseState"] == "OFFLINE":
        for schedule in state.all("schedule"):
            if schedule["definition"] == code:
                state.put("schedule", schedule["id"], {**schedule, "releaseState": "OFFLINE"})
    return success(True)


def _start(state: State, request: Request, project: int) -> Response:
    code = int(request.form["workflowDefinitionCode"])
    found, key = _definition(state, code), state.new_id()
    body = {"id": key, "definition": code, "project": project, "state": "SUBMITTED_SUCCESS"}
    body |= {"name": f"{found['name']}-{key}", "startTime": clock(), "endTime": None}
    state.put("instance", key, body)
    return success([key])


def _instances(state: State, request: Request, project: int) -> Response:
    code = int(request.query.get("workflowDefinitionCode") or 0)
    mine = [one for one in state.all("instance") if one["project"] == project and code in (0, one["definition"])]
    shown = []
    for one in reversed(mine):
        entry = recorded_entry("instances-after")
        entry |= {k: one[k] for k in ("id", "name", "state", "startTime", "endTime")}
        shown.append({**entry, "workflowDefinitionCode": one["definition"], "projectCode": project})
    return page(shown, request.query)


def _delete_instance(state: State, request: Request, project: int, key: int) -> Response:
    found = state.get("instance", key)
    if found is None:
        raise Refusal(50001, f"workflow instance {key} does not exist")
    if found["state"] not in {"SUCCESS", "FAILURE"}:
        raise Refusal(50009, f"workflow instance {found['name']} state is {found['state']}, cannot be deleted")
    state.delete("instance", key)
    for task in state.all("task"):
        if task["instance"] == key:
            state.delete("task", task["id"])
    return success(None)


def _tasks(state: State, request: Request, project: int) -> Response:
    wanted = int(request.query["workflowInstanceId"])
    mine = [task for task in state.all("task") if task["instance"] == wanted]
    return page([{k: task[k] for k in ("id", "name", "state", "host")} for task in mine], request.query)


def _log(state: State, request: Request) -> Response:
    task = state.get("task", int(request.query["taskInstanceId"]))
    if task is None:
        raise Refusal(10008, "task instance not found")
    return success({"lineNum": len(task["log"].splitlines()), "message": task["log"]})


def _schedules(state: State, request: Request, project: int) -> Response:
    code = int(request.query.get("workflowDefinitionCode") or 0)
    mine = [one for one in state.all("schedule") if one["project"] == project and code in (0, one["definition"])]
    return page([{**one, "workflowDefinitionCode": one["definition"]} for one in mine], request.query)


def _create_schedule(state: State, request: Request, project: int) -> Response:
    code, key = int(request.form["workflowDefinitionCode"]), state.new_id()
    if _definition(state, code)["releaseState"] != "ONLINE":
        raise Refusal(50004, "workflow definition is not on line")
    body = {"id": key, "project": project, "definition": code, "releaseState": "OFFLINE"}
    state.put("schedule", key, {**body, **json.loads(request.form["schedule"])})
    return success({"scheduleId": key}, 201)


def _schedule(state: State, key: int) -> Document:
    found = state.get("schedule", key)
    if found is None:
        raise Refusal(10060, f"schedule {key} does not exist")
    return found


def _update_schedule(state: State, request: Request, project: int, key: int) -> Response:
    found = _schedule(state, key)
    if found["releaseState"] == "ONLINE":
        raise Refusal(10023, "online status does not allow update operations")
    state.put("schedule", key, {**found, **json.loads(request.form["schedule"])})
    return success(None)


def _switch_schedule(state: State, request: Request, project: int, key: int, to: str) -> Response:
    found = _schedule(state, key)
    if to == "online" and _definition(state, found["definition"])["releaseState"] != "ONLINE":
        raise Refusal(50004, "workflow definition is not on line")
    state.put("schedule", key, {**found, "releaseState": to.upper()})
    return success(True)


def _monitor(state: State, request: Request, kind: str) -> Response:
    return success(registered(state, kind if kind.isupper() else kind.upper().removesuffix("S")))


def _databases(state: State, request: Request) -> Response:
    return success([{**recorded_entry("monitor-databases"), "dbType": "POSTGRESQL", "date": clock()}])


_DEFINITIONS = "/projects/{project}/workflow-definition"
_INSTANCES = "/projects/{project}/workflow-instances"
_SCHEDULES = "/projects/{project}/schedules"
_ROUTES: dict[tuple[str, str], Callable[..., Response]] = {
    ("POST", "/login"): _login,
    ("POST", "/access-tokens"): _token,
    ("GET", "/tenants"): _tenants,
    ("GET", "/projects/list"): _projects,
    ("POST", "/projects"): _create_project,
    ("GET", "/projects/{project}/task-definition/gen-task-codes"): _task_codes,
    ("GET", _DEFINITIONS): _definitions,
    ("POST", _DEFINITIONS): _create_definition,
    ("GET", f"{_DEFINITIONS}/{{code}}"): _show_definition,
    ("PUT", f"{_DEFINITIONS}/{{code}}"): _update_definition,
    ("POST", f"{_DEFINITIONS}/{{code}}/release"): _release,
    ("POST", "/projects/{project}/executors/start-workflow-instance"): _start,
    ("GET", _INSTANCES): _instances,
    ("DELETE", f"{_INSTANCES}/{{key}}"): _delete_instance,
    ("GET", "/projects/{project}/task-instances"): _tasks,
    ("GET", "/log/detail"): _log,
    ("GET", _SCHEDULES): _schedules,
    ("POST", _SCHEDULES): _create_schedule,
    ("PUT", f"{_SCHEDULES}/{{key}}"): _update_schedule,
    ("POST", f"{_SCHEDULES}/{{key}}/{{to}}"): _switch_schedule,
    ("GET", "/monitor/databases"): _databases,
}
