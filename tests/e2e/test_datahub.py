"""DataHub's chart, definition and checks on real pods, over the platform's real PostgreSQL and Kafka.

Where no registry is reachable there is no DataHub: its part is played by a stand-in, and a pass on that says nothing
about the product. What the platform's own definition comes to there is tested as well: it is blocked, with the reason.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.local.images.registries import probe
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from tests.definitions import environments
from tests.e2e.conftest import Carbon, OwnPlatform
from tests.stand_ins.datahub.image import REPOSITORY, TAG, provide_image

pytestmark = pytest.mark.real

Kubectl = Callable[..., str]
ROOT = Path(__file__).parents[2]
NAMESPACE = "e2e-datahub"
PREFIX = "e2e-"
DATABASE = "e2e_datahub"
PASSWORD = "for-tests-only"
PSQL = 'PGPASSWORD="$(cat /run/secrets/postgres/superuser)" psql -U postgres -qAt -v ON_ERROR_STOP=1 -f /dev/stdin'
DEAF = "/tmp/stand-in-does-not-consume"
TOPICS = """
import os, kafka
admin = kafka.KafkaAdminClient(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVER"])
admin.delete_topics([name for name in admin.list_topics() if name.startswith("{prefix}")])
"""


@pytest.fixture(scope="module")
def needs(carbon: Carbon, cluster: Path) -> None:
    """What the platform's DataHub needs of it, verified."""
    carbon("up", "postgres", "kafka")


@pytest.fixture(scope="module")
def sql(kubectl: Kubectl, needs: None) -> Callable[[str], str]:
    """Run statements as PostgreSQL's superuser, each in a transaction of its own."""

    def run(text: str) -> str:
        command = ("exec", "-i", "-n", "kong", "postgres-0", "-c", "postgres", "--", "sh", "-c", PSQL)
        return kubectl(*command, text=text).strip()

    return run


def definition(namespace: str) -> dict[str, Any]:
    """The platform's own definition of DataHub, with the stand-in's image and a database and topics of its own."""
    file = ROOT / "carbon_platform" / "defs" / "datahub" / "defs.yaml"
    attributes: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["attributes"]
    parts = ("gms", "frontend", "maeConsumer", "systemUpdate")
    small = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "160Mi"}}
    images = {name: {"repository": REPOSITORY, "tag": TAG} for name in ("gms", "frontend", "maeConsumer", "upgrade")}
    values = attributes["values"]
    values["images"] = images
    values["database"] = {"host": "postgres-workflow-service.data-platform", "name": DATABASE, "user": DATABASE}
    values["kafka"] |= {"prefix": PREFIX}
    attributes["overlays"]["local"]["values"] |= {part: {"resources": small} for part in parts}
    attributes["secrets"][0]["keys"] = {"password": {"literal": PASSWORD}}
    return {**attributes, "namespace": namespace, "needs": [], "chart": {"path": "platform/datahub"}}


@pytest.fixture(scope="module")
def own(
    cluster: Path, kubectl: Kubectl, sql: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnPlatform]:
    """A platform of the stand-in alone, verified; gone afterwards with its database and topics."""
    provide_image(tmp_path_factory.mktemp("recipes"))
    folder = tmp_path_factory.mktemp("datahub")
    (folder / "platform").symlink_to(ROOT / "charts")
    gone = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE);\nDROP ROLE IF EXISTS {DATABASE};\n"
    role = f"CREATE ROLE {DATABASE} LOGIN PASSWORD '{PASSWORD}';\n"
    sql(f"{gone}{role}CREATE DATABASE {DATABASE} OWNER {DATABASE};\n")
    platform = OwnPlatform(folder, cluster, NAMESPACE)
    platform.define("datahub", **definition(NAMESPACE))
    try:
        platform.carbon("up")
        yield platform
    finally:
        remove = (
            "exec",
            "-n",
            NAMESPACE,
            "deployment/datahub-gms",
            "--",
            "python3",
            "-c",
            TOPICS.format(prefix=PREFIX),
        )
        kubectl(*remove, code=None)
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        sql(gone)


def checks(own: OwnPlatform, code: int) -> dict[str, dict[str, Any]]:
    """The checks as they come out now, by name."""
    (component,) = own.carbon.json("verify", code=code)["components"]
    return {check["name"]: check for check in component["checks"]}


def test_the_stand_in_on_the_real_chart_is_verified_through_database_and_log(own: OwnPlatform) -> None:
    (component,) = own.carbon.json("status")["components"]
    assert component["state"] == "verified", component
    told = {check["name"]: check for check in component["checks"]}
    assert {"datahub_health", "frontend_health", "datahub_config", "datahub_ingest"} <= set(told)
    assert told["datahub_config"]["evidence"]["version"] == f"v{TAG}"
    assert told["datahub_ingest"]["evidence"]["search_ms"] > 0


def test_up_again_changes_nothing_though_the_system_update_has_ended(own: OwnPlatform) -> None:
    assert own.carbon.json("up")["run_id"] is None


def test_a_probe_leaves_nothing_in_the_store_or_the_index(own: OwnPlatform, sql: Callable[[str], str]) -> None:
    checks(own, 0)
    rows = f"\\connect {DATABASE}\nSELECT count(*) FROM metadata_aspect_v2; SELECT count(*) FROM stand_in_index;"
    deadline = time.monotonic() + 120
    while sql(rows).split() != ["0", "0"]:
        assert time.monotonic() < deadline, "the consumer did not follow the removal"


def test_an_index_that_does_not_follow_fails_and_the_cause_says_that_the_store_works(
    own: OwnPlatform, kubectl: Kubectl
) -> None:
    consumer = ("exec", "-n", NAMESPACE, "deployment/datahub-mae-consumer", "--")
    short = definition(NAMESPACE)
    for step in next(check for check in short["checks"] if check["name"] == "datahub_ingest")["steps"]:
        step |= {"within": 3} if "until" in step else {}
    own.define("datahub", **short)
    kubectl(*consumer, "touch", DEAF)
    try:
        told = checks(own, 1)
    finally:
        kubectl(*consumer, "rm", DEAF)
        own.define("datahub", **definition(NAMESPACE))
    assert {name for name, check in told.items() if not check["passed"]} == {"datahub_ingest"}
    detail = told["datahub_ingest"]["detail"]
    assert "DataHub stores metadata, and its search does not follow" in detail
    assert "for 3 s: HTTP 200" in detail
    assert checks(own, 0)["datahub_ingest"]["passed"]


def test_a_database_that_takes_nobody_in_fails_with_its_own_words(own: OwnPlatform, sql: Callable[[str], str]) -> None:
    sql(
        f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false;\n"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}';\n"
    )
    try:
        told = checks(own, 1)
    finally:
        sql(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true;\n")
    assert "not currently accepting connections" in told["datahub_ingest"]["detail"]
    assert told["datahub_config"]["passed"]
    assert checks(own, 0)["datahub_ingest"]["passed"]


def test_a_log_that_takes_nothing_fails_though_the_store_works(own: OwnPlatform, kubectl: Kubectl) -> None:
    script = TOPICS.format(prefix=f"{PREFIX}MetadataChangeLog")
    kubectl("exec", "-n", NAMESPACE, "deployment/datahub-gms", "--", "python3", "-c", script)
    told = checks(own, 1)
    assert "HTTP 500" in told["datahub_ingest"]["detail"]
    assert "Kafka" in told["datahub_ingest"]["detail"]


def test_the_platforms_own_datahub_is_blocked_with_the_registrys_reason_and_nothing_else_is(
    carbon: Carbon, needs: None
) -> None:
    if asyncio.run(probe("docker.io")) is None:
        pytest.skip("a registry is reachable: it would be deployed for real")
    try:
        began = time.monotonic()
        done = carbon("up", "datahub", "--json", code=1)
        took = time.monotonic() - began
    finally:
        carbon("down", "datahub", "--yes")
    components = {c["key"]: c for c in json.loads(done.stdout)["components"]}
    assert {key: c["state"] for key, c in components.items()} == {
        "postgres": "verified",
        "kafka": "verified",
        "datahub": "blocked",
    }
    for said in ("docker.io/acryldata/datahub-", "can't be pulled", "failed to resolve reference"):
        assert said in components["datahub"]["reason"]
    assert took < 30


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_the_definition_renders_with_both_overlays(overlay: str, tmp_path: Path) -> None:
    file = environments(tmp_path, {"its": {"cluster": {"context": "its"}, "overlays": [overlay]}})
    component = load_platform(Settings(environments=file, env="its")).components["datahub"]
    assert component.release
    assert component.release.chart.folder
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(json.loads(json.dumps(component.release.values))), encoding="utf-8")
    helm = next((Settings().cache / "programs" / "helm").glob("*/helm"))
    command: list[str | Path] = [
        helm,
        "template",
        "datahub",
        component.release.chart.folder,
        "--values",
        values,
        "-n",
        "data-platform",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    workloads = {
        (one["kind"], one["metadata"]["name"]): one
        for one in yaml.safe_load_all(done.stdout)
        if one and one["kind"] in {"Deployment", "Job"}
    }
    assert set(workloads) == {
        ("Deployment", "datahub-gms"),
        ("Deployment", "datahub-frontend"),
        ("Deployment", "datahub-mae-consumer"),
        ("Job", "datahub-system-update"),
    }
    assert workloads["Job", "datahub-system-update"]["metadata"]["annotations"] == {"carbon/idempotent": "true"}
    frontends = workloads["Deployment", "datahub-frontend"]["spec"]["replicas"]
    assert frontends == {"local": 1, "production": 2}[overlay]
    for one in workloads.values():
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["image"].startswith("docker.io/acryldata/datahub-")
            assert container["image"].endswith(":v1.6.0")
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert {"requests", "limits"} <= set(container["resources"])
