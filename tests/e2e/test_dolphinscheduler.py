"""DolphinScheduler's chart, checks and content on real pods, with a stand-in where its images can't be pulled.

The stand-in takes the place of all five images of the product; the database, the registry, the object store and Trino
are the platform's own. A pass says that Carbon's side works, and nothing about the product.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.environment import SHIPPED
from carbon_platform.spec.fields import merge
from tests.e2e.conftest import Carbon, OwnPlatform
from tests.stand_ins.dolphinscheduler.image import REFERENCE, provide_image

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("platform")]

Kubectl = Callable[..., str]
Sql = Callable[..., str]
ROOT = Path(__file__).parents[2]
DATABASE = "e2e_dolphinscheduler"
ETL = "dolphinscheduler_etl_workflow"
REGISTRY_SECONDS = 30


def superuser(kubectl: Kubectl, database: str, *statements: str) -> str:
    """Run statements as the superuser of the platform's PostgreSQL, each in a transaction of its own."""
    script = f'PGPASSWORD="$(cat /run/secrets/postgres/superuser)" psql -U postgres -d {database} -qAt -f /dev/stdin'
    command = ("exec", "-i", "-n", "kong", "postgres-0", "-c", "postgres", "--", "sh", "-c", script)
    return kubectl(*command, text=";\n".join(statements) + ";\n").strip()


@pytest.fixture(scope="module")
def password(platform: object, kubectl: Kubectl) -> Iterator[str]:
    """A database of the test's own in the platform's PostgreSQL; the password of its owner."""
    word = secrets.token_hex(12)
    gone = (f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"DROP ROLE IF EXISTS {DATABASE}")
    made = (f"CREATE ROLE {DATABASE} LOGIN PASSWORD '{word}'", f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
    superuser(kubectl, "postgres", *gone, *made)
    yield word
    superuser(kubectl, "postgres", *gone)


@pytest.fixture
def sql(kubectl: Kubectl) -> Sql:
    """Run statements in the stand-in's database."""
    return lambda *statements: superuser(kubectl, DATABASE, *statements)


def attributes(key: str) -> dict[str, Any]:
    """What the platform's own definition of a component says."""
    text = (SHIPPED / key / "defs.yaml").read_text(encoding="utf-8")
    told: dict[str, Any] = yaml.safe_load(text)["attributes"]
    return told


class StandInPlatform(OwnPlatform):
    """DolphinScheduler as the platform defines it, and its workflow, with the stand-in in place of its images."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str, password: str) -> None:
        super().__init__(folder, kubeconfig, namespace)
        self.carbon.environment["CARBON_SETTLE_SECONDS"] = "10"
        self._password = password
        (folder / "real").symlink_to(ROOT / "charts")
        self.define_dolphinscheduler()
        content = attributes(ETL) | {"namespace": namespace, "needs": ["dolphinscheduler"]}
        (self.defs / ETL).mkdir()
        text = yaml.safe_dump({"type": "carbon_platform.components.Content", "attributes": content})
        (self.defs / ETL / "defs.yaml").write_text(text, encoding="utf-8")

    def define_dolphinscheduler(self, **values: Any) -> None:
        """The platform's definition, elsewhere; `values` over its own."""
        told = attributes("dolphinscheduler")
        elsewhere: dict[str, Any] = {
            "database": {"host": "postgres-workflow-service.data-platform", "name": DATABASE, "user": DATABASE},
            "registry": {"servers": "zookeeper.data-platform:2181"},
            "objectStore": {"endpoint": "http://minio-service.data-platform:9000"},
            "schema": {"image": self._image()},
        }
        for role in ("api", "master", "worker", "alert"):
            small = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "160Mi"}}
            elsewhere[role] = {"image": self._image(), "env": {"STAND_IN_ROLE": role}, "resources": small}
        overlay = merge(merge(told["overlays"]["local"]["values"], elsewhere), values)
        store = {k: {"value_from": self._from_store(k)} for k in ("access-key", "secret-key")}
        own = [
            {"name": "dolphinscheduler-admin", "keys": {"password": {"generate": 32}}},
            {"name": "dolphinscheduler-database", "keys": {"password": {"literal": self._password}}},
            {"name": "object-store-credentials", "keys": store},
        ]
        changed = {"needs": [], "chart": {"path": "real/dolphinscheduler"}, "secrets": own}
        changed |= {"namespace": self.namespace, "overlays": {"local": {"values": overlay}}}
        self.define("dolphinscheduler", **told | changed)

    @staticmethod
    def _image() -> dict[str, str]:
        repository, _, tag = REFERENCE.rpartition(":")
        return {"repository": repository, "tag": tag}

    @staticmethod
    def _from_store(key: str) -> dict[str, str]:
        return {"secret": "object-store-credentials", "key": key, "namespace": "data-platform"}

    def component(self, key: str) -> dict[str, Any]:
        """A component as `carbon status` tells it, whatever its state."""
        told = json.loads(self.carbon("status", key, "--json", code=None).stdout)
        found: dict[str, Any] = told["components"][0]
        return found

    def failures(self) -> dict[str, str]:
        """Detail of each functional check that fails now."""
        told = json.loads(self.carbon("verify", "dolphinscheduler", "--json", code=None).stdout)
        return {c["name"]: c["detail"] for c in told["components"][0]["checks"] if not c["passed"]}


@pytest.fixture(scope="module")
def dolphin(
    platform: object, cluster: Path, kubectl: Kubectl, password: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StandInPlatform]:
    """The stand-in's platform, up."""
    provide_image(tmp_path_factory.mktemp("images"))
    own = StandInPlatform(tmp_path_factory.mktemp("dolphin"), cluster, "e2e-dolphinscheduler", password)
    try:
        own.carbon("up", "--json", code=None)
        yield own
    finally:
        kubectl("delete", "namespace", own.namespace, "--ignore-not-found", "--wait=true", "--timeout=180s")


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.5)


def evidence(component: dict[str, Any], check: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c["evidence"] for c in component["checks"] if c["name"] == check)
    return found


def test_the_chart_is_verified_with_a_workflow_that_ran_to_success(dolphin: StandInPlatform, sql: Sql) -> None:
    component = dolphin.component("dolphinscheduler")
    assert component["state"] == "verified", component
    assert component["pods"] == {"running": 5, "total": 5}
    assert evidence(component, "dolphinscheduler_health")["database"] == "PostgreSQL"
    assert evidence(component, "dolphinscheduler_workflow")["run_ms"] > 0
    counts = evidence(component, "dolphinscheduler_workers")
    assert (counts["masters"], counts["workers"], counts["alert_servers"]) == (1, 2, 1)
    probes = "kind = 'instance' AND body->>'name' LIKE 'carbon-probe%'"
    assert sql(f"SELECT count(*) FROM stand_in WHERE {probes}") == "0"


def test_the_password_that_everybody_knows_was_replaced(dolphin: StandInPlatform, sql: Sql) -> None:
    assert sql("SELECT count(*) FROM t_ds_user WHERE user_password = md5('dolphinscheduler123')") == "0"


def test_up_again_changes_nothing(dolphin: StandInPlatform) -> None:
    assert dolphin.carbon.json("up")["run_id"] is None


def test_the_workflow_moved_prices_into_the_tables(dolphin: StandInPlatform, carbon: Carbon) -> None:
    component = dolphin.component(ETL)
    assert component["state"] == "verified", component
    assert evidence(component, "dolphinscheduler_run")["tasks"] == 3


def test_a_workflow_changed_by_hand_is_seen_field_by_field_and_corrected(dolphin: StandInPlatform, sql: Sql) -> None:
    workflow = "kind = 'definition' AND body->>'name' = 'daily-prices'"
    script = "'{tasks,2,taskParams,rawScript}', '\"exit 1\"'"
    sql(
        f"UPDATE stand_in SET body = jsonb_set(body, {script}) WHERE {workflow}",
        "UPDATE stand_in SET body = jsonb_set(body, '{releaseState}', '\"OFFLINE\"') WHERE kind = 'schedule'",
    )
    planned = {one["key"]: one for one in dolphin.carbon.json("plan", ETL)["components"]}[ETL]
    told = [change["reason"] for change in planned["changes"]]
    assert len(told) == 2, told
    assert told[0].startswith("task report: script: 'exit 1' → ")
    assert told[1] == "schedule: offline → online"
    code = sql(f"SELECT body->>'code' FROM stand_in WHERE {workflow}")
    dolphin.carbon("up", ETL)
    assert dolphin.component(ETL)["state"] == "verified"
    assert sql(f"SELECT body->>'code' FROM stand_in WHERE {workflow}") == code


def test_a_worker_that_is_gone_is_noticed(dolphin: StandInPlatform, kubectl: Kubectl) -> None:
    worker = ("-n", dolphin.namespace, "statefulset/dolphinscheduler-worker")
    kubectl("scale", *worker, "--replicas=1")
    kubectl("wait", "--for=delete", "-n", dolphin.namespace, "pod/dolphinscheduler-worker-1", "--timeout=180s")
    until(lambda: "1 workers alive, declared are 2" in dolphin.failures().get("dolphinscheduler_workers", ""))
    dolphin.carbon("up", "dolphinscheduler")
    assert dolphin.component("dolphinscheduler")["state"] == "verified"


def test_a_lost_database_fails_the_checks_with_the_cause(dolphin: StandInPlatform, kubectl: Kubectl) -> None:
    sessions = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{DATABASE}'"
    superuser(kubectl, "postgres", f"ALTER ROLE {DATABASE} NOLOGIN", sessions)
    try:
        failed = dolphin.failures()
    finally:
        superuser(kubectl, "postgres", f"ALTER ROLE {DATABASE} LOGIN")
    functional = {name for name in failed if name.startswith("dolphinscheduler_")}
    assert functional == {f"dolphinscheduler_{name}" for name in ("health", "login", "workers", "workflow")}
    assert "DolphinScheduler is DOWN: db is DOWN (CannotGetJdbcConnection" in failed["dolphinscheduler_health"]
    until(lambda: not dolphin.failures())


def test_shell_tasks_that_fail_are_noticed_though_every_endpoint_is_up(dolphin: StandInPlatform) -> None:
    dolphin.define_dolphinscheduler(worker={"sudo": True})
    try:
        dolphin.carbon("up", "dolphinscheduler", code=1)
        failed = dolphin.failures()
        assert set(failed) == {"dolphinscheduler_workflow"}
        assert "ended as FAILURE" in failed["dolphinscheduler_workflow"]
        assert "sudo" in failed["dolphinscheduler_workflow"]
    finally:
        dolphin.define_dolphinscheduler()
        dolphin.carbon("up", "dolphinscheduler")
    assert dolphin.component("dolphinscheduler")["state"] == "verified"


def test_the_upstream_images_are_verified_or_end_blocked_with_the_registrys_reason(
    platform: dict[str, Any], carbon: Carbon
) -> None:
    def states() -> dict[str, str]:
        told = json.loads(carbon("status", "--json", code=None).stdout)
        return {one["key"]: one["state"] for one in told["components"]}

    before, began = states(), time.monotonic()
    done = carbon("up", "dolphinscheduler", code=None)
    took = time.monotonic() - began
    after = states()
    others = {key for key in after if key not in {"dolphinscheduler", ETL}}
    assert {key: after[key] for key in others} == {key: before[key] for key in others}
    if after["dolphinscheduler"] == "verified":
        assert done.returncode == 0
        return
    assert after["dolphinscheduler"] == "blocked", done.stdout + done.stderr
    told = json.loads(carbon("status", "dolphinscheduler", "--json", code=None).stdout)["components"][0]["reason"]
    assert "docker.io/apache/dolphinscheduler" in told
    assert "can't be pulled" in told
    assert any(reason in told for reason in ("no such host", "lookup", "refused", "denied", "not found", "timeout")), (
        told
    )
    assert took < REGISTRY_SECONDS
    again = json.loads(carbon("up", "dolphinscheduler", "--json", code=1).stdout)
    assert again["run_id"] is None, "it was tried again though nothing has changed"
