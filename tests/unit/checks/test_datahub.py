"""DataHub's checks as its definition declares them, against a stand-in for its servers."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from carbon_platform.checks.step import Probe
from carbon_platform.checks.steps import StepsCheck
from carbon_platform.errors import CheckFailed
from tests.stand_ins.datahub.gms import Aspects, Gms
from tests.stand_ins.datahub.serving import Answer, Answerer, Request, serving
from tests.unit.checks.declared import declared
from tests.unit.checks.stub_reach import StubReach

SECRET = "s3cret"
HEALTH, FRONTEND = declared("datahub", "datahub_health"), declared("datahub", "frontend_health")
CONFIG, INGEST = declared("datahub", "datahub_config"), declared("datahub", "datahub_ingest")


def urn_of(probe: Probe | None) -> str:
    """That of a probe of now."""
    assert probe
    return f"urn:li:dataset:(urn:li:dataPlatform:carbon,{probe.fresh()},PROD)"


def name_of(urn: str) -> str:
    return urn.split(",")[1]


each_check = pytest.mark.parametrize("check", [HEALTH, CONFIG, INGEST], ids=lambda check: check.name)


class Memory:
    """Store, log and index of the stand-in in memory: each change is in the index at once, unless it is `deaf`."""

    def __init__(self) -> None:
        self.aspects: dict[str, dict[str, Mapping[str, Any]]] = {}
        self.words: dict[str, str] = {}
        self.changes: list[Mapping[str, Any]] = []
        self.deaf = False
        self.ready = True
        self.version = "v1.6.0"

    def read(self, urn: str) -> Aspects:
        return self.aspects.get(urn, {})

    def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None:
        self.aspects.setdefault(urn, {})[aspect] = value

    def delete(self, urn: str) -> None:
        self.aspects.pop(urn, None)

    def tell(self, urn: str, change: Mapping[str, Any]) -> None:
        self.changes.append(change)
        if self.deaf:
            return
        if change["changeType"] == "DELETE":
            self.words.pop(urn, None)
        else:
            self.words[urn] = change["aspect"]["name"]

    def find(self, text: str) -> list[str]:
        return [urn for urn, words in self.words.items() if text == "*" or words.startswith(text)]

    def put(self, urn: str, text: str) -> None:
        self.words[urn] = text

    def remove(self, urn: str) -> None:
        self.words.pop(urn, None)

    def gms(self) -> Gms:
        return Gms(self, self, self, f"Basic __datahub_system:{SECRET}", lambda: self.ready, self.version)


def first(special: Callable[[Request], Answer | None], memory: Memory) -> Answerer:
    """The stand-in, but for what `special` answers."""
    gms = memory.gms()
    return lambda request: special(request) or gms(request)


@contextmanager
def reached(answer: Answerer, secret: str = SECRET) -> Iterator[StubReach]:
    with serving(answer) as port:
        yield StubReach(ports={"gms": port}, secrets={"system-client-secret": secret})


async def run(check: StepsCheck, answer: Answerer) -> dict[str, object]:
    with reached(answer) as reach:
        return dict((await check.run(reach)).evidence)


async def failure_of(check: StepsCheck, answer: Answerer, secret: str = SECRET) -> CheckFailed:
    with reached(answer, secret) as reach, pytest.raises(CheckFailed) as failure:
        await check.run(reach)
    return failure.value


@each_check
async def test_a_server_that_works_passes(check: StepsCheck) -> None:
    assert await run(check, Memory().gms())


@each_check
async def test_a_service_that_leads_nowhere_fails_before_anything_is_asked(check: StepsCheck) -> None:
    with pytest.raises(CheckFailed, match="leads nowhere"):
        await check.run(StubReach(secrets={"system-client-secret": SECRET}))


@each_check
async def test_a_port_that_refuses_fails_with_the_reason(check: StepsCheck) -> None:
    with reached(Memory().gms()) as reach:
        pass
    with pytest.raises(CheckFailed) as failure:
        await check.run(reach)
    assert failure.value.summary.endswith(": no answer")


@each_check
async def test_a_server_that_is_something_else_fails(check: StepsCheck) -> None:
    await failure_of(check, lambda request: (404, "no such page"))
    await failure_of(check, lambda request: (204, None) if request.path != "/health" else (302, None))


@each_check
async def test_the_secret_is_in_no_message(check: StepsCheck) -> None:
    memory = Memory()
    for status in (400, 401, 500, 503):
        failure = await failure_of(check, lambda request, status=status: (status, {"error": "no"}))  # type: ignore[misc]
        assert SECRET not in str(failure)
    assert not memory.changes


async def test_a_server_that_waits_for_the_system_update_is_not_healthy_and_the_job_is_named() -> None:
    memory = Memory()
    memory.ready = False
    failure = await failure_of(HEALTH, memory.gms())
    assert "503" in failure.cause
    assert "system-update" in failure.fix


async def test_the_health_of_the_frontend_is_asked_at_its_own_path() -> None:
    asked = []

    def frontend(request: Request) -> Answer:
        asked.append((request.path, request.headers.get("authorization")))
        return 200, "GOOD"

    with serving(frontend) as port:
        await FRONTEND.run(StubReach(ports={"frontend": port}))
    assert asked == [("/admin", None)]


async def test_the_version_is_told_and_another_one_than_declared_fails() -> None:
    memory = Memory()
    assert (await run(CONFIG, memory.gms()))["version"] == "v1.6.0"
    memory.version = "v1.5.0"
    failure = await failure_of(CONFIG, memory.gms())
    assert failure.summary == "DataHub is v1.5.0, declared is v1.6.0"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], "does not tell its version"),
        ({}, "does not tell its version"),
        ({"versions": {"acryldata/datahub": {}}}, "does not tell its version"),
        ({"versions": {"acryldata/datahub": {"version": "v1.6.0"}}}, "not that of a current server"),
    ],
)
async def test_a_configuration_that_is_none_fails(config: object, said: str) -> None:
    answer = first(lambda request: (200, config) if request.path == "/config" else None, Memory())
    assert said in (await failure_of(CONFIG, answer)).summary


async def test_a_server_that_answers_strangers_fails() -> None:
    def open_door(request: Request) -> Answer | None:
        return (200, {"entities": []}) if request.path.startswith("/openapi") else None

    failure = await failure_of(CONFIG, first(open_door, Memory()))
    assert failure.summary == "DataHub answers requests without credentials"
    assert "METADATA_SERVICE_AUTH_ENABLED" in failure.fix


async def test_a_server_that_does_not_know_its_own_client_fails() -> None:
    failure = await failure_of(CONFIG, Memory().gms(), secret="newer")
    assert failure.summary == "DataHub does not let its own system client in"
    failure = await failure_of(INGEST, Memory().gms(), secret="newer")
    assert "Unauthorized to perform this action." in failure.cause
    assert "secret" in failure.fix


async def test_what_was_ingested_went_through_the_log_and_leaves_no_trace() -> None:
    memory = Memory()
    evidence = await run(INGEST, memory.gms())
    assert evidence["ingest_ms"]
    assert [change["changeType"] for change in memory.changes] == ["UPSERT", "DELETE"]
    assert (memory.aspects, memory.words) == ({}, {})


async def test_a_store_that_refuses_is_told_in_its_own_words() -> None:
    class Broken(Memory):
        def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None:
            raise ConnectionError("connection to server was lost\nat somewhere")

    failure = await failure_of(INGEST, Broken().gms())
    assert failure.summary == "POST /openapi/v3/entity/dataset?async=false: HTTP 500"
    assert "ConnectionError: connection to server was lost at somewhere" in failure.cause
    assert "its database or Kafka" in failure.fix


async def test_a_log_that_refuses_fails_and_what_was_stored_is_removed() -> None:
    class Broken(Memory):
        def tell(self, urn: str, change: Mapping[str, Any]) -> None:
            raise TimeoutError("KafkaTimeoutError: not enough replicas")

    memory = Broken()
    failure = await failure_of(INGEST, memory.gms())
    assert "KafkaTimeoutError" in failure.cause
    assert memory.aspects == {}


async def test_a_store_that_forgets_what_it_acknowledged_fails() -> None:
    class Forgetful(Memory):
        def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None:
            pass

    failure = await failure_of(INGEST, Forgetful().gms())
    assert failure.summary == "DataHub's store does not keep what it accepts"


async def test_a_store_that_gives_back_something_else_fails_and_is_cleaned_up() -> None:
    class Altering(Memory):
        def write(self, urn: str, aspect: str, value: Mapping[str, Any]) -> None:
            super().write(urn, aspect, {**value, "customProperties": {}})

    memory = Altering()
    failure = await failure_of(INGEST, memory.gms())
    assert "another aspect than was written" in failure.summary
    assert memory.aspects == {}


async def test_a_search_that_does_not_follow_fails_and_says_that_the_store_works() -> None:
    memory = Memory()
    memory.deaf = True
    failure = await failure_of(INGEST, memory.gms())
    assert failure.summary == "DataHub stores metadata, and its search does not follow"
    assert ", for 0.2 s: HTTP 200" in failure.cause
    assert "MAE consumer" in failure.fix
    assert memory.aspects == {}


async def test_a_search_that_follows_late_is_waited_for() -> None:
    memory = Memory()
    memory.deaf = True
    searches = 0

    def late(request: Request) -> Answer | None:
        nonlocal searches
        if request.query.get("query", "").startswith("carbon_probe_"):
            searches += 1
            if searches == 3:
                memory.put(memory.changes[0]["entityUrn"], memory.changes[0]["aspect"]["name"])
        return None

    with reached(first(late, memory)) as reach:
        await declared("datahub", "datahub_ingest", 60).run(reach)
    assert searches == 3


async def test_a_search_that_fails_is_told_apart_from_a_store_that_fails() -> None:
    def no_search(request: Request) -> Answer | None:
        return (500, {"error": "all shards failed"}) if "query" in request.query else None

    memory = Memory()
    failure = await failure_of(INGEST, first(no_search, memory))
    assert failure.summary == "DataHub stores metadata, and can't search"
    assert "all shards failed" in failure.cause
    assert memory.aspects == {}


async def test_a_search_that_finds_others_only_does_not_pass() -> None:
    memory = Memory()
    other = urn_of(INGEST.probe)

    def others(request: Request) -> Answer | None:
        return (200, {"entities": [{"urn": other}]}) if "query" in request.query else None

    assert "does not follow" in (await failure_of(INGEST, first(others, memory))).summary


async def test_a_dataset_that_can_not_be_removed_fails() -> None:
    class Keeping(Memory):
        def delete(self, urn: str) -> None:
            pass

    failure = await failure_of(INGEST, Keeping().gms())
    assert failure.summary == "DataHub's store keeps what was deleted"


async def test_what_killed_probes_left_is_removed_and_nothing_else_is() -> None:
    old = f"urn:li:dataset:(urn:li:dataPlatform:carbon,carbon_probe_{int(time.time()) - 4000}_0badcafe,PROD)"
    new, other = urn_of(INGEST.probe), old.replace("dataPlatform:carbon", "dataPlatform:postgres")
    memory = Memory()
    for urn in (old, new, other):
        memory.write(urn, "datasetProperties", {"name": name_of(urn)})
        memory.put(urn, name_of(urn))
    await run(INGEST, memory.gms())
    assert set(memory.aspects) == {new, other}
