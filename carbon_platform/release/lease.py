"""One writer per release: a Lease in the release's namespace, taken over when its holder is dead or silent."""

import asyncio
import contextlib
import dataclasses
import datetime
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import CarbonError, Conflict, Unreachable

LEASE = ("coordination.k8s.io/v1", "Lease")
_DURATION = 30
"""Seconds of silence after which a holder on another machine counts as dead."""
_RENEW = 8.0
_LOOK_AGAIN = 0.5
_GIVE_BACK_SECONDS = 10.0
"""A lease that can't be given back so soon is left: its holder is dead then, as everybody here can see."""
_WRITING = ("up", "down")
"""Commands that hold a lease."""
WRITER_VARIABLE = "CARBON_WRITER"
"""Set in the environment of every process we start, so that one left behind by a dead writer can be found."""


@dataclasses.dataclass(frozen=True)
class Writer:
    """A process that writes releases. Boot, pid and start time together never mean another process."""

    host: str
    boot: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.host}_{self.boot}_{self.pid}_{self.started}"

    @classmethod
    def parse(cls, text: str) -> "Writer | None":
        """The writer that a Lease names; None for one we can't have written."""
        parts = text.rsplit("_", 3)
        return cls(parts[0], parts[1], int(parts[2]), parts[3]) if len(parts) == 4 and parts[2].isdigit() else None


def told(holder: str) -> str:
    """A holder as a person knows it: `carbon up, process 3923`, or `process 3923 on HOST`; else as it is written."""
    writer = Writer.parse(holder)
    if writer is None:
        return holder
    if not _here(writer, this_process()):
        return f"process {writer.pid} on {writer.host}"
    return f"{_command(writer.pid)}, process {writer.pid}"


def _command(pid: int) -> str:
    """What of Carbon a process of this machine is."""
    words: list[str] = []
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    after = next((words[i + 1 :] for i, word in enumerate(words) if Path(word).name == "carbon"), [])
    command = next((word for word in after if word in _WRITING), "")
    return f"carbon {command}" if command else "a run of carbon ui"


def process(pid: int) -> Writer:
    """The writer that a process of this machine is."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    number = boot.read_text(encoding="ascii").strip()[:8] if boot.exists() else "unknown"
    return Writer(socket.gethostname(), number, pid, _start_time(pid) or "0")


def this_process() -> Writer:
    """The writer that this process is."""
    return process(os.getpid())


def _start_time(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _here(holder: Writer | None, me: Writer) -> bool:
    return holder is not None and (holder.host, holder.boot) == (me.host, me.boot)


def dead(holder: Writer | None, me: Writer) -> bool:
    """True when the holder was a process of this boot of this machine, and is no more. False when nobody can tell."""
    return holder is not None and _here(holder, me) and _start_time(holder.pid) != holder.started


def abandoned(lease: Object, me: Writer, now: datetime.datetime) -> bool:
    """True when nobody is at work under this lease any more.

    A holder on this machine is asked by its process alone: its silence may be a jump of the clock.
    """
    holder = Writer.parse(lease["spec"].get("holderIdentity") or "")
    return dead(holder, me) if _here(holder, me) else expired(lease, now)


def left_behind(namespace: str, release: str) -> list[int]:
    """Helm processes that are still at work on a release though the writer that started them, here, is dead."""
    me, found = this_process(), []
    mark, words = f"{WRITER_VARIABLE}=".encode(), {namespace.encode(), release.encode()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if words <= set((entry / "cmdline").read_bytes().split(b"\0")):
                    marked = (part for part in (entry / "environ").read_bytes().split(b"\0") if part.startswith(mark))
                    writers = [Writer.parse(part.removeprefix(mark).decode()) for part in marked]
                    found += [int(entry.name) for writer in writers if dead(writer, me)]
    return found


@dataclasses.dataclass(frozen=True)
class Held:
    """A lease we hold."""

    taken_from: str | None
    """The dead holder it was taken over from, or None when it was free."""
    waited: bool = False
    """True when somebody else held it before us: what was seen of the release before that may be over."""


def lease_name(namespace: str, release: str) -> ObjectName:
    """The Lease of a release."""
    return ObjectName(*LEASE, namespace, f"carbon-{release}")


@contextlib.asynccontextmanager
async def held(
    api: Api, namespace: str, release: str, wait_seconds: float, waiting: Callable[[str], None]
) -> AsyncIterator[Held]:
    """Hold the lease of a release; it is given back at the end, and renewed meanwhile.

    Waits up to `wait_seconds` for a living holder, telling `waiting` who that is. Raises Conflict when it still
    holds the lease then. Losing the lease (another took it over: Conflict; nobody answers: Unreachable) ends the body.
    """
    me = this_process()
    os.environ[WRITER_VARIABLE] = str(me)
    name = lease_name(namespace, release)
    claim, lease = await _take(api, name, me, wait_seconds, waiting)
    owner = asyncio.current_task()
    lost: list[CarbonError] = []

    async def renew() -> None:
        nonlocal lease
        last = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_RENEW)
            try:
                now = await api.get(name)
                if now is None or now["spec"].get("holderIdentity") != str(me):
                    raise Conflict(f"lost the lease of {release}", "another writer took it over", "run it again")
                lease = await api.replace(_lease(name, me, now))
                last = asyncio.get_running_loop().time()
            except CarbonError as error:
                away = asyncio.get_running_loop().time() - last
                if isinstance(error, Unreachable) and away < api.patience:
                    continue
                lost.append(error)
                if owner is not None:
                    owner.cancel()
                return

    renewing = asyncio.create_task(renew(), name=f"renew lease of {release}")
    try:
        yield claim
    except asyncio.CancelledError:
        if lost and owner is not None:
            owner.uncancel()
            raise lost[0] from None
        raise
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        if not lost:
            await asyncio.shield(_give_back(api, name, me, lease))


async def _take(
    api: Api, name: ObjectName, me: Writer, wait_seconds: float, waiting: Callable[[str], None]
) -> tuple[Held, Object]:
    """How it was taken, and the Lease as it is then."""
    deadline = asyncio.get_running_loop().time() + wait_seconds
    said = waited = False
    lease: Object | None = None  # most often there is none: making it tells
    while True:
        holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        with contextlib.suppress(Conflict, Unreachable):
            if lease is None:
                return Held(None, waited), await api.create(_lease(name, me, None))
            if not holder or holder == str(me) or abandoned(lease, me, _clock()):
                ours = await api.replace(_lease(name, me, lease))
                dead_holder = holder if holder and holder != str(me) else None
                return Held(dead_holder, waited or dead_holder is not None), ours
        waited = True
        if holder and not said:
            waiting(f"waits for {told(holder)}, which is at work on it")
            said = True
        if holder and asyncio.get_running_loop().time() >= deadline:
            raise Conflict(
                f"release {name.namespace}/{name.name.removeprefix('carbon-')} has another writer",
                f"its lease is held by {told(holder)}",
                "wait for it to end, or end it",
            )
        # A Lease has no watch worth its cost here: who waits, waits for a whole deployment to end.
        if lease is not None:
            await asyncio.sleep(_LOOK_AGAIN)
        lease = await api.get(name)


def _clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _now() -> str:
    return _clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(name: ObjectName, me: Writer, before: Object | None) -> Object:
    old = (before or {}).get("spec", {})
    taken = old.get("holderIdentity") != str(me)
    metadata = {"name": name.name, "namespace": name.namespace, "labels": {"app.kubernetes.io/managed-by": "carbon"}}
    if before is not None:
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
    return {
        "apiVersion": name.api_version,
        "kind": name.kind,
        "metadata": metadata,
        "spec": {
            "holderIdentity": str(me),
            "leaseDurationSeconds": _DURATION,
            "acquireTime": _now() if taken else old.get("acquireTime", _now()),
            "renewTime": _now(),
            "leaseTransitions": old.get("leaseTransitions", 0) + (1 if taken else 0),
        },
    }


def expired(lease: Object, now: datetime.datetime) -> bool:
    """True when its holder has been silent for longer than the lease lasts."""
    renewed = lease["spec"].get("renewTime")
    if not renewed:
        return True
    age = now - datetime.datetime.fromisoformat(renewed)
    duration: int = lease["spec"].get("leaseDurationSeconds", _DURATION)
    return age.total_seconds() > duration


async def live_holder(api: Api, namespace: str, release: str) -> str | None:
    """Who is at work on a release now, or None."""
    lease = await api.get(lease_name(namespace, release))
    return holder_of(lease) if lease else None


async def live_holders(api: Api, namespace: str) -> dict[str, str]:
    """Who is at work now in a namespace, by the name of the release."""
    leases = {o["metadata"]["name"]: o for o in await api.list(*LEASE, namespace)}
    ours = {name.removeprefix("carbon-"): holder_of(o) for name, o in leases.items() if name.startswith("carbon-")}
    return {release: holder for release, holder in ours.items() if holder}


def holder_of(lease: Object) -> str | None:
    """Who is at work under this lease now, or None."""
    holder = lease["spec"].get("holderIdentity")
    return None if not holder or abandoned(lease, this_process(), _clock()) else told(str(holder))


async def _give_back(api: Api, name: ObjectName, me: Writer, lease: Object | None) -> None:
    """Delete the lease as we last wrote it; if it has changed (a renewal whose answer nobody heard), as it is now."""
    with contextlib.suppress(CarbonError, TimeoutError):
        async with asyncio.timeout(_GIVE_BACK_SECONDS):
            while lease is not None and lease["spec"].get("holderIdentity") == str(me):
                with contextlib.suppress(Conflict):
                    await api.delete(name, version=lease["metadata"]["resourceVersion"])
                    return
                lease = await api.get(name)
