"""An Iceberg REST catalogue in memory, as far as the checks use one."""

import copy
import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.unit.checks.loopback_http import Answer, Request


def refused(status: int, kind: str, message: str) -> Answer:
    return status, {"error": {"type": kind, "message": message, "code": status}}


class StubCatalogue:
    """Keeps namespaces and tables. `broken` gets each request first, and may answer it instead."""

    def __init__(self, broken: Callable[[Request], Answer | None] = lambda request: None) -> None:
        self.namespaces: dict[str, dict[str, dict[str, Any]]] = {}
        self.requests: list[Request] = []
        self._broken = broken
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            return self._broken(request) or self._answer(request)

    def _answer(self, request: Request) -> Answer:
        parts = urlsplit(request.path).path.strip("/").split("/")[1:]
        match request.method, parts:
            case "GET", ["config"]:
                return 200, {"defaults": {}, "overrides": {}, "endpoints": ["GET /v1/config"]}
            case "GET", ["namespaces"]:
                return 200, {"namespaces": [[name] for name in self.namespaces]}
            case "POST", ["namespaces"]:
                self.namespaces[request.json["namespace"][0]] = {}
                return 200, request.json
            case method, ["namespaces", name, *rest]:
                if name not in self.namespaces:
                    return refused(404, "NoSuchNamespaceException", f"Namespace does not exist: {name}")
                return self._within(method, name, rest, request)
        return refused(400, "BadRequest", request.path)

    def _within(self, method: str, namespace: str, rest: list[str], request: Request) -> Answer:
        tables = self.namespaces[namespace]
        match method, rest:
            case "HEAD", []:
                return 204, None
            case "DELETE", []:
                if tables:
                    return refused(409, "NamespaceNotEmptyException", f"{namespace} is not empty")
                del self.namespaces[namespace]
                return 204, None
            case "GET", ["tables"]:
                return 200, {"identifiers": [{"namespace": [namespace], "name": name} for name in tables]}
            case "POST", ["tables"]:
                tables[request.json["name"]] = _made(namespace, request.json)
                return 200, tables[request.json["name"]]
            case _, ["tables", name] if name not in tables:
                return refused(404, "NoSuchTableException", f"Table does not exist: {namespace}.{name}")
            case "GET", ["tables", name]:
                return 200, tables[name]
            case "DELETE", ["tables", name]:
                del tables[name]
                return 204, None
            case "POST", ["tables", name]:
                return self._commit(tables, name, request.json)
        return refused(400, "BadRequest", request.path)

    @staticmethod
    def _commit(tables: dict[str, dict[str, Any]], name: str, body: dict[str, Any]) -> Answer:
        table = copy.deepcopy(tables[name])
        metadata = table["metadata"]
        for wanted in body["requirements"]:
            key = {"assert-table-uuid": "table-uuid", "assert-current-schema-id": "current-schema-id"}[wanted["type"]]
            if wanted.get(key, wanted.get("uuid")) != metadata[key]:
                return refused(409, "CommitFailedException", f"Requirement failed: {wanted['type']}")
        for update in body["updates"]:
            _update(metadata, update)
        table["metadata-location"] += "+"
        tables[name] = table
        return 200, table


def _made(namespace: str, request: dict[str, Any]) -> dict[str, Any]:
    properties = dict(request["properties"])
    properties.pop("format-version", None)
    location = f"s3://warehouse/{namespace}/{request['name']}"
    metadata = {
        "table-uuid": str(uuid.uuid4()),
        "location": location,
        "schemas": [request["schema"]],
        "current-schema-id": 0,
        "last-column-id": max(field["id"] for field in request["schema"]["fields"]),
        "partition-specs": [request.get("partition-spec") or {"spec-id": 0, "fields": []}],
        "default-spec-id": 0,
        "properties": properties,
    }
    return {"metadata-location": f"{location}/metadata/0", "metadata": metadata}


def _update(metadata: dict[str, Any], update: dict[str, Any]) -> None:
    match update["action"]:
        case "set-properties":
            metadata["properties"] |= update["updates"]
        case "add-schema":
            metadata["schemas"].append({**update["schema"], "schema-id": len(metadata["schemas"])})
            metadata["last-column-id"] = update["last-column-id"]
        case "set-current-schema":
            metadata["current-schema-id"] = len(metadata["schemas"]) - 1
        case "add-spec":
            specs = metadata["partition-specs"]
            specs.append({**update["spec"], "spec-id": len(specs)})
        case "set-default-spec":
            metadata["default-spec-id"] = len(metadata["partition-specs"]) - 1
        case other:
            raise AssertionError(f"unknown update {other}")
