"""What would make a deployment fail is told before anything is changed: all of it at once."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked, PermissionDenied
from carbon_platform.session import Session, open_session
from tests.cluster.conftest import Everything
from tests.cluster.platform import Platform


async def refused(
    platform: Platform, session: Session, kind: type[Blocked | PermissionDenied], key: str = "app"
) -> str:
    with pytest.raises(kind) as caught:
        await platform.up(session, key)
    assert "nothing was changed" in caught.value.summary
    return f"{caught.value.cause}\n{caught.value.fix}"


async def test_a_pod_that_no_node_has_room_for_is_told_with_what_is_free(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define(values={"memory": "10Ti"})
    told = await refused(platform, session, Blocked)
    assert "no node has room for a pod of Deployment" in told
    assert re.search(r"it requests 0.001 cores and 10485760 MiB; at most free: 6[34][.\d]* cores, 26\d{4} MiB", told)
    assert await everything() == {}


async def test_a_storage_class_that_is_not_there_is_told(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define(values={"volume": "there-is-none"})
    told = await refused(platform, session, Blocked)
    assert "wants StorageClass 'there-is-none', which is not there" in told
    assert await everything() == {}


async def test_a_need_that_is_not_verified_is_told(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define("base")
    platform.define("app", needs=["base"])
    assert "it needs base, which is not verified\ncarbon up base" in await refused(platform, session, Blocked)
    assert await everything() == {}


async def test_every_problem_is_told_at_once(platform: Platform, session: Session, everything: Everything) -> None:
    platform.define("base")
    platform.define("app", needs=["base"], values={"volume": "there-is-none", "memory": "10Ti"})
    told = await refused(platform, session, Blocked)
    for problem in ("needs base", "StorageClass 'there-is-none'", "no node has room"):
        assert problem in told


async def test_a_missing_source_of_a_secret_is_told(platform: Platform, session: Session, api: Api) -> None:
    copied = {"name": "copy", "keys": {"password": {"value_from": {"secret": "original", "key": "password"}}}}
    platform.define(secrets=[copied])
    with pytest.raises(Blocked) as caught:
        await platform.up(session)
    assert "key 'password' of Secret" in caught.value.cause
    assert await api.get(platform.name("Secret", "copy")) is None


async def test_the_command_ends_with_one_and_says_the_same(platform: Platform, everything: Everything) -> None:
    platform.define("base", values={"memory": "10Ti"})
    platform.define("app", needs=["base"])
    done = platform.run("up", code=1)
    assert "no node has room" in done.stdout + done.stderr
    assert "app: not begun, as something it needs is not verified" in done.stderr
    assert await everything() == {}


READ = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
]
_WRITE = ["create", "update", "patch", "delete"]
DEPLOY = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["configmaps", "services", "secrets"], "verbs": _WRITE},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _WRITE},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": _WRITE},
]


class User:
    """A user of the cluster with rights of its own, by a kubeconfig with a token."""

    def __init__(self, platform: Platform, api: Api, folder: Path) -> None:
        self._platform, self._api, self._folder = platform, api, folder
        self.made: list[ObjectName] = []

    async def _create(self, obj: Object) -> None:
        self.made.append(ObjectName.of(await self._api.create(obj)))

    async def may(self, *rules: dict[str, Any]) -> Path:
        """The kubeconfig of a user who may do this much, everywhere."""
        name, rbac = f"user-{self._platform.namespace}", "rbac.authorization.k8s.io"
        await self._create(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
        )
        role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}
        await self._create(role)
        reference = {"apiGroup": rbac, "kind": "ClusterRole", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
        binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
        await self._create({**binding, "roleRef": reference, "subjects": [subject]})
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
        token = (await self._api.request("POST", path, body=request))["status"]["token"]
        told = yaml.safe_load(self._platform.cluster.layout.kubeconfig.read_text(encoding="utf-8"))
        told["users"][0]["user"] = {"token": token}
        file = self._folder / "restricted"
        file.write_text(yaml.safe_dump(told), encoding="utf-8")
        return file


@pytest.fixture
async def user(platform: Platform, api: Api, tmp_path: Path) -> AsyncIterator[User]:
    made = User(platform, api, tmp_path)
    yield made
    for name in made.made:
        await api.delete(name)


async def test_everything_that_is_not_allowed_is_named_at_once_and_nothing_is_changed(
    platform: Platform, user: User, everything: Everything
) -> None:
    platform.define(secrets=[{"name": "login", "keys": {"password": {"generate": 16}}}])
    platform.reach_by(await user.may(*READ))
    done = platform.run("up", code=1)
    told = done.stdout + done.stderr
    for denied in (
        "not allowed to create namespaces",
        "not allowed to create configmaps in namespace",
        "not allowed to create deployments.apps in namespace",
        "not allowed to patch services in namespace",
        "not allowed to create secrets in namespace",
        "not allowed to create leases.coordination.k8s.io in namespace",
        "grant 'create' on 'deployments.apps'",
    ):
        assert denied in told
    assert "cannot" not in told, "it is our review that tells it, before anything was tried"
    assert await everything() == {}


async def test_who_may_not_even_plan_is_told_everything_at_once(
    platform: Platform, session: Session, user: User, everything: Everything
) -> None:
    platform.define()
    await platform.up(session)
    before = await everything()
    platform.define(values={"message": "new"})
    platform.reach_by(await user.may(*READ))
    async with open_session(platform.settings()) as poor:
        told = await refused(platform, poor, PermissionDenied)
    for kind in ("configmaps", "services", "deployments.apps"):
        assert f"not allowed to patch {kind} in namespace {platform.namespace}" in told
    assert "not allowed to get" not in told
    assert await everything() == before


async def test_who_may_do_all_that_a_release_takes_needs_no_more(platform: Platform, user: User) -> None:
    platform.define()
    platform.reach_by(await user.may(*READ, *DEPLOY))
    assert platform.json("up")["components"][0]["state"] == "verified"


async def test_a_user_whom_nobody_knows_is_told(platform: Platform, tmp_path: Path) -> None:
    platform.define()
    told = yaml.safe_load(platform.cluster.layout.kubeconfig.read_text(encoding="utf-8"))
    told["users"][0]["user"] = {"token": "stale"}
    file = tmp_path / "unknown"
    file.write_text(yaml.safe_dump(told), encoding="utf-8")
    platform.reach_by(file)
    done = platform.run("up", code=1)
    assert "the API server does not know this user" in done.stderr
    assert "renew the credentials" in done.stderr
