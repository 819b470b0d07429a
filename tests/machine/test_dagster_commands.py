"""Dagster's own commands: in a fresh checkout with nothing set, and in somebody else's project beside Carbon's."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import tenacity

from carbon_platform.local.ports import free_ports
from tests.machine.projects import BIN, ROOT, SERVED, Project

_STARTED_SECONDS = 60.0


@pytest.mark.parametrize(
    "command",
    [
        ("dg", "check", "yaml"),
        ("dg", "check", "defs"),
        ("dagster", "definitions", "validate"),
        ("dagster", "asset", "list", "-m", "carbon_platform.definitions"),
    ],
    ids=" ".join,
)
def test_a_command_works_in_a_fresh_checkout_with_nothing_set(here: Project, command: tuple[str, ...]) -> None:
    here(*command)


def test_the_platform_and_its_component_types_are_listed(here: Project) -> None:
    assert {"redis", "trino", "kafka_topics"} <= here.assets().keys()
    keys = {one["key"] for one in here.json("dg", "list", "components")["items"]}
    assert {f"carbon_platform.components.{name}" for name in ("HelmRelease", "Manifests", "Content")} <= keys


def test_in_another_project_a_component_is_what_its_own_file_says(shop: Project) -> None:
    assets = shop.assets()
    assert set(assets) == {"redis", "network", "orders", "sessions"}
    redis = assets["redis"]
    assert redis["description"].startswith("Sessions of the shop.")
    assert redis["group_name"] == "shop"
    assert redis["owners"] == [{"team": "shop"}], "its type is a subclass that says how it looks"
    assert {"key": "tier", "value": "gold"} in redis["tags"], "post_processing is Dagster's"
    assert assets["network"]["dependency_keys"] == ["redis"]


def test_what_is_not_set_or_stands_twice_is_told_with_its_file(shop: Project) -> None:
    del shop.environment["SHOP_CACHE_SIZE"]
    for command, code in ((("dg", "check", "defs"), 1), (("carbon", "status"), 2)):
        told = shop(*command, code=code)
        assert re.search(r"defs/redis/defs\.yaml:9: environment variable SHOP_CACHE_SIZE is not set", told)
    shutil.copytree(shop.folder / "shop" / "defs" / "redis", shop.folder / "shop" / "defs" / "more" / "redis")
    shop.environment["SHOP_CACHE_SIZE"] = "64Mi"
    told = shop("dg", "check", "defs", code=1)
    assert re.search(r"component 'redis' is defined by \S+/defs/more/redis/defs\.yaml already", told)


def test_another_platforms_settings_do_not_turn_a_folder_into_a_component_of_that_name(shop: Project) -> None:
    shop.environment["CARBON_DEFS"] = str(ROOT / "carbon_platform" / "defs")
    told = shop("dg", "check", "defs", code=1)
    assert "shop/defs/network/defs.yaml is not among the platform's definitions" in told


@pytest.mark.parametrize("kind", ["HelmRelease", "Manifests", "Content"])
def test_what_is_scaffolded_loads(shop: Project, kind: str) -> None:
    shop("dg", "scaffold", "defs", f"carbon_platform.components.{kind}", "price_feed")
    assert "price_feed" in shop.assets()


def test_a_data_asset_beside_components_is_launched(shop: Project) -> None:
    for command in (
        ("dg", "launch", "--assets", "orders"),
        ("dagster", "asset", "materialize", "--select", "orders", "-m", "shop.definitions"),
    ):
        assert "RUN_SUCCESS" in shop(*command)


def test_a_data_asset_that_needs_what_is_not_verified_says_so(shop: Project) -> None:
    told = shop("dg", "launch", "--assets", "sessions", code=1)
    assert "redis is unknown, not verified: the cluster can't be reached" in told


@pytest.fixture(params=["dg dev", "dagster dev", "carbon ui"])
def served(request: pytest.FixtureRequest, shop: Project) -> Iterator[str]:
    """The URL of a web server that was started in the project."""
    if request.param == "carbon ui":
        del shop.environment["PYTHONPATH"]  # it finds the project's modules by itself
    (port,), log = free_ports(1), shop.folder / "dev.log"
    program, *arguments = request.param.split()
    command = [BIN / program, *arguments, "--port", str(port)]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, cwd=shop.folder, env=shop.environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            if program == "carbon":
                process.terminate()  # it ends in order, and removes what it made
            else:
                # They leave nothing that would have to be given back, and may have been started with SIGINT ignored.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(90)


class _NotLoadedYet(Exception):
    """The web server answers, and shows nothing yet."""


def test_the_project_is_served_as_dagster_shows_it_with_nothing_set(served: str) -> None:
    owners = "owners {... on TeamAssetOwner {team}}"
    query = json.dumps({"query": f"{{assetNodes {{assetKey {{path}} tags {{key value}} {owners}}}}}"}).encode()
    request = urllib.request.Request(f"{served}/graphql", query, {"Content-Type": "application/json"})
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((urllib.error.URLError, ConnectionError, _NotLoadedYet)),
        wait=tenacity.wait_fixed(0.2),
        stop=tenacity.stop_after_delay(_STARTED_SECONDS),
        reraise=True,
    ):
        with attempt, urllib.request.urlopen(request, timeout=10) as answer:
            nodes = json.load(answer)["data"]["assetNodes"]
            if not nodes:
                raise _NotLoadedYet
    shown = {node["assetKey"]["path"][0]: node for node in nodes}
    assert set(shown) == {"redis", "network", "orders", "sessions"}
    assert shown["redis"]["owners"] == [{"team": "shop"}], "its type is a subclass that says how it looks"
    assert {"key": "tier", "value": "gold"} in shown["redis"]["tags"], "post_processing is Dagster's"


OPERATIONS = """
import dagster as dg

from carbon_platform.components import operations


@dg.definitions
def defs() -> dg.Definitions:
    return operations()
"""


INSTANCE = """
from carbon_platform.instance import prepare_instance
from carbon_platform.settings import settings
import dagster
prepare_instance(settings())
with dagster.DagsterInstance.get() as instance:
    print(instance.auto_materialize_use_sensors, type(instance.compute_log_manager).__name__)
"""


def test_data_assets_have_automation_and_their_output_where_they_are_served(shop: Project, here: Project) -> None:
    assert shop("python", "-c", INSTANCE) == "True LocalComputeLogManager\n"
    assert here("python", "-c", INSTANCE) == "False NoOpComputeLogManager\n"


@pytest.mark.parametrize("merged", [False, True], ids=["by carbon ui", "by the project"])
def test_operations_are_served_once_whoever_merges_them(shop: Project, merged: bool) -> None:
    del shop.environment["PYTHONPATH"]
    if merged:
        (shop.folder / "shop" / "defs" / "operations.py").write_text(OPERATIONS, encoding="utf-8")
    told = shop("python", "-c", SERVED).split()
    assert [name for name in told if ":" not in name] == ["drift", "heal", "health"]
    assert {"redis:healthy", "network:healthy", "redis:in_sync", "redis:ready"} <= set(told)
    assert len(told) == len(set(told))


def test_what_dagster_cannot_load_of_the_project_is_told_with_file_and_line(shop: Project) -> None:
    del shop.environment["PYTHONPATH"]
    orders = shop.folder / "shop" / "defs" / "orders.py"
    orders.write_text(orders.read_text(encoding="utf-8") + "\nimport ledgers\n", encoding="utf-8")
    (port,) = free_ports(1)
    told = shop("carbon", "ui", "--port", str(port), code=2)
    lines = len(orders.read_text(encoding="utf-8").splitlines())
    assert f"the definitions of {shop.folder} can't be loaded" in told
    assert f"cause: {orders}:{lines}: ModuleNotFoundError: No module named 'ledgers'" in told
    assert "`dg check defs` tells the same" in told


def test_a_project_without_a_module_for_dagster_is_told_which_file_it_looks_for(shop: Project) -> None:
    (shop.folder / "shop" / "definitions.py").unlink()
    told = shop("python", "-c", SERVED, code=1)
    assert f"{shop.folder}/shop/definitions.py: ModuleNotFoundError: No module named 'shop.definitions'" in told
