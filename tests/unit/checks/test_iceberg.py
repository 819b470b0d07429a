import time

import pytest

from carbon_platform.checks.base import Check
from carbon_platform.checks.iceberg import Tables
from carbon_platform.checks.iceberg_session import probe_name, refusal_text, stale_probes
from carbon_platform.checks.iceberg_tables import Table
from carbon_platform.errors import CheckFailed
from tests.unit.checks.declared import declared
from tests.unit.checks.loopback_http import Answer, Request, serving
from tests.unit.checks.stub_catalogue import StubCatalogue, refused
from tests.unit.checks.stub_reach import StubReach


def check_of(name: str, patience: float = 0) -> Check:
    """A check of the definition, which asks again for so long what fails inside."""
    return declared("iceberg_rest", name).model_copy(update={"patience": patience})


NAMESPACE, COMMIT = check_of("iceberg_namespace"), check_of("iceberg_commit")
CHECKS = [check_of("iceberg_config"), NAMESPACE, COMMIT]
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


async def run(check: Check, catalogue: StubCatalogue) -> dict[str, object]:
    with serving(catalogue) as port:
        return dict((await check.run(StubReach(ports={"iceberg-rest": port, "": port}))).evidence)


async def failure_of(check: Check, catalogue: StubCatalogue) -> CheckFailed:
    with pytest.raises(CheckFailed) as failure:
        await run(check, catalogue)
    return failure.value


@each_check
async def test_a_catalogue_that_works_passes_and_keeps_no_trace_of_the_check(check: Check) -> None:
    catalogue = StubCatalogue()
    catalogue.namespaces["market"] = {}
    evidence = await run(check, catalogue)
    assert isinstance(evidence["took_ms"], float)
    assert set(catalogue.namespaces) == {"market"}


@each_check
async def test_a_service_that_leads_nowhere_fails_before_anything_is_asked(check: Check) -> None:
    with pytest.raises(CheckFailed, match="leads nowhere"):
        await check.run(StubReach())


@each_check
async def test_a_server_that_is_no_catalogue_fails(check: Check) -> None:
    def something_else(request: Request) -> Answer:
        return 200, ["hello"]

    failure = await failure_of(check, StubCatalogue(something_else))
    assert "hello" in failure.cause


@each_check
async def test_a_port_that_refuses_fails_with_the_reason(check: Check) -> None:
    with serving(StubCatalogue()) as port:
        pass
    with pytest.raises(CheckFailed) as failure:
        await check.run(StubReach(ports={"iceberg-rest": port, "": port}))
    assert "no answer" in failure.value.cause


async def test_a_database_that_fails_is_told_in_the_words_of_the_catalogue() -> None:
    def no_database(request: Request) -> Answer | None:
        if request.method == "POST":
            return refused(500, "UncheckedSQLException", "Failed to connect: jdbc:postgresql://…\n at somewhere")
        return None

    failure = await failure_of(NAMESPACE, StubCatalogue(no_database))
    assert "UncheckedSQLException: Failed to connect" in failure.cause
    assert "\n" not in failure.cause


async def test_connections_that_died_with_the_database_are_found_dead_and_passed_over() -> None:
    dead = [1, 2]

    def stale(request: Request) -> Answer | None:
        if request.path != "/v1/config" and dead:
            dead.pop()
            return refused(500, "UncheckedSQLException", "terminating connection due to administrator command")
        return None

    catalogue = StubCatalogue(stale)
    await run(check_of("iceberg_namespace", 8), catalogue)
    assert not dead
    assert catalogue.namespaces == {}


async def test_a_refusal_that_is_no_fault_inside_is_final() -> None:
    def forbidden(request: Request) -> Answer | None:
        return None if request.path == "/v1/config" else refused(403, "ForbiddenException", "no")

    catalogue = StubCatalogue(forbidden)
    failure = await failure_of(check_of("iceberg_namespace", 8), catalogue)
    assert "ForbiddenException: no" in failure.cause
    assert [request.method for request in catalogue.requests].count("POST") == 1


async def test_a_commit_that_is_accepted_but_not_kept_fails_and_is_cleaned_up() -> None:
    def forgetful(request: Request) -> Answer | None:
        if request.method == "POST" and request.path.endswith("/tables/probe"):
            return 200, {"metadata-location": "x", "metadata": {}}
        return None

    catalogue = StubCatalogue(forgetful)
    failure = await failure_of(COMMIT, catalogue)
    assert "does not keep it" in failure.summary
    assert catalogue.namespaces == {}


async def test_a_catalogue_that_checks_no_requirement_fails() -> None:
    class Careless(StubCatalogue):
        def __call__(self, request: Request) -> Answer:
            if request.method == "POST" and request.path.endswith("/tables/probe"):
                body = request.json | {"requirements": []}
                return self._commit(self.namespaces[request.path.split("/")[3]], "probe", body)
            return super().__call__(request)

    catalogue = Careless()
    failure = await failure_of(COMMIT, catalogue)
    assert "never was" in failure.summary
    assert catalogue.namespaces == {}


async def test_a_table_that_can_not_be_made_fails_and_its_namespace_is_removed() -> None:
    def no_store(request: Request) -> Answer | None:
        if request.method == "POST" and request.path.endswith("/tables"):
            return refused(500, "NoSuchBucketException", "The specified bucket does not exist")
        return None

    catalogue = StubCatalogue(no_store)
    failure = await failure_of(COMMIT, catalogue)
    assert "NoSuchBucketException" in failure.cause
    assert catalogue.namespaces == {}


async def test_what_killed_probes_left_is_removed_with_its_tables_and_nothing_else_is() -> None:
    catalogue = StubCatalogue()
    old, new = f"carbon_probe_{int(time.time()) - 4000}_0badcafe", f"carbon_probe_{int(time.time()) - 60}_0badcafe"
    catalogue.namespaces |= {old: {"probe": {}}, new: {"probe": {}}, "carbon_probe_notes": {"kept": {}}}
    await run(COMMIT, catalogue)
    assert set(catalogue.namespaces) == {new, "carbon_probe_notes"}


async def test_a_declared_table_that_is_missing_fails_by_its_name() -> None:
    prices = Table.model_validate({"name": "market.prices", "columns": [{"name": "price", "type": "long"}]})
    failure = await failure_of(Tables(type="iceberg.tables", tables=[prices]), StubCatalogue())
    assert "market.prices: create with 1 columns" in failure.cause


def test_a_probe_is_stale_only_when_it_is_one_and_more_than_an_hour_old() -> None:
    name = probe_name()
    now = time.time()
    assert stale_probes([name, "market", "carbon_probe_x"], now + 3500) == []
    assert stale_probes([name, "market", "carbon_probe_x"], now + 3700) == [name]


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"error": "no"}', '{"error": {"message": "m"}}'])
def test_an_error_in_no_known_shape_is_quoted(body: str) -> None:
    assert refusal_text(body) == body
