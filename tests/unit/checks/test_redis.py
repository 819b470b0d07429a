from typing import Any

import pytest

from carbon_platform.checks.redis import refusal, troubles

HEALTHY: dict[str, Any] = {
    "role": "master",
    "loading": 0,
    "connected_clients": 3,
    "maxclients": 10000,
    "rejected_connections": 0,
    "used_memory": 1_000_000,
    "maxmemory": 25_165_824,
    "maxmemory_policy": "volatile-lru",
    "aof_enabled": 1,
    "rdb_last_bgsave_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "aof_last_write_status": "ok",
}


def test_a_healthy_server_gives_no_trouble() -> None:
    assert troubles(HEALTHY, "master", append_only=True) == []


def test_rejected_connections_of_the_past_are_no_trouble_while_there_is_room() -> None:
    assert troubles(HEALTHY | {"rejected_connections": 40}, "master", append_only=True) == []


@pytest.mark.parametrize(
    ("differs", "trouble"),
    [
        ({"role": "slave"}, "its role is slave, not master"),
        ({"loading": 1}, "it is still loading its file"),
        ({"maxclients": 3, "rejected_connections": 9}, "all 3 connections are taken, 9 were rejected"),
        (
            {"used_memory": 30_000_000, "maxmemory_policy": "noeviction"},
            "all 25165824 bytes of memory are used and nothing may be evicted",
        ),
        ({"aof_enabled": 0}, "it keeps no append-only file"),
        ({"aof_last_write_status": "err"}, "aof_last_write_status is err"),
        ({"aof_last_bgrewrite_status": "err"}, "aof_last_bgrewrite_status is err"),
        ({"rdb_last_bgsave_status": "err"}, "rdb_last_bgsave_status is err"),
    ],
)
def test_each_broken_fact_is_one_trouble(differs: dict[str, Any], trouble: str) -> None:
    assert troubles(HEALTHY | differs, "master", append_only=True) == [trouble]


def test_a_server_without_a_memory_limit_is_never_out_of_memory() -> None:
    unlimited = {"maxmemory": 0, "maxmemory_policy": "noeviction"}
    assert troubles(HEALTHY | unlimited, "master", append_only=True) == []


def test_a_wrong_password_is_told_with_its_fix() -> None:
    from redis.exceptions import AuthenticationError

    failure = refusal(AuthenticationError("invalid username-password pair"))
    assert "AuthenticationError" in failure.cause
    assert "restart the server" in failure.fix
