"""Checks of Redis: that a key is kept and expires, and that the server is in the state it should be in."""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed

if TYPE_CHECKING:
    from redis.asyncio import Redis

_TTL = 60
"""Seconds after which a probe's key is gone by itself, should the probe be killed."""

_FIXES = {
    "AuthenticationError": "the Secret and the server differ in the password: restart the server, "
    "which reads the Secret at its start",
    "ReadOnlyError": "the server is a replica: see who set that, and point the Service at the master",
    "OutOfMemoryError": "the memory limit is reached: raise maxMemory, or find what fills it",
    "BusyLoadingError": "the server is loading its file; wait until it has",
}


def refusal(error: Exception) -> CheckFailed:
    """The failure to tell for an error of the client library."""
    kind = type(error).__name__
    return CheckFailed("Redis refused", f"{kind}: {error}", _FIXES.get(kind, "see the server's log"))


class RedisCheck(Check):
    """What every Redis check needs to know: where the password is."""

    secret: str = Field("redis-auth", description="Secret with the password.")
    key: str = Field("password", description="Key of the password in it.")

    @contextlib.asynccontextmanager
    async def client(self, reach: Reach) -> "AsyncIterator[Redis]":
        """A connected client; errors of Redis inside of it become CheckFailed."""
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        host, port = await reach.endpoint()
        password = await reach.secret(self.secret, self.key)
        client = redis.asyncio.Redis(
            host=host, port=port, password=password, decode_responses=True, socket_connect_timeout=10,
            socket_timeout=10, client_name="carbon-check", retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        try:
            yield client
        except RedisError as error:
            raise refusal(error) from error
        finally:
            await client.aclose()


class Roundtrip(RedisCheck):
    """A key set with a time to live is read back with its value and its time, and is gone after its removal."""

    summary: ClassVar[str] = "A new key is stored with its time to live, read back and removed."

    async def run(self, reach: Reach) -> Passed:
        key, value = f"carbon:probe:{uuid.uuid4()}", uuid.uuid4().hex
        async with self.client(reach) as client:
            began = time.perf_counter()
            try:
                await client.set(key, value, ex=_TTL, nx=True)
                found, ttl = await client.get(key), await client.ttl(key)
            finally:
                removed = await client.delete(key)
            milliseconds = round((time.perf_counter() - began) * 1000, 2)
            left = await client.exists(key)
        if found != value:
            told = "nothing" if found is None else "another value"
            raise CheckFailed("Redis lost a key", f"{told} was read right after it was set")
        if not 0 < ttl <= _TTL:
            raise CheckFailed("Redis did not keep a key's time to live", f"{ttl} s instead of up to {_TTL} s")
        if removed != 1 or left:
            raise CheckFailed("Redis did not remove a key", f"{removed} removed, {left} left")
        return Passed("a key was set, read and removed", {"latency_ms": milliseconds, "ttl_s": ttl})


class Info(RedisCheck):
    """The server has the expected role, room for clients and memory, and its persistence works."""

    summary: ClassVar[str] = "Role, room for clients, memory and persistence are as they should be."

    role: Literal["master", "slave"] = Field("master", description="Redis' own word for what it should be.")
    append_only: bool = Field(True, description="Whether writes are kept in an append-only file.")

    async def run(self, reach: Reach) -> Passed:
        began = time.perf_counter()
        async with self.client(reach) as client:
            info = await client.info("everything")
        milliseconds = round((time.perf_counter() - began) * 1000, 2)
        problems = troubles(info, self.role, self.append_only)
        if problems:
            raise CheckFailed("Redis is not in the state it should be in", "; ".join(problems), "see the server's log")
        return Passed(
            f"Redis {info['redis_version']} is {info['role']}",
            {
                "version": str(info["redis_version"]),
                "latency_ms": milliseconds,
                "clients": int(info["connected_clients"]),
                "clients_limit": int(info["maxclients"]),
                "rejected_connections": int(info["rejected_connections"]),
                "evicted_keys": int(info["evicted_keys"]),
                "memory_bytes": int(info["used_memory"]),
                "memory_limit_bytes": int(info["maxmemory"]),
                "uptime_s": int(info["uptime_in_seconds"]),
            },
        )


def troubles(info: Mapping[str, Any], role: str, append_only: bool) -> list[str]:
    """What `INFO` says that should not be: one sentence each. Counters since the start are no trouble by themselves."""
    found = []
    if info["role"] != role:
        found.append(f"its role is {info['role']}, not {role}")
    if info["loading"]:
        found.append("it is still loading its file")
    if info["connected_clients"] >= info["maxclients"]:
        found.append(f"all {info['maxclients']} connections are taken, {info['rejected_connections']} were rejected")
    if 0 < info["maxmemory"] <= info["used_memory"] and info["maxmemory_policy"] == "noeviction":
        found.append(f"all {info['maxmemory']} bytes of memory are used and nothing may be evicted")
    if append_only and not info["aof_enabled"]:
        found.append("it keeps no append-only file")
    persistence = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
    found.extend(f"{name} is {info[name]}" for name in persistence if info.get(name, "ok") != "ok")
    return found


CHECKS = {"roundtrip": Roundtrip, "info": Info}
