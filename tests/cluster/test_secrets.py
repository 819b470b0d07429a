"""Generated values are made once, and are nowhere but in their Secrets."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from carbon_platform.cluster.client import Api
from carbon_platform.session import Session
from tests.cluster.platform import Platform

KEYS = {"password": {"generate": 32}, "token": {"generate": 64}}


async def values(platform: Platform, api: Api, name: str = "login") -> dict[str, str]:
    live = await api.get(platform.name("Secret", name))
    assert live is not None
    return {key: base64.b64decode(value).decode() for key, value in live["data"].items()}


async def test_values_are_made_once_and_keys_that_are_missing_are_added(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(secrets=[{"name": "login", "keys": KEYS}])
    await platform.up(session)
    first = await values(platform, api)
    assert {key: len(value) for key, value in first.items()} == {"password": 32, "token": 64}
    more = {"user": {"literal": "carbon"}, "salt": {"generate": 8}}
    platform.define(secrets=[{"name": "login", "keys": KEYS | more}], values={"message": "new"})
    await platform.up(session)
    second = await values(platform, api)
    assert {key: second[key] for key in first} == first
    assert second["user"] == "carbon"
    platform.define(secrets=[{"name": "login", "keys": {"password": {"generate": 16}}}], values={"message": "newer"})
    await platform.up(session)
    assert await values(platform, api) == second


async def test_what_a_person_put_into_a_secret_stays(platform: Platform, session: Session, api: Api) -> None:
    platform.define(secrets=[{"name": "login", "keys": KEYS}])
    await platform.up(session)
    own = base64.b64encode(b"chosen by a person").decode()
    await api.patch(platform.name("Secret", "login"), {"data": {"password": own, "extra": own}}, manager="a-person")
    await platform.up(session, redeploy=True)
    found = await values(platform, api)
    assert (found["password"], found["extra"]) == ("chosen by a person", "chosen by a person")


async def test_a_deleted_secret_is_made_again_on_a_word_and_the_component_is_not_called_right_without_it(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(secrets=[{"name": "login", "keys": KEYS}])
    await platform.up(session)
    await api.delete(platform.name("Secret", "login"))
    assert platform.json("plan")["components"][0]["reason"] == "1 object to change"
    word = f"generate:Secret/{platform.namespace}/login"
    assert (await platform.up(session, confirm=(word,))).verified
    assert set(await values(platform, api)) == set(KEYS)


async def test_a_value_copied_from_another_component_is_the_same(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define("base", secrets=[{"name": "login", "keys": KEYS}])
    copied = {"value_from": {"secret": "login", "key": "token"}}
    platform.define("app", needs=["base"], secrets=[{"name": "copy", "keys": {"secret": copied}}])
    for key in ("base", "app"):
        await platform.up(session, key)
    assert (await values(platform, api, "copy"))["secret"] == (await values(platform, api))["token"]


@contextlib.contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Every command line and environment that is seen on this machine meanwhile."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            over.wait(0.01)
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        seen.update(((entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


async def test_the_values_are_in_no_output_no_file_and_no_command_line(
    platform: Platform, api: Api, cache: Path
) -> None:
    platform.define(secrets=[{"name": "login", "keys": KEYS}])
    told = []
    with command_lines() as lines:
        told.append(platform.run("up", "--json"))
        platform.define(secrets=[{"name": "login", "keys": KEYS | {"salt": {"generate": 16}}}])
        told += [platform.run("plan"), platform.run("plan", "--json"), platform.run("up"), platform.run("status")]
    secret = await values(platform, api)
    assert set(secret) == {*KEYS, "salt"}
    wanted = [form for value in secret.values() for form in (value.encode(), base64.b64encode(value.encode()))]
    output = "".join(done.stdout + done.stderr for done in told).encode()
    assert not [value for value in wanted if value in output]
    assert any(b"helm" in line for line in lines), "the commands have been watched"
    assert not [value for value in wanted for line in lines if value in line]
    files = [
        file
        for folder in (platform.home, cache / "renders", platform.cluster.layout.logs)
        for file in folder.rglob("*")
        if file.is_file()
    ]
    assert any(file.name == "records.db" for file in files)
    assert any("renders" in file.parts for file in files)
    assert not [file for file in files for content in [file.read_bytes()] if any(v in content for v in wanted)]
