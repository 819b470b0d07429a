"""`carbon up` on a real API server: it deploys and verifies, and where nothing is to do it does nothing."""

from carbon_platform.cluster.client import Api
from tests.cluster.conftest import Everything
from tests.cluster.platform import Platform


async def test_up_deploys_and_verifies_and_again_writes_nothing_at_all(
    platform: Platform, everything: Everything, api: Api
) -> None:
    secret = {"name": "login", "keys": {"password": {"generate": 32}}}
    platform.define("base", secrets=[secret])
    platform.define("app", needs=["base"])
    told = platform.json("up")
    assert [(c["key"], c["state"], c["revision"]) for c in told["components"]] == [
        ("base", "verified", 1),
        ("app", "verified", 1),
    ]
    assert told["score"]["pods_running"] == 4
    before, runs = await everything(), platform.runs()
    again = platform.json("up")
    assert again["run_id"] is None
    assert again["components"] == told["components"]
    assert await everything() == before
    assert platform.runs() == runs
    assert await api.get(platform.name("Lease", "carbon-app")) is None
