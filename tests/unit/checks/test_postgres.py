import pytest

from carbon_platform.checks.postgres import Database, Replication, Write, lagging, missing
from carbon_platform.checks.postgres_session import refusal
from carbon_platform.errors import CheckFailed
from tests.unit.checks.stub_reach import StubReach

DECLARED = [Database(name="iceberg", owner="iceberg"), Database(name="history", owner="dolphinscheduler")]
ROLES = {"postgres", "iceberg", "dolphinscheduler"}
OWNERS = {"postgres": "postgres", "iceberg": "iceberg", "history": "dolphinscheduler"}


def test_what_is_declared_and_there_is_not_missing() -> None:
    assert missing(DECLARED, ROLES, OWNERS) == []


def test_every_missing_role_and_database_is_told() -> None:
    assert missing(DECLARED, {"postgres"}, {"iceberg": "iceberg"}) == [
        "role dolphinscheduler is missing",
        "role iceberg is missing",
        "database history is missing",
    ]


def test_a_database_of_another_owner_is_told() -> None:
    assert missing(DECLARED, ROLES, OWNERS | {"history": "postgres"}) == [
        "database history belongs to postgres, declared is dolphinscheduler"
    ]


@pytest.mark.parametrize(
    ("addresses", "summary"),
    [([], "no PostgreSQL primary stands behind"), (["10.0.0.1", "10.0.0.2"], "has 2 primaries")],
)
async def test_anything_but_one_ready_primary_fails_before_a_row_is_written(addresses: list[str], summary: str) -> None:
    reach = StubReach(ready={("kong", "kong-postgres"): addresses})
    with pytest.raises(CheckFailed, match=summary):
        await Write(type="postgres.write", service="kong-postgres").run(reach)


async def test_without_declared_replicas_replication_has_nothing_to_ask() -> None:
    passed = await Replication(type="postgres.replication", replicas=0).run(StubReach())
    assert passed.detail == "no replicas are declared"


def test_a_replica_that_lags_is_told_apart_from_one_that_does_not_stream() -> None:
    late = lagging({"replica_0": 0, "replica_1": 4096}, 2)
    assert (late.summary, late.cause) == ("1 of 2 replicas follow PostgreSQL", "replica_1 is 4096 bytes behind")
    gone = lagging({"replica_0": 0}, 2)
    assert (gone.summary, gone.cause) == ("1 of 2 replicas follow PostgreSQL", "only 1 stream")


@pytest.mark.parametrize(
    ("state", "fix"),
    [("28P01", "password"), ("3D000", "create the database"), ("53300", "out of connections"), (None, "server's log")],
)
def test_a_refusal_carries_the_fix_of_its_sqlstate_class(state: str | None, fix: str) -> None:
    failure = refusal("PostgreSQL refused iceberg", state, "FATAL:\n  no")
    assert fix in failure.fix
    assert failure.cause == "FATAL: no"
