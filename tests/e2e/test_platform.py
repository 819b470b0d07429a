"""The seven components and two content assets, for real."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.settings import Settings
from tests.e2e.conftest import Carbon
from tests.objects import written

EXPECTED = {
    "postgres",
    "redis",
    "zookeeper",
    "object_store",
    "kafka",
    "iceberg_rest",
    "trino",
    "kafka_topics",
    "iceberg_tables",
}
ROOT = Path(__file__).parents[2]


def test_every_component_is_verified_with_evidence(platform: dict[str, Any], carbon: Carbon) -> None:
    told = carbon.json("status")
    components = {c["key"]: c for c in told["components"]}
    assert set(components) >= EXPECTED
    for key in EXPECTED:
        component = components[key]
        assert component["state"] == "verified", component
        assert component["checks"]
        for check in component["checks"]:
            assert check["passed"], check
            assert check["detail"]
            assert check["at"]
        assert any(check["evidence"] for check in component["checks"]), key


def test_the_last_check_of_the_chain_went_from_sql_to_files(platform: dict[str, Any], carbon: Carbon) -> None:
    trino = next(c for c in carbon.json("status")["components"] if c["key"] == "trino")
    proof = next(check for check in trino["checks"] if check["name"] == "trino_iceberg")
    numbers = [value for value in proof["evidence"].values() if isinstance(value, int)]
    assert any(numbers), proof


def everything(kubectl: Callable[..., str]) -> dict[str, str]:
    """Every object that a deployment could write, in all namespaces, as it is written."""
    kinds = "deployments,statefulsets,daemonsets,pods,services,configmaps,secrets,persistentvolumeclaims,leases,jobs"
    items = json.loads(kubectl("get", kinds, "-A", "-o", "json"))["items"]
    return {
        f"{o['kind']} {o['metadata']['namespace']}/{o['metadata']['name']}": written(o)
        for o in items
        # The cluster's own parts, and the platform's, renew their leases by themselves.
        if o["metadata"]["namespace"] not in {"kube-system", "kube-node-lease"}
        and (o["kind"] != "Lease" or o["metadata"]["name"].startswith("carbon-"))
    }


def test_up_again_writes_nothing_and_starts_no_run(
    platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    before = everything(kubectl)
    told = carbon.json("up")
    assert told["run_id"] is None
    assert everything(kubectl) == before


def test_nothing_has_drifted_right_after_up(platform: dict[str, Any], carbon: Carbon) -> None:
    told = carbon.json("drift")
    assert {one["key"]: one["state"] for one in told["components"] if one["state"] == "drifted"} == {}
    assert len(told["components"]) >= len(EXPECTED)


def test_redeploy_makes_a_new_revision_and_restarts(
    platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    def pod() -> str:
        return kubectl("-n", "data-platform", "get", "pod", "redis-0", "-o", "jsonpath={.metadata.uid}")

    def redis() -> dict[str, Any]:
        found: dict[str, Any] = carbon.json("status", "redis")["components"][0]
        return found

    uid, revision = pod(), redis()["revision"]
    carbon("up", "redis", "--redeploy")
    assert redis()["state"] == "verified"
    assert redis()["revision"] == revision + 1
    assert pod() != uid


BREAKS = {
    "kafka": ("scale", "statefulset/kafka", "--replicas=2"),
    "redis": ("scale", "statefulset/redis", "--replicas=0"),
    "zookeeper": ("scale", "statefulset/zookeeper", "--replicas=0"),
    "object_store": ("scale", "statefulset/object-store", "--replicas=0"),
    "iceberg_rest": ("scale", "deployment/iceberg-rest", "--replicas=0"),
    "trino": ("scale", "deployment/trino-worker", "--replicas=0"),
}


_LONG = {"object_store", "trino", "zookeeper"}
"""What starts slowly; the others hold in every run that a check notices."""


@pytest.mark.parametrize("key", [pytest.param(k, marks=[pytest.mark.rare] if k in _LONG else []) for k in BREAKS])
def test_checks_fail_on_a_broken_component_and_up_mends_it(
    key: str, platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    namespace = "kafka" if key == "kafka" else "data-platform"
    kubectl("-n", namespace, *BREAKS[key])
    (name,) = {b.split("/")[1] for b in BREAKS[key] if "/" in b}
    selector = f"app.kubernetes.io/instance={key.replace('_', '-')}"
    gone = {"kafka": ("pod/kafka-2",), "trino": ("pod", "-l", f"{selector},app.kubernetes.io/component=worker")}
    kubectl("-n", namespace, "wait", "--for=delete", *gone.get(key, ("pod", "-l", selector)), "--timeout=180s")
    told = carbon.json("verify", key, code=1)["components"][0]["checks"]
    failed = {check["name"] for check in told if not check["passed"]}
    assert failed - {"ready"}, f"only readiness noticed that {name} is gone: {told}"
    carbon("up")
    assert carbon.broken() == {}


def test_no_secret_value_is_anywhere_but_in_its_secret(
    platform: dict[str, Any], carbon: Carbon, kubectl: Callable[..., str]
) -> None:
    import base64

    secrets = json.loads(kubectl("get", "secrets", "-A", "-l", "app.kubernetes.io/managed-by=carbon", "-o", "json"))
    values = {
        base64.b64decode(value)
        for secret in secrets["items"]
        for key, value in secret["data"].items()
        if len(base64.b64decode(value)) >= 16 and key != "cluster-id"
    }
    assert len(values) >= 5
    commands = (["status", "--json"], ["plan", "--json"], ["verify"], ["doctor"], ["drift"], ["incidents", "--json"])
    shown = "".join(done.stdout + done.stderr for done in (carbon(*command, code=None) for command in commands))
    assert not [v for v in values if v.decode() in shown]
    homes = [Settings().home / name for name in ("dagster", "records.db", "incidents.db", "logs")]
    files = [f for home in homes for f in ([home] if home.is_file() else home.rglob("*")) if f.is_file()]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    files += [ROOT / os.fsdecode(name) for name in tracked if name and (ROOT / os.fsdecode(name)).is_file()]
    found = [str(f) for f in files for content in [f.read_bytes()] if any(v in content for v in values)]
    assert not found
    processes = [p for p in Path("/proc").iterdir() if p.name.isdigit()]
    for process in processes:
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        assert not any(v in command for v in values), f"process {process.name} has a secret among its arguments"
