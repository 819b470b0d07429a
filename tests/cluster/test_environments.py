"""A cluster that carries the name of its environment, and the commands of others, which are refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.identity import OWNER, claim, identity
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import ConfigurationError
from carbon_platform.session import open_session
from tests.cluster.conftest import Everything
from tests.cluster.platform import ENVIRONMENT, Platform
from tests.cluster.test_preflight import DEPLOY, READ, User, user

__all__ = ["user"]

SYSTEM = ObjectName("v1", "Namespace", "", "kube-system")


@pytest.fixture
async def unnamed(api: Api) -> AsyncIterator[None]:
    """The cluster as nobody has named it yet; with the name that other tests expect afterwards."""
    await api.patch(SYSTEM, {"metadata": {"annotations": {OWNER: None}}})
    yield
    await api.patch(SYSTEM, {"metadata": {"annotations": {OWNER: ENVIRONMENT}}})


@pytest.fixture
def other(platform: Platform) -> Platform:
    """The same platform, for a person who chose another environment of the same cluster."""
    platform.define(stateful=False)
    platform.run("up")
    platform.reach_by(platform.cluster.layout.kubeconfig, "staging")
    return platform


async def test_looking_names_no_cluster_and_the_first_write_does(platform: Platform, api: Api, unnamed: None) -> None:
    platform.define()
    for command in ("status", "plan", "drift"):
        await asyncio.to_thread(platform.json, command, code=None)
    assert (await identity(api)).owner == ""
    await asyncio.to_thread(platform.run, "up")
    assert (await identity(api)).owner == ENVIRONMENT


COMMANDS = [["up"], ["plan"], ["status"], ["drift"], ["verify"], ["doctor"], ["incidents"], ["down", "--yes"], ["ui"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_another_environment_is_refused_with_both_names(other: Platform, command: list[str]) -> None:
    error = other.json(*command, code=2)["error"]
    assert "is the cluster of environment 'test', not of 'staging'" in error["summary"]
    assert "carbon --env test" in error["fix"]
    assert "carbon env adopt --env staging" in error["fix"]


async def test_nothing_is_changed_by_who_is_refused(other: Platform, everything: Everything) -> None:
    before = await everything()
    other.define(values={"message": "of staging"})
    await asyncio.to_thread(other.run, "up", "--redeploy", code=2)
    assert await everything() == before


async def test_a_cluster_is_given_to_another_environment_on_purpose(other: Platform, api: Api) -> None:
    told = await asyncio.to_thread(other.run, "env", "adopt", code=2)
    assert "It is the cluster of 'test' now." in told.stderr
    assert (await identity(api)).owner == ENVIRONMENT, "nobody said yes"
    try:
        assert (await asyncio.to_thread(other.json, "env", "adopt", "--yes"))["before"] == ENVIRONMENT
        assert (await asyncio.to_thread(other.json, "status"))["components"][0]["state"] == "verified"
    finally:
        await claim(api, ENVIRONMENT, over="staging")


async def test_of_two_environments_that_come_at_once_one_is_first(platform: Platform, api: Api, unnamed: None) -> None:
    found = await asyncio.gather(*(claim(api, name) for name in "abcdef"), return_exceptions=True)
    refused = [one for one in found if isinstance(one, ConfigurationError)]
    assert len(refused) == 5
    (owner,) = {(await identity(api)).owner}
    assert all(f"environment '{owner}'" in error.summary for error in refused)


async def test_who_may_not_name_the_cluster_is_told_and_goes_on(
    platform: Platform, api: Api, unnamed: None, user: User
) -> None:
    platform.define()
    platform.reach_by(await user.may(*READ, *DEPLOY))
    done = await asyncio.to_thread(platform.run, "up")
    assert "the cluster can't be named 'test': not allowed to patch namespaces" in done.stdout
    assert (await identity(api)).owner == ""


async def test_a_session_that_was_open_before_another_environment_came_writes_nothing(
    platform: Platform, api: Api, unnamed: None
) -> None:
    platform.define()
    async with open_session(platform.settings()) as session:
        await claim(api, "staging")
        with pytest.raises(ConfigurationError, match="environment 'staging', not of 'test'"):
            await platform.up(session)
        assert await api.get(ObjectName("v1", "Namespace", "", platform.namespace)) is None


def test_writing_to_an_environment_that_asks_is_refused_where_nobody_can_be_asked(
    platform: Platform, tmp_path: Path
) -> None:
    platform.define()
    platform.reach_by(platform.cluster.layout.kubeconfig, confirm=True)
    told = platform.run("up", code=2).stderr
    assert "this must be confirmed" in told
    assert f"This changes app in environment {ENVIRONMENT!r}" in told
    assert platform.states() == {"app": "absent"}
    platform.run("up", "--yes")
    assert platform.states() == {"app": "verified"}
    platform.run("up")
