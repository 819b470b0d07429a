"""The metadata service of the stand-in for DataHub: what it answers, over a store, a log and an index given to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tests.stand_ins.datahub.serving import Answer, Request

Aspects = Mapping[str, Mapping[str, Any]]
"""Aspects of one entity by name."""


class Store(Protocol):
    """Where metadata is kept."""

    def read(self, urn: str) -> Aspects: ...
    def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None: ...
    def delete(self, urn: str) -> None: ...


class Log(Protocol):
    """Where each change is told."""

    def tell(self, urn: str, change: Mapping[str, Any]) -> None:
        """Return when the change is safe."""


class Index(Protocol):
    """What search finds."""

    def find(self, text: str) -> Sequence[str]: ...
    def put(self, urn: str, text: str) -> None: ...
    def remove(self, urn: str) -> None: ...


ENTITY = "dataset"


class Gms:
    """Answers the requests of the metadata service. Search knows of a change only when somebody has indexed it."""

    def __init__(
        self, store: Store, log: Log, index: Index, credentials: str, ready: Callable[[], bool], version: str
    ) -> None:
        self._store, self._log, self._index = store, log, index
        self._credentials, self._ready, self._version = credentials, ready, version

    def __call__(self, request: Request) -> Answer:
        parts = request.parts
        if parts == ["health"]:
            return (200 if self._ready() else 503), None
        if parts == ["config"]:
            return 200, self._config()
        if request.headers.get("authorization") != self._credentials:
            return 401, {"error": "Unauthorized to perform this action."}
        if parts == ["stand-in", "index"] and request.method == "POST":
            return self._follow(request.json)
        if parts[:4] == ["openapi", "v3", "entity", ENTITY]:
            return self._entities(request, parts[4:])
        return 404, {"error": f"the stand-in has no {request.path}"}

    def _config(self) -> dict[str, Any]:
        return {
            "models": {},
            "noCode": "true",
            "retention": "true",
            "patchCapable": True,
            "statefulIngestionCapable": True,
            "supportsImpactAnalysis": True,
            "timeZone": "GMT",
            "versions": {"acryldata/datahub": {"version": self._version, "commit": "stand-in"}},
            "datahub": {"serverType": "stand-in"},
        }

    def _entities(self, request: Request, rest: list[str]) -> Answer:
        match request.method, rest:
            case "POST", []:
                return self._ingest(request)
            case "GET", []:
                return self._search(request.query.get("query", "*"), int(request.query.get("count", "10")))
            case "GET", [urn]:
                aspects = self._store.read(urn)
                return (200, _entity(urn, aspects)) if aspects else (404, None)
            case "GET", [urn, aspect]:
                found = self._store.read(urn).get(aspect)
                return (404, None) if found is None else (200, {"value": found})
            case "DELETE", [urn]:
                self._store.delete(urn)
                self._log.tell(urn, {"entityUrn": urn, "changeType": "DELETE"})
                return 200, None
        return 405, {"error": f"the stand-in does not {request.method} {request.path}"}

    def _ingest(self, request: Request) -> Answer:
        if request.query.get("async", "true") != "false":
            return 400, {"error": "the stand-in ingests with async=false only"}
        answered = []
        for entity in request.json:
            urn = entity["urn"]
            aspects = {name: one["value"] for name, one in entity.items() if name != "urn"}
            for name, value in aspects.items():
                self._store.write(urn, name, value)
                change = {"entityUrn": urn, "changeType": "UPSERT", "aspectName": name, "aspect": value}
                self._log.tell(urn, change)
            answered.append(_entity(urn, aspects))
        return 200, answered

    def _search(self, text: str, count: int) -> Answer:
        # As in the product, what is found is read from the store, and what is not there any more is left out.
        found = [(urn, self._store.read(urn)) for urn in sorted(self._index.find(text))]
        return 200, {"entities": [_entity(urn, aspects) for urn, aspects in found if aspects][:count]}

    def _follow(self, changes: Sequence[Mapping[str, Any]]) -> Answer:
        """Bring the index up to these changes."""
        for change in changes:
            urn = change["entityUrn"]
            if change["changeType"] == "DELETE":
                self._index.remove(urn)
            else:
                self._index.put(urn, str(change["aspect"].get("name", "")))
        return 200, None


def _entity(urn: str, aspects: Aspects) -> dict[str, Any]:
    return {"urn": urn, **{name: {"value": value} for name, value in aspects.items()}}
