"""`carbon up` on a real API server: it deploys and verifies, and where nothing is to do it does nothing."""

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from tests.cluster.conftest import Everything
from tests.cluster.platform import SmallPlatform


async def test_up_deploys_and_verifies_and_again_writes_nothing_at_all(
    platform: SmallPlatform, everything: Everything, api: Api, namespace: str
) -> None:
    secret = {"name": "login", "keys": {"password": {"generate": 32}}}
    platform.define("base", secrets=[secret])
    platform.define("app", needs=["base"])
    told = platform.json("up")
    assert [(c["key"], c["state"], c["revision"]) for c in told["components"]] == [
        ("base", "verified", 1),
        ("app", "verified", 1),
    ]
    assert told["score"]["pods_running"] == 2
    before, runs = await everything(), platform.runs()
    again = platform.json("up")
    assert again["run_id"] is None
    assert again["components"] == told["components"]
    assert await everything() == before
    assert platform.runs() == runs
    assert await api.get(ObjectName("coordination.k8s.io/v1", "Lease", namespace, "carbon-app")) is None
