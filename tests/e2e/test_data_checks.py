"""The data layer broken for real, in ways that leave every pod Ready: its checks must see it, its data must stay."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Carbon
from tests.machine.sandbox import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("platform")]

Kubectl = Callable[..., str]
PSQL = 'PGPASSWORD="$(cat /run/secrets/postgres/superuser)" psql -U postgres -qAt'
REDIS = 'REDISCLI_AUTH="$(cat /etc/redis-auth/password)" redis-cli'


@pytest.fixture
def sql(kubectl: Kubectl) -> Callable[[str], str]:
    """Run statements as the superuser of the primary, each in a transaction of its own."""

    def run(*statements: str) -> str:
        script = f"{PSQL} -f /dev/stdin"
        command = ("exec", "-i", "-n", "kong", "postgres-0", "-c", "postgres", "--", "sh", "-c", script)
        return kubectl(*command, text=";\n".join(statements) + ";\n").strip()

    return run


@pytest.fixture
def redis(kubectl: Kubectl) -> Callable[[str], str]:
    """Run one command of redis-cli in the server's pod."""

    def run(command: str) -> str:
        return kubectl("exec", "-n", "data-platform", "redis-0", "--", "sh", "-c", f"{REDIS} {command}").strip()

    return run


def failures(carbon: Carbon, key: str) -> dict[str, str]:
    """Detail of each check of a component that fails now; some must."""
    (component,) = carbon.json("verify", key, code=1)["components"]
    return {check["name"]: check["detail"] for check in component["checks"] if not check["passed"]}


def assert_verified(carbon: Carbon, key: str) -> None:
    (component,) = carbon.json("verify", key)["components"]
    assert all(check["passed"] for check in component["checks"]), component


@pytest.fixture
def restored_alias(carbon: Carbon) -> Iterator[None]:
    yield
    carbon("up", "postgres")
    assert_verified(carbon, "postgres")


@pytest.mark.usefixtures("restored_alias")
@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("old-postgres.kong.svc.cluster.local", "old-postgres.kong does not exist"),
        ("redis.data-platform.svc.cluster.local", "leads to the wrong place"),
    ],
)
def test_an_alias_that_is_repointed_is_noticed(host: str, cause: str, carbon: Carbon, kubectl: Kubectl) -> None:
    patch = json.dumps({"spec": {"externalName": host}})
    kubectl("patch", "service", "-n", "data-platform", "postgres-workflow-service", "-p", patch)
    failed = failures(carbon, "postgres")
    assert set(failed) - {"in_sync"} == {"service_alias"}
    assert cause in failed["service_alias"]


def test_a_read_only_server_is_noticed(carbon: Carbon, sql: Callable[..., str]) -> None:
    sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        failed = failures(carbon, "postgres")
    finally:
        writable = "SET transaction_read_only = off"
        sql(
            f"BEGIN; {writable}; COMMIT; SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
    assert "read-only" in failed["postgres_write"]
    assert "postgres_databases" in failed
    assert_verified(carbon, "postgres")


def test_an_owner_who_can_no_longer_log_in_is_noticed_and_set_right(
    carbon: Carbon, kubectl: Kubectl, sql: Callable[..., str]
) -> None:
    sql("ALTER ROLE iceberg PASSWORD 'another one'")
    assert "iceberg for iceberg" in failures(carbon, "postgres")["postgres_databases"]
    # The provisioner looks once a minute; a new one looks at once.
    kubectl("rollout", "restart", "-n", "kong", "deployment/postgres-provisioner")
    kubectl("rollout", "status", "-n", "kong", "deployment/postgres-provisioner", "--timeout=180s")
    carbon("up", "postgres")
    assert_verified(carbon, "postgres")


def test_a_server_that_cannot_be_asked_does_not_make_its_provisioner_unready(carbon: Carbon, kubectl: Kubectl) -> None:
    """PostgreSQL's own readiness tells that it is away."""

    def in_provisioner(script: str) -> str:
        return kubectl("exec", "-n", "kong", "deployment/postgres-provisioner", "--", "sh", "-c", script)

    # It sleeps a minute after a look that found all well, and five seconds after another.
    sleeps = 'for p in /proc/[0-9]*; do [ "$(tr "\\0" " " < "$p/cmdline")" != "sleep {} " ] || {}; done 2> /dev/null'
    kubectl("scale", "-n", "kong", "statefulset/postgres", "--replicas=0")
    try:
        kubectl("wait", "-n", "kong", "--for=delete", "pod/postgres-0", "--timeout=120s")
        in_provisioner(sleeps.format(60, 'kill "${p#/proc/}"'))
        until(lambda: "looked" in in_provisioner(sleeps.format(5, "echo looked")))
        in_provisioner("test -e /run/databases/ready")
    finally:
        carbon("up", "postgres")
    assert_verified(carbon, "postgres")


def test_rows_survive_a_crash_and_a_deleted_pod(kubectl: Kubectl, sql: Callable[..., str]) -> None:
    sql("CREATE TABLE IF NOT EXISTS kept (value text)", "TRUNCATE kept", "INSERT INTO kept VALUES ('before')")
    identity = sql("SELECT system_identifier FROM pg_control_system()")
    try:
        # A killed backend makes the postmaster restart every session and recover from the log.
        backend = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        kubectl("exec", "-n", "kong", "postgres-0", "-c", "postgres", "--", "sh", "-c", f"kill -9 {backend}")
        kubectl("wait", "-n", "kong", "pod/postgres-0", "--for=condition=Ready", "--timeout=180s")
        kubectl("delete", "pod", "-n", "kong", "postgres-0")
        kubectl("wait", "-n", "kong", "pod/postgres-0", "--for=condition=Ready", "--timeout=180s")
        assert sql("SELECT value FROM kept") == "before"
        assert sql("SELECT system_identifier FROM pg_control_system()") == identity
    finally:
        sql("DROP TABLE kept")


def test_a_master_that_became_a_replica_is_noticed(carbon: Carbon, redis: Callable[[str], str]) -> None:
    redis("replicaof 127.0.0.1 1")
    try:
        failed = failures(carbon, "redis")
    finally:
        redis("replicaof no one")
    assert "ReadOnlyError" in failed["redis_roundtrip"]
    assert "slave" in failed["redis_info"]
    assert_verified(carbon, "redis")


def test_keys_survive_a_deleted_pod(kubectl: Kubectl, redis: Callable[[str], str]) -> None:
    redis("set e2e:kept before")
    try:
        kubectl("delete", "pod", "-n", "data-platform", "redis-0")
        kubectl("wait", "-n", "data-platform", "pod/redis-0", "--for=condition=Ready", "--timeout=180s")
        assert redis("get e2e:kept") == "before"
    finally:
        redis("del e2e:kept")


def test_a_bucket_that_is_gone_is_noticed(carbon: Carbon, kubectl: Kubectl) -> None:
    pod = ("-n", "data-platform", "object-store-0")
    kubectl("exec", *pod, "--", "mv", "/data/dolphinscheduler", "/data/.e2e-moved")
    try:
        assert "dolphinscheduler" in failures(carbon, "object_store")["object_store_buckets"]
    finally:
        kubectl("exec", *pod, "--", "mv", "/data/.e2e-moved", "/data/dolphinscheduler")
    assert_verified(carbon, "object_store")


def test_what_a_killed_probe_left_in_the_store_goes_and_nothing_else(carbon: Carbon, kubectl: Kubectl) -> None:
    old, young = (f"carbon_probe_{int(time.time()) - age}_0badcafe" for age in (4000, 60))
    pod = ("exec", "-n", "data-platform", "object-store-0", "--")
    folder = "/data/carbon-probe/probe"
    kubectl(*pod, "sh", "-c", f"mkdir -p {folder} && touch {folder}/{old} {folder}/{young} {folder}/notes")
    try:
        assert_verified(carbon, "object_store")
        assert set(kubectl(*pod, "ls", folder).split()) == {young, "notes"}
    finally:
        kubectl(*pod, "rm", "-f", f"{folder}/{old}", f"{folder}/{young}", f"{folder}/notes")


def test_probes_leave_nothing_behind(carbon: Carbon, kubectl: Kubectl, sql: Callable[..., str]) -> None:
    # One that was killed half-way, with its database, could not take its row away.
    before = sql("SELECT count(*) FROM carbon_probe.written")
    for key in ("postgres", "redis", "object_store"):
        assert_verified(carbon, key)
    assert sql("SELECT count(*) FROM carbon_probe.written") == before
    tables = "SELECT count(*) FROM pg_class WHERE relname LIKE 'carbon_probe_%'"
    assert sql(tables) == "0"
    listing = kubectl("exec", "-n", "data-platform", "object-store-0", "--", "find", "/data/carbon-probe", "-type", "f")
    assert listing == ""
    keys = kubectl(
        "exec", "-n", "data-platform", "redis-0", "--", "sh", "-c", f"{REDIS} --scan --pattern 'carbon:probe:*'"
    )
    assert keys == ""
